"""Training through torch.compile: same numbers, same names, one graph a call."""

from types import SimpleNamespace

import pytest
import torch
from lightning.pytorch.strategies import ModelParallelStrategy
from training.blobs import SIDE, data, module, trainer

from vfm_isrefiner.models.build import Dimensions, build_isrefiner
from vfm_isrefiner.training.compiled import Compiled
from vfm_isrefiner.training.errors import TrainingError

SMALL = Dimensions(32, 3, 2, (8, 16, 16, 16), (8, 8, 16, 16), (8, 8, 16, 16), 2)


def network():
    torch.manual_seed(0)
    return build_isrefiner(SMALL, image_size=SIDE).train()


# torch's tracer looks at it and hides the warning, which is an error here
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf Tensor")
def test_both_calls_trace_without_a_break_and_give_the_same():
    plain = network()
    compiled = Compiled(plain, backend="eager")
    names = list(plain.state_dict())
    image, prob = torch.rand(2, 3, SIDE, SIDE), torch.rand(2, 1, SIDE, SIDE)
    maps = torch.zeros(2, 2, SIDE, SIDE)
    gradients = []
    for each in (plain, compiled):
        plain.zero_grad()
        each(each.encode_image(image), maps, prob, prob).square().mean().backward()
        gradients.append([parameter.grad.clone() for parameter in plain.parameters() if parameter.grad is not None])
    for a, b in zip(*gradients, strict=True):
        torch.testing.assert_close(a, b)
    assert compiled.training
    assert not Compiled(plain.eval()).training
    assert list(plain.state_dict()) == names


def test_checkpoints_are_those_of_a_plain_training(tmp_path):
    saved = []
    for compile in (False, True):
        model = module(network=network(), compile=compile)
        run = trainer(tmp_path, max_steps=2)
        with torch.compiler.set_stance("force_eager"):
            run.fit(model, datamodule=data())
        run.save_checkpoint(tmp_path / "a.ckpt")
        saved.append(torch.load(tmp_path / "a.ckpt", weights_only=True)["state_dict"])
    assert list(saved[0]) == list(saved[1])
    assert all(torch.equal(saved[0][name], saved[1][name]) for name in saved[0])


def test_evaluations_play_the_plain_network():
    model = module(network=network(), compile=True)
    assert model.round.network is model.network
    assert isinstance(model.segmenter.round.network, Compiled)


def test_shared_out_parameters_are_refused():
    model = module(network=network(), compile=True)
    model._trainer = SimpleNamespace(strategy=ModelParallelStrategy())
    with pytest.raises(TrainingError, match="compile=true does not go with trainer=fsdp"):
        model.configure_model()
