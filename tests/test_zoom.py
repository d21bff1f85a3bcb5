"""Zoom-in: the region rule, what is encoded when, what becomes of the probability outside, and rows on their own."""

from dataclasses import replace

import pytest
import torch
from loop_parts import Brightness, drawn

from vfm_isrefiner.clicks import Clicks
from vfm_isrefiner.instance import InstanceBatch
from vfm_isrefiner.modulation import modulate_none
from vfm_isrefiner.rollout import Round, rollout
from vfm_isrefiner.zoom import ZoomIn, ZoomRule, object_roi, whole_roi

SMALL = ZoomRule((24, 24), min_crop=10)
ASPECT = ZoomRule(24, skip_clicks=1, keep_outside=False, min_crop=10)


def clicks_of(*rows):
    """Clicks of one object: (y, x, label) each."""
    table = torch.tensor(rows, dtype=torch.float32)[None]
    return Clicks(table[..., :2], table[..., 2].to(torch.int8))


def with_object(height, width, box, segmenter):
    """An interaction whose prediction is the box (top, bottom, left, right)."""
    begin = segmenter.start(torch.full((1, 3, height, width), 100, dtype=torch.uint8))
    prob = torch.zeros(1, 1, height, width)
    prob[..., box[0] : box[1] + 1, box[2] : box[3] + 1] = 0.9
    return replace(begin, prob=prob)


def roi_of(mask, rule, *clicks):
    table = clicks_of(*clicks) if clicks else Clicks.empty(1)
    roi, found = object_roi(mask, table, torch.tensor([[mask.shape[-2], mask.shape[-1]]]), rule)
    return roi[0].tolist(), bool(found)


def test_region_is_the_expanded_box_of_mask_and_positive_clicks():
    mask = torch.zeros(1, 1, 100, 100, dtype=torch.bool)
    mask[..., 40:60, 30:50] = True
    assert roi_of(mask, SMALL) == ([36, 64, 26, 54], True)  # 49.5 -+ 14 and 39.5 -+ 14, halves to even
    assert roi_of(mask, SMALL, (50.0, 69.0, 1)) == ([36, 64, 22, 78], True)
    assert roi_of(mask, SMALL, (50.0, 69.0, 0)) == ([36, 64, 26, 54], True)
    assert roi_of(mask, ZoomRule()) == ([0, 99, 0, 99], True)  # 200 pixels at least, clamped
    assert roi_of(torch.zeros_like(mask), SMALL)[1] is False


def test_region_is_clamped_to_the_image_without_its_padding():
    mask = torch.zeros(1, 1, 100, 100, dtype=torch.bool)
    mask[..., 40:60, 30:50] = True
    roi, _ = object_roi(mask, Clicks.empty(1), torch.tensor([[62, 51]]), SMALL)
    assert roi[0].tolist() == [36, 61, 26, 50]


def test_whole_image_is_the_first_view_and_is_encoded_at_the_start():
    network = Brightness()
    segmenter = ZoomIn(Round(network, modulate_none), SMALL)
    begin = segmenter.start(torch.zeros(2, 3, 40, 60, dtype=torch.uint8), torch.tensor([[40, 60], [30, 50]]))
    assert network.encoded == [2]
    after = segmenter.refine(begin, begin.clicks.append(torch.tensor([[5.0, 5.0], [6.0, 6.0]]), torch.tensor([1, 1])))
    assert after.roi.tolist() == [[0, 39, 0, 59], [0, 29, 0, 49]]
    assert network.encoded == [2]
    assert after.prob[1, 0, 30:].eq(0).all()  # padding
    assert after.prob[1, 0, :, 50:].eq(0).all()


def test_region_stays_until_it_fits_no_more():
    segmenter = ZoomIn(Round(Brightness(bias=-30), modulate_none), SMALL)  # predicts nothing by itself
    start = with_object(100, 100, (40, 59, 40, 59), segmenter)
    first = segmenter.refine(start, clicks_of((50, 50, 1)))
    assert first.roi.tolist() == [[36, 64, 36, 64]]

    def next_roi(box, *clicks):
        prob = with_object(100, 100, box, segmenter).prob
        return segmenter.refine(replace(first, prob=prob), clicks_of((50, 50, 1), *clicks)).roi[0].tolist()

    assert next_roi((42, 57, 40, 59)) == [36, 64, 36, 64]  # a little smaller: kept
    assert next_roi((40, 59, 40, 59), (10, 10, 0)) == [36, 64, 36, 64]  # negative clicks do not count
    assert next_roi((47, 52, 47, 52)) == [44, 54, 44, 54]  # much smaller: 1-D overlaps 11/29 each
    moved = next_roi((40, 59, 40, 59), (80, 50, 1))
    assert moved[1] >= 80  # a positive click outside
    assert next_roi((40, 59, 40, 59), (64, 50, 1)) != [36, 64, 36, 64]  # the last row counts as outside
    assert next_roi((40, 59, 40, 59), (36, 50, 1)) == [36, 64, 36, 64]  # the first row does not


def test_only_rows_whose_region_moved_are_encoded_again():
    network = Brightness()
    segmenter = ZoomIn(Round(network, modulate_none, flip=True), SMALL)
    batch = InstanceBatch.collate([drawn(60, 80, seed) for seed in (1, 2, 3)])
    begin = segmenter.start(batch.image, batch.size)
    first = segmenter.refine(begin, begin.clicks.append(torch.full((3, 2), 10.0), torch.ones(3, dtype=torch.int8)))
    prob = first.prob.clone()
    prob[:] = 0.9  # rows 0 and 2 stay with the whole image
    prob[1] = 0
    prob[1, 0, 30:40, 30:40] = 0.9
    network.encoded.clear()
    clicks = first.clicks.append(torch.full((3, 2), 34.0), torch.tensor([0, 1, 0]))
    clicks = replace(clicks, label=torch.tensor([[1, 0], [-1, 1], [1, 0]], dtype=torch.int8))
    second = segmenter.refine(replace(first, prob=prob), clicks)
    assert network.encoded == [1, 1]  # one image and its mirror
    assert second.roi[1].tolist() == [28, 42, 28, 42]
    assert torch.equal(second.features.image[[0, 2]], first.features.image[[0, 2]])
    fresh = segmenter.round.encode(segmenter.round.encode(batch.image)[0].image[1:2, :, 28:43, 28:43])[0].image
    expected = torch.nn.functional.interpolate(fresh, (24, 24), mode="bilinear", align_corners=True)
    torch.testing.assert_close(second.features.image[1:2], expected, atol=1e-6, rtol=0)
    torch.testing.assert_close(second.flipped.image[1:2], expected.flip(-1), atol=1e-6, rtol=0)


def test_the_network_sees_the_crop_of_the_probability_and_the_mapped_clicks():
    seen = []

    class Recording(Brightness):
        def __call__(self, features, click_maps, prev_prob, mod_prob):
            seen.append(click_maps)
            return super().__call__(features, click_maps, prev_prob, mod_prob)

    network = Recording()
    segmenter = ZoomIn(Round(network, modulate_none), ZoomRule((40, 80), min_crop=10))
    start = with_object(100, 100, (40, 59, 40, 59), segmenter)
    segmenter.refine(start, clicks_of((50, 50, 1)))
    inside = start.prob[..., 36:65, 36:65]
    expected = torch.nn.functional.interpolate(inside, (40, 80), mode="bilinear", align_corners=True)
    torch.testing.assert_close(network.passes[-1][0], expected, atol=1e-6, rtol=0)
    y, x = 40 * 14 / 29, 80 * 14 / 29  # side * (50 - 36) / 29, not rounded
    grid_y, grid_x = torch.meshgrid(torch.arange(40), torch.arange(80), indexing="ij")
    assert torch.equal(seen[-1][0, 0].bool(), (grid_y - y) ** 2 + (grid_x - x) ** 2 <= 25)


@pytest.mark.parametrize("keep_outside", [True, False])
def test_probability_outside_of_the_crop(keep_outside):
    segmenter = ZoomIn(Round(Brightness(), modulate_none), replace(SMALL, keep_outside=keep_outside))
    start = with_object(100, 100, (40, 59, 40, 59), segmenter)
    start.prob[..., :5, :5] = 0.25
    after = segmenter.refine(start, clicks_of((50, 50, 1)))
    outside = torch.ones(1, 1, 100, 100, dtype=torch.bool)
    outside[..., 36:65, 36:65] = False
    expected = start.prob if keep_outside else torch.zeros_like(start.prob)
    assert torch.equal(after.prob[outside], expected[outside])
    assert not torch.equal(after.prob[~outside], start.prob[~outside])


def test_ritm_begins_with_the_whole_image_at_its_own_size_and_keeps_the_aspect():
    network = Brightness()
    segmenter = ZoomIn(Round(network, modulate_none), ASPECT)
    begin = segmenter.start(drawn(40, 60).image[None])
    first = segmenter.refine(begin, clicks_of((20, 30, 1)))
    assert network.passes[-1][0].shape == (1, 1, 40, 60)
    assert first.roi.tolist() == [[-1] * 4]
    prob = with_object(40, 60, (10, 29, 20, 29), segmenter).prob
    second = segmenter.refine(replace(first, prob=prob), clicks_of((20, 25, 1), (1, 1, 0)))
    assert second.roi.tolist() == [[6, 34, 18, 32]]  # 28 -> 29 rows, 14 -> 15 columns, both rounded outwards
    assert network.passes[-1][0].shape == (1, 1, 24, round(15 * 24 / 29))


def test_ritm_with_an_empty_prediction_sees_the_whole_image_and_keeps_its_region():
    network = Brightness()
    segmenter = ZoomIn(Round(network, modulate_none), ASPECT)
    start = with_object(40, 60, (10, 29, 20, 29), segmenter)
    second = segmenter.refine(start, clicks_of((20, 25, 1), (1, 1, 0)))
    empty = replace(second, prob=torch.zeros_like(second.prob))
    third = segmenter.refine(empty, clicks_of((20, 25, 1), (1, 1, 0), (2, 2, 0)))
    assert network.passes[-1][0].shape == (1, 1, 40, 60)
    assert torch.equal(third.roi, second.roi)
    assert third.prob[0, 0, :6].eq(0).all()  # pasted into the region, as the reference does
    assert third.features is None
    network.encoded.clear()
    segmenter.refine(replace(third, prob=start.prob), clicks_of((20, 25, 1), (1, 1, 0), (2, 2, 0), (3, 3, 0)))
    assert network.encoded == [1]


def click_in_turn(interaction):
    number = interaction.clicks.label.shape[1]
    yx = torch.tensor([[20.0 + number, 18.0], [11.0, 9.0 + number], [7.0, 23.0 + number]])[: len(interaction)]
    return yx, torch.full((len(yx),), 1 - number % 2, dtype=torch.int8)


@pytest.mark.parametrize("rule", [SMALL, replace(SMALL, keep_outside=False), ASPECT, replace(ASPECT, target=None)])
@pytest.mark.parametrize("flip", [True, False])
def test_rows_of_a_mixed_batch_are_as_if_alone(rule, flip):
    segmenter = ZoomIn(Round(Brightness(), modulate_none, flip=flip), rule)
    items = [drawn(60, 48, 1), drawn(30, 66, 2), drawn(48, 48, 3)]
    batch = InstanceBatch.collate(items)
    together = list(rollout(segmenter, segmenter.start(batch.image, batch.size), click_in_turn, 5))
    for row, item in enumerate(items):
        height, width = item.image.shape[1:]

        def click(interaction, row=row):
            number = interaction.clicks.label.shape[1]
            yx = [[20.0 + number, 18.0], [11.0, 9.0 + number], [7.0, 23.0 + number]][row]
            return torch.tensor([yx]), torch.tensor([1 - number % 2], dtype=torch.int8)

        for one, many in zip(rollout(segmenter, segmenter.start(item.image[None]), click, 5), together, strict=True):
            assert torch.equal(many.roi[row], one.roi[0])
            torch.testing.assert_close(many.prob[row, :, :height, :width], one.prob[0], atol=1e-6, rtol=0)
            assert many.prob[row, :, height:].eq(0).all()


def test_features_kept_and_encoded_each_time_give_the_same():
    segmenter = ZoomIn(Round(Brightness(), modulate_none), SMALL)
    batch = InstanceBatch.collate([drawn(60, 48, 1), drawn(30, 66, 2), drawn(48, 48, 3)])
    forgetful = segmenter.start(batch.image, batch.size)
    for kept in rollout(segmenter, forgetful, click_in_turn, 5):
        yx, label = click_in_turn(forgetful)
        forgetful = segmenter.refine(replace(forgetful, features=None), forgetful.clicks.append(yx, label))
        torch.testing.assert_close(kept.prob, forgetful.prob)
        torch.testing.assert_close(kept.features.image, forgetful.features.image)


def test_whole_roi_is_inclusive():
    assert whole_roi(torch.tensor([[40, 60]])).tolist() == [[0, 39, 0, 59]]


@pytest.mark.parametrize("target", [0, (0, 4), (4, 4, 4), -3])
def test_target_must_be_a_size(target):
    with pytest.raises(ValueError, match=r"ZoomRule\.target is"):
        ZoomRule(target)


@pytest.mark.parametrize("wrong", [{"min_crop": 0}, {"expansion": 0.9}])
def test_crops_must_hold_the_object(wrong):
    with pytest.raises(ValueError, match="min_crop >= 1 pixel and expansion >= 1"):
        ZoomRule(**wrong)
