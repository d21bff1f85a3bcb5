import pytest
import torch

from vfm_isrefiner.clicks import Clicks


def clicks_of(*rows):
    """One object's clicks from (y, x, label)."""
    values = torch.tensor(rows, dtype=torch.float32).reshape(-1, 3)
    return Clicks(values[None, :, :2].clone(), values[None, :, 2].to(torch.int8))


def test_empty_has_no_click():
    clicks = Clicks.empty(3)
    assert clicks.yx.shape == (3, 0, 2)
    assert clicks.count.tolist() == [0, 0, 0]
    yx, label, slot = clicks.latest()
    assert yx.shape == (3, 2)
    assert label.tolist() == slot.tolist() == [-1, -1, -1]


def test_append_and_latest_skip_unused_slots():
    clicks = Clicks.empty(2).append(torch.tensor([[1.5, 2.0], [3.0, 4.0]]), torch.tensor([1, 0]))
    clicks = clicks.append(torch.tensor([[5.0, 6.0], [0.0, 0.0]]), torch.tensor([0, -1]))
    yx, label, slot = clicks.latest()
    assert yx.tolist() == [[5.0, 6.0], [3.0, 4.0]]
    assert (label.tolist(), slot.tolist(), clicks.count.tolist()) == ([0, 0], [1, 0], [2, 1])
    assert label.dtype == torch.int8


def test_flip_twice_is_the_same():
    clicks = clicks_of((3, 0, 1), (2.5, 7.25, 0))
    assert clicks.flipped(9).yx[0, :, 1].tolist() == [8.0, 0.75]
    assert torch.equal(clicks.flipped(9).flipped(9).yx, clicks.yx)


def test_mapped_moves_then_scales():
    moved = clicks_of((10, 20, 1)).mapped(torch.tensor([[4.0, 10.0]]), torch.tensor([[2.0, 0.5]]))
    assert moved.yx.tolist() == [[[12.0, 5.0]]]
    assert moved.yx.dtype == torch.float32


def test_stack_pads_with_unused_slots():
    both = Clicks.stack([clicks_of((1, 1, 1)), clicks_of((2, 2, 0), (3, 3, 1))])
    assert both.label.tolist() == [[1, -1], [0, 1]]
    assert both.rows(torch.tensor([1])).yx.tolist() == [[[2.0, 2.0], [3.0, 3.0]]]
    assert both.padded(1) is both


def test_to_keeps_values():
    clicks = clicks_of((1, 2, 1)).to("cpu")
    assert clicks.yx.tolist() == [[[1.0, 2.0]]]


@pytest.mark.parametrize(
    ("yx", "label", "message"),
    [
        (torch.zeros(1, 2), torch.zeros(1, dtype=torch.int8), r"float32 of shape \(B, N, 2\)"),
        (torch.zeros(1, 1, 2, dtype=torch.float64), torch.zeros(1, 1, dtype=torch.int8), "float32"),
        (torch.zeros(1, 2, 2), torch.zeros(1, 1, dtype=torch.int8), r"shape \(1, 2\)"),
        (torch.zeros(1, 1, 2), torch.zeros(1, 1), "int8"),
        (torch.zeros(1, 1, 2), torch.full((1, 1), 2, dtype=torch.int8), r"got \[2\]"),
    ],
)
def test_bad_clicks_are_refused(yx, label, message):
    with pytest.raises(ValueError, match=message):
        Clicks(yx, label)
