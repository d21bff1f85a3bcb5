"""CrossAttention against torch.nn.MultiheadAttention, the module that the published weights come from."""

import pytest
import torch

from vfm_isrefiner.models.attention import CrossAttention


def _pair(width: int = 32, heads: int = 4) -> tuple[CrossAttention, torch.nn.MultiheadAttention]:
    torch.manual_seed(0)
    ours, theirs = CrossAttention(width, heads), torch.nn.MultiheadAttention(width, heads, batch_first=True)
    with torch.no_grad():
        ours.in_proj.bias.normal_()
        theirs.in_proj_weight.copy_(ours.in_proj.weight)
        theirs.in_proj_bias.copy_(ours.in_proj.bias)
        theirs.out_proj.load_state_dict(ours.out_proj.state_dict())
    return ours, theirs


@pytest.mark.parametrize("keys", [1, 2, 7])
def test_equals_torch_multihead_attention(keys: int) -> None:
    ours, theirs = _pair()
    query, source = torch.randn(3, 5, 32), torch.randn(3, keys, 32)
    expected, _ = theirs(query, source, source)
    torch.testing.assert_close(ours(query, source), expected, atol=1e-5, rtol=1e-5)


def test_projected_source_gives_the_same() -> None:
    ours, _ = _pair()
    query, source = torch.randn(2, 5, 32), torch.randn(2, 6, 32)
    torch.testing.assert_close(ours(query, projected=ours.project(source)), ours(query, source))


def test_errors_say_what_to_do() -> None:
    with pytest.raises(ValueError, match="multiple of 8"):
        CrossAttention(30, 8)
    with pytest.raises(ValueError, match="needs a source"):
        CrossAttention(32, 4)(torch.randn(1, 2, 32))
