import pytest
import torch

from vfm_isrefiner.click_simulation import next_click, sample_first_click, sample_next_click
from vfm_isrefiner.clicks import Clicks
from vfm_isrefiner.distance import squared_distance


def square(height=40, width=48, rows=(10, 25), cols=(8, 31)):
    mask = torch.zeros(1, 1, height, width, dtype=torch.bool)
    mask[..., slice(*rows), slice(*cols)] = True
    return mask


def blobs(generator, batch, size=(40, 48)):
    noise = torch.rand(batch, 1, *size, generator=generator)
    return torch.nn.functional.avg_pool2d(noise, 9, 1, 4) > 0.5


NOTHING = torch.zeros(1, 1, 40, 48, dtype=torch.bool)


def play(pred, mask, ignore=NOTHING, clicks=None):
    yx, label = next_click(pred, mask, ignore, clicks or Clicks.empty(len(mask)))
    assert (yx.dtype, label.dtype) == (torch.float32, torch.int8)
    return [(*position, sign) for position, sign in zip(yx.tolist(), label.tolist(), strict=True)]


def test_first_click_is_the_first_deepest_pixel_of_the_object():
    # 15 rows: the middle row is 8 px deep along several columns, of which the leftmost is first
    assert play(NOTHING, square()) == [(17.0, 15.0, 1)]


def test_equal_depth_gives_a_negative_click():
    left, right = square(cols=(5, 14), rows=(5, 14)), square(cols=(25, 34), rows=(5, 14))
    assert play(right, left) == [(9.0, 29.0, 0)]
    deeper = square(cols=(5, 16), rows=(5, 16))
    assert play(right, deeper) == [(10.0, 10.0, 1)]


def test_the_image_border_is_an_edge():
    full = torch.ones(1, 1, 9, 9, dtype=torch.bool)
    assert play(~full, full, ~full) == [(4.0, 4.0, 1)]


def test_ignored_and_padded_pixels_are_never_clicked():
    mask, ignore = square(), NOTHING.clone()
    ignore[..., :20] = True
    (click,) = play(NOTHING, mask, ignore)
    assert click == (15.0, 25.0, 1)
    extra = square(rows=(0, 40), cols=(0, 20))
    assert play(mask | extra, mask, ignore | extra) == [(0.0, 0.0, 0)]  # the whole error is ignored


def test_clicked_pixels_of_either_label_are_skipped():
    mask = square(rows=(10, 11), cols=(8, 12))
    clicks = Clicks(
        torch.tensor([[[10.0, 8.4], [10.0, 9.0], [-3.0, 2.0], [10.0, 10.0]]]), torch.tensor([[1, 0, 1, -1]]).to(torch.int8)
    )
    assert play(NOTHING, mask, clicks=clicks) == [(10.0, 10.0, 1)]


def test_no_error_left_is_a_negative_click_at_the_origin():
    assert play(square(), square()) == [(0.0, 0.0, 0)]
    assert play(NOTHING, NOTHING) == [(0.0, 0.0, 0)]


def test_neighbours_in_the_batch_do_not_matter(generator):
    pred, mask, ignore = blobs(generator, 6), blobs(generator, 6), blobs(generator, 6) & blobs(generator, 6)
    clicks = Clicks(
        torch.rand(6, 4, 2, generator=generator) * 40, torch.randint(-1, 2, (6, 4), generator=generator).to(torch.int8)
    )
    together = play(pred, mask, ignore, clicks)
    alone = [play(pred[i : i + 1], mask[i : i + 1], ignore[i : i + 1], clicks.rows(torch.tensor([i])))[0] for i in range(6)]
    assert together == alone


def drawn(clicker, draws=3000):
    """How often each pixel is drawn, (H, W), and the labels seen."""
    yx, label = clicker(draws)
    counts = torch.zeros(40, 48, dtype=torch.int64)
    counts.index_put_(tuple(yx.long().T), torch.ones(draws, dtype=torch.int64), accumulate=True)
    return counts, set(label.tolist())


def assert_uniform(counts, region):
    """Every pixel of the region and no other; chi-square within six standard deviations."""
    assert torch.equal(counts > 0, region)
    expected = counts.sum() / region.sum()
    freedom = int(region.sum()) - 1
    chi_square = ((counts[region] - expected) ** 2 / expected).sum()
    assert abs(chi_square - freedom) < 6 * (2 * freedom) ** 0.5


def test_training_clicks_are_uniform_over_the_core_of_the_larger_error(generator):
    mask, pred = square(rows=(6, 27), cols=(4, 25)), square(rows=(30, 36), cols=(30, 46))
    batch = [each.expand(3000, -1, -1, -1) for each in (pred, mask, NOTHING)]
    counts, labels = drawn(lambda n: sample_next_click(*batch, Clicks.empty(n), generator))
    depth = squared_distance(mask[:, 0])[0].double().sqrt()
    assert labels == {1}
    assert_uniform(counts, depth > depth.max() / 2)

    batch = [each.expand(3000, -1, -1, -1) for each in (mask, pred, NOTHING)]
    counts, labels = drawn(lambda n: sample_next_click(*batch, Clicks.empty(n), generator))
    assert labels == {0}
    assert_uniform(counts, depth > depth.max() / 2)


def test_first_clicks_are_uniform_over_the_core_of_the_object(generator):
    mask, ignore = square(rows=(6, 27), cols=(4, 30)), square(rows=(6, 27), cols=(25, 30))
    counts, labels = drawn(lambda n: sample_first_click(mask.expand(n, -1, -1, -1), ignore.expand(n, -1, -1, -1), generator))
    depth = squared_distance((mask & ~ignore)[:, 0])[0].double().sqrt()
    assert labels == {1}
    assert_uniform(counts, depth > depth.max() / 1.7)


def test_training_clicks_skip_clicked_pixels(generator):
    mask = square(rows=(10, 11), cols=(8, 12))
    clicks = Clicks(torch.tensor([[[10.0, 8.0], [10.0, 11.0]]]), torch.tensor([[1, 0]], dtype=torch.int8))
    seen = set()
    for _ in range(60):
        yx, _ = sample_next_click(NOTHING, mask, NOTHING, clicks, generator)
        seen.add(tuple(yx[0].tolist()))
    assert seen == {(10.0, 9.0), (10.0, 10.0)}


def test_where_nothing_can_be_clicked_the_label_is_unused(generator):
    one = square(rows=(3, 4), cols=(3, 4))
    clicked = Clicks(torch.tensor([[[3.0, 3.0]]]), torch.ones(1, 1, dtype=torch.int8))
    assert sample_next_click(one, one, NOTHING, Clicks.empty(1), generator)[1].tolist() == [-1]
    assert sample_next_click(NOTHING, one, one, Clicks.empty(1), generator)[1].tolist() == [-1]
    assert sample_next_click(NOTHING, one, NOTHING, clicked, generator)[1].tolist() == [-1]
    assert sample_first_click(NOTHING, NOTHING, generator)[1].tolist() == [-1]
    assert sample_first_click(one, one, generator)[1].tolist() == [-1]


def test_draws_come_from_the_generator_alone(generator):
    mask = blobs(generator, 5)
    arguments = (torch.zeros_like(mask), mask, torch.zeros_like(mask), Clicks.empty(5))
    first, again = (sample_next_click(*arguments, torch.Generator().manual_seed(seed))[0] for seed in (3, 3))
    assert torch.equal(first, again)
    assert not torch.equal(first, sample_next_click(*arguments, torch.Generator().manual_seed(4))[0])


@pytest.mark.parametrize("bad", [torch.zeros(1, 1, 40, 48), torch.zeros(1, 40, 48, dtype=torch.bool)])
def test_other_input_is_refused(bad, generator):
    with pytest.raises(ValueError, match="need bool masks"):
        next_click(bad, NOTHING, NOTHING, Clicks.empty(1))
    with pytest.raises(ValueError, match="need bool masks"):
        sample_first_click(NOTHING, bad, generator)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_accelerator_agrees_without_waiting(generator):
    pred, mask, ignore = blobs(generator, 4), blobs(generator, 4), blobs(generator, 4) & blobs(generator, 4)
    clicks = Clicks(torch.rand(4, 3, 2, generator=generator) * 40, torch.ones(4, 3, dtype=torch.int8))
    moved = [each.cuda() for each in (pred, mask, ignore, clicks.yx, clicks.label)]
    torch.cuda.set_sync_debug_mode("error")
    try:
        there = Clicks(*moved[3:])
        got = next_click(*moved[:3], there), sample_next_click(*moved[:3], there, torch.Generator().manual_seed(5))
    finally:
        torch.cuda.set_sync_debug_mode("default")
    expected = (
        next_click(pred, mask, ignore, clicks),
        sample_next_click(pred, mask, ignore, clicks, torch.Generator().manual_seed(5)),
    )
    for ours, theirs in zip(got, expected, strict=True):
        assert torch.equal(ours[0].cpu(), theirs[0])
        assert torch.equal(ours[1].cpu(), theirs[1])
