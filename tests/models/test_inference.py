"""Networks in bfloat16 and compiled against the plain call."""

import pytest
import torch

from vfm_isrefiner.models.build import BUILDERS, AnyNetwork
from vfm_isrefiner.models.inference import Inference, for_inference


def play(network: AnyNetwork | Inference, rows: int = 3) -> torch.Tensor:
    generator = torch.Generator().manual_seed(rows)
    image, auxiliary = (torch.rand(rows, channels, 64, 64, generator=generator) for channels in (3, 4))
    features = network.encode_image(image)
    return network(features, auxiliary[:, 2:], auxiliary[:, :1], auxiliary[:, 1:2])


@pytest.fixture(params=list(BUILDERS))
def network(request: pytest.FixtureRequest) -> AnyNetwork:
    torch.manual_seed(0)
    return BUILDERS[request.param]("test", image_size=64)


@torch.no_grad()
def test_float32_is_the_network_itself_in_eval_mode(network: AnyNetwork) -> None:
    assert for_inference(network.train()) is network
    assert not network.training


@torch.no_grad()
def test_bf16_is_near_and_leaves_the_network_alone(network: AnyNetwork) -> None:
    fast = for_inference(network, precision="bf16")
    assert isinstance(fast, Inference)
    assert {value.dtype for value in network.parameters()} == {torch.float32}
    expected, got = play(network), play(fast)
    assert got.dtype == torch.float32
    assert not torch.equal(got, expected)
    torch.testing.assert_close(got, expected, atol=0.03 * float(expected.abs().max()), rtol=0)


@torch.no_grad()
def test_compiled_is_the_same_without_a_break_in_its_graph(network: AnyNetwork) -> None:
    torch._dynamo.reset()
    graphs = []

    def counting(graph: torch.fx.GraphModule, _: object) -> torch.fx.GraphModule:
        graphs.append(graph)
        return graph

    fast = for_inference(network, compiled=True, backend=counting)
    assert not fast.training
    assert fast.config == network.config
    # three rows are filled up to four, for which it is compiled already
    for rows in (4, 3):
        torch.testing.assert_close(play(fast, rows), play(network, rows), atol=1e-5, rtol=1e-5)
    assert len(graphs) == 2, "one for each of encode_image and forward"


def test_an_unknown_precision_is_named() -> None:
    with pytest.raises(ValueError, match="float32 or bf16, got 'fp8'"):
        for_inference(BUILDERS["isrefiner"]("test"), precision="fp8")
