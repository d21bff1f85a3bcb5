"""Synthetic scenes: the same for the same seed, with masks that are exactly what was drawn."""

import pickle

import numpy as np
import pytest
import torch

from vfm_isrefiner.data.synthetic import KINDS, SyntheticScenes, draw_scene, draw_scene_ids
from vfm_isrefiner.data.synthetic.layout import Frame, Lot, Space, divided
from vfm_isrefiner.data.synthetic.paint import draw
from vfm_isrefiner.data.synthetic.plan import IGNORE, Body, Ground, Mark, Plan, Thing, cover, draw_ids
from vfm_isrefiner.data.synthetic.shapes import box, ellipse, one, swept

SIZES = [(64, 64), (96, 70), (200, 256)]
EXPECTED = {
    "urban": {"building", "vehicle", "pool"},
    "harbour": {"ship", "building", "tank", "vehicle"},
    "river": {"sandbar"},
    "farmland": {"field", "building", "tank", "vehicle"},
    "junction": {"road", "vehicle", "building"},
}
GREY, WHITE = np.full(3, 0.4), np.full(3, 0.9)


def scene(kind, size, seed=0):
    return draw_scene(np.random.default_rng(seed), size, kind)


def plan_of(*bodies, size=(16, 20)):
    """A plan of bodies or marks, from the lowest to the highest."""
    things = []
    for height, part in enumerate(bodies):
        is_body = isinstance(part, Body)
        mark = Mark(part.shape, WHITE, contrast=0) if is_body else part
        things.append(Thing(height, lambda rng, mark=mark: [mark], part if is_body else None))
    return Plan(size, Ground((np.full(3, 0.15),) * 2, contrast=0), tuple(things))


def square(left, top, right, bottom, category=""):
    return Body(one(box(left, top, right, bottom)), category)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", KINDS)
class TestDrawScene:
    def test_form(self, kind, size):
        image, ids, categories = scene(kind, size)
        assert image.shape == (3, *size)
        assert image.dtype == np.uint8
        assert image.flags.c_contiguous
        assert ids.shape == size
        assert ids.dtype == np.int32
        assert set(np.unique(ids)) - {0, IGNORE} == set(categories) == set(range(1, len(categories) + 1))

    def test_same_seed_same_scene(self, kind, size):
        first, second = scene(kind, size, 3), scene(kind, size, 3)
        assert np.array_equal(first[0], second[0])
        assert np.array_equal(first[1], second[1])
        assert first[2] == second[2]
        assert not np.array_equal(first[0], scene(kind, size, 4)[0])

    def test_ids_alone_are_those_of_the_whole_drawing(self, kind, size):
        _, ids, categories = scene(kind, size, 5)
        alone, names = draw_scene_ids(np.random.default_rng(5), size, kind)
        assert np.array_equal(ids, alone)
        assert categories == names

    def test_several_objects_that_can_be_clicked(self, kind, size):
        found = [scene(kind, size, seed)[1:] for seed in range(8)]
        assert all(np.bincount(ids[ids > 0])[1:].min() >= 12 for ids, _ in found)
        assert min(len(categories) for _, categories in found) >= 2
        assert np.mean([len(categories) for _, categories in found]) > 3

    def test_image_is_no_flat_picture(self, kind, size):
        image, _, _ = scene(kind, size)
        assert image.std() > 8
        assert ((image > 2) & (image < 253)).mean() > 0.6


@pytest.mark.parametrize("kind", KINDS)
def test_categories(kind):
    found = set()
    for seed in range(12):
        found |= set(draw_scene_ids(np.random.default_rng(seed), (256, 256), kind)[1].values())
    assert found == EXPECTED[kind]


def test_sizes_reach_from_cars_to_a_good_part_of_the_image():
    areas = [record.area for record in SyntheticScenes(20, 192).records]
    assert min(areas) < 40
    assert 0.12 * 192**2 < max(areas) < 0.4 * 192**2


def test_number_of_objects_follows_the_area():
    small, large = (
        np.mean([len(draw_scene_ids(np.random.default_rng(seed), (side, side), "harbour")[1]) for seed in range(6)])
        for side in (128, 512)
    )
    assert large > 3 * small


def test_colour_alone_does_not_give_the_objects():
    """The best threshold on any one channel's brightness separates objects from the rest poorly."""
    best = []
    for number, kind in enumerate(KINDS * 3):
        image, ids, _ = scene(kind, (128, 128), number)
        inside = ids > 0
        levels = [channel >= level for channel in image for level in range(10, 250, 10)]
        best.append(max((m & inside).sum() / (m | inside).sum() for level in levels for m in (level, ~level)))
    assert np.mean(best) < 0.7


class TestErrors:
    def test_unknown_kind(self):
        with pytest.raises(ValueError, match=r"no synthetic scene of kind 'moon'; choose from urban, "):
            scene("moon", (64, 64))

    def test_too_small(self):
        with pytest.raises(ValueError, match=r"31×64 pixels .* at least 32"):
            scene("urban", (31, 64))

    @pytest.mark.parametrize("gsd", [0.01, 30.0, float("nan")])
    def test_gsd(self, gsd):
        with pytest.raises(ValueError, match=r"0\.05 to 2 metres per pixel"):
            draw_scene(np.random.default_rng(0), (64, 64), "urban", gsd)

    @pytest.mark.parametrize("wrong", [{"count": 0}, {"count": 2, "kinds": ()}])
    def test_nothing_asked_for(self, wrong):
        with pytest.raises(ValueError, match="at least one scene and one kind"):
            SyntheticScenes(**wrong)

    def test_negative_seed(self):
        with pytest.raises(ValueError, match="seed of 0 or more, got -1"):
            SyntheticScenes(1, 64, seed=-1)

    def test_unknown_kind_of_a_set(self):
        with pytest.raises(ValueError, match="'moon'"):
            SyntheticScenes(1, 64, kinds=("moon",))


class TestIdMap:
    def test_pixels_covered_by_more_than_half(self):
        ids, categories = draw_ids(plan_of(square(3.5, 2.5, 9.5, 5.5, "building")))
        expected = np.zeros((16, 20), int)
        expected[3:6, 4:10] = 1  # pixel centres are whole numbers, so the pixel 4 reaches from 3.5 to 4.5
        assert np.array_equal(ids, expected)
        assert categories == {1: "building"}

    def test_area_of_a_disk(self):
        ids, _ = draw_ids(plan_of(Body(one(40 + ellipse(30, 30, 200)), "tank"), size=(80, 80)))
        assert (ids == 1).sum() == pytest.approx(np.pi * 30**2, rel=0.02)

    def test_later_bodies_hide_earlier_ones(self):
        ids, _ = draw_ids(plan_of(square(0, 0, 9, 9, "building"), square(5, 0, 12, 9)))
        assert (ids[2:8, 7:] == 0).all()
        assert (ids[2:8, 1:4] == 1).all()

    def test_paint_and_shadow_leave_the_ids(self):
        house = square(0, 0, 9, 9, "building")
        window, dark = Mark(one(box(2, 2, 5, 5)), GREY), Mark(one(box(4, 4, 15, 15)), GREY, shadow=True, feather=2)
        assert np.array_equal(draw_ids(plan_of(house))[0], draw_ids(plan_of(house, window, dark))[0])

    def test_scraps_are_ignored_and_numbers_closed(self):
        speck, hidden = square(15, 12, 17, 14, "vehicle"), square(0, 0, 12, 12, "building")
        above, last = square(-1, 2, 13, 13), square(14, 0, 19, 6, "pool")
        ids, categories = draw_ids(plan_of(speck, hidden, above, last))
        assert categories == {1: "pool"}
        assert ids[13, 16] == IGNORE  # 9 pixels
        assert ids[1, 5] == IGNORE  # more than 12, less than a fifth
        assert set(np.unique(ids)) == {IGNORE, 0, 1}

    def test_higher_things_come_later(self):
        plan = plan_of(square(0, 0, 9, 9, "building"), square(0, 0, 9, 9, "ship"))
        turned = Plan(plan.size, plan.ground, plan.things[::-1])
        assert draw_ids(plan)[1] == draw_ids(turned)[1] == {1: "ship"}

    def test_off_the_image(self):
        assert cover(one(box(-9, -9, -5, -5)), (16, 20)) is None

    def test_courtyard_is_no_roof(self):
        ids, _ = draw_ids(plan_of(Body(((box(1, 1, 14, 14), box(5, 5, 10, 10)),), "building")))
        assert ids[7, 7] == 0
        assert ids[3, 7] == 1


class TestPaint:
    def test_image_follows_the_mask(self):
        """A white square on dark ground: brightness above the middle is the mask, at its edges to the pixel."""
        plan = plan_of(square(9.5, 9.5, 29.5, 24.5, "building"), size=(40, 48))
        for seed in range(6):
            image, ids, _ = draw(plan, np.random.default_rng(seed))
            grey = image.mean(0)
            middle = (grey[ids == 1].mean() + grey[ids == 0].mean()) / 2
            corners = np.zeros(ids.shape, bool)
            corners[np.ix_((10, 24), (10, 29))] = True  # blur rounds them off
            assert np.array_equal((grey > middle)[~corners], (ids == 1)[~corners])

    def test_shadow_darkens(self):
        dark = Mark(one(box(5, 5, 20, 20)), np.full(3, 0.3), shadow=True)
        image, _, _ = draw(plan_of(dark, size=(32, 32)), np.random.default_rng(0))
        assert image[:, 8:18, 8:18].mean() < 0.75 * image[:, 24:, 24:].mean()

    def test_every_kind_of_paint(self):
        rim = Mark(one(box(2, 2, 30, 14)), WHITE, mottle=0.1, rim=(np.full(3, 0.1), 4.0))
        rows = Mark(one(box(2, 18, 30, 30)), WHITE, contrast=0, stripes=(0.0, 4.0, 0.3))
        things = plan_of(rim, rows).things
        water = Plan((32, 32), Ground((GREY, GREY * 0.5), flow=0.7), things, satellite=True)
        image, _, _ = draw(water, np.random.default_rng(1))
        assert image[:, 3, 5:27].mean() < image[:, 8, 10:22].mean()  # the wet edge
        lines = image[:, 20:28, 5:27].mean((0, 2))
        assert lines.std() > 5  # rows along x differ
        assert image[:, 20:28, 5:27].mean((0, 1)).std() < lines.std()


class TestShapes:
    @pytest.mark.parametrize("by", [(4.0, 3.0), (-5.0, 0.0)])
    def test_swept_square(self, by):
        shape = swept((box(10, 10, 16, 16),), np.array(by))
        covered = cover(shape, (32, 32))
        area = 36 + 6 * (abs(by[0]) + abs(by[1]))
        assert covered.share.sum() / 240 == pytest.approx(area, rel=0.08)

    def test_shadow_falls_into_a_courtyard(self):
        shape = swept((box(2, 2, 28, 28), box(8, 8, 22, 22)), np.array([4.0, 0.0]))
        covered = cover(shape, (40, 40))
        share = np.zeros((40, 40))
        share[covered.rows, covered.columns] = covered.share / 240
        assert share[15, 10] == 1
        assert share[15, 18] == 0

    def test_lots_do_not_overlap(self):
        rng = np.random.default_rng(0)
        frame = Frame((64, 64), np.array([32.0, 32.0]), 0.4)
        lots, streets = divided(rng, frame, Lot(-60, -60, 60, 60), 20, 40, 5)
        assert streets
        for index, a in enumerate(lots + streets):
            for b in (lots + streets)[index + 1 :]:
                apart = a.right <= b.left + 1e-9 or b.right <= a.left + 1e-9 or a.bottom <= b.top + 1e-9
                assert apart or b.bottom <= a.top + 1e-9

    def test_space_is_given_once(self):
        space = Space((32, 32))
        assert space.claim(box(2, 2, 12, 12))
        assert not space.claim(box(8, 8, 20, 20))
        assert not space.claim(box(-20, -20, -5, -5))
        assert space.claim(box(20, 20, 40, 40))


@pytest.fixture(scope="module")
def scenes():
    return SyntheticScenes(6, (64, 80), seed=1, gsd=0.4)


class TestSyntheticScenes:
    def test_records_say_what_the_masks_hold(self, scenes):
        for index, record in enumerate(scenes.records):
            item = scenes[index]
            rows, columns = item.mask[0].nonzero(as_tuple=True)
            left, top = int(columns.min()), int(rows.min())
            assert record.area == len(rows) >= 12
            assert record.bbox == (left, top, int(columns.max()) - left + 1, int(rows.max()) - top + 1)
            assert (item.id, item.category, item.source, item.gsd) == (record.id, record.category, "synthetic", 0.4)
            assert item.image.shape == (3, *record.size)

    def test_masks_and_ignored_pixels_of_a_scene_do_not_overlap(self, scenes):
        total: dict[str, torch.Tensor] = {}
        for index, record in enumerate(scenes.records):
            total[record.image] = total.get(record.image, scenes[index].ignore.int()) + scenes[index].mask.int()
        assert len(total) == 6
        assert all(int(layers.max()) == 1 for layers in total.values())

    def test_ids(self, scenes):
        first = [record for record in scenes.records if record.image == "scene00000"]
        assert [record.id for record in first] == [f"scene00000/{number}" for number in range(1, len(first) + 1)]

    def test_scene_does_not_depend_on_count_or_order(self, scenes):
        again = SyntheticScenes(4, (64, 80), seed=1, gsd=0.4)
        assert scenes.records[: len(again)] == again.records
        last = len(again) - 1
        assert torch.equal(again[last].image, scenes[last].image)
        assert torch.equal(again[last].mask, scenes[last].mask)

    def test_kinds_in_turn(self):
        scenes = SyntheticScenes(4, 64, kinds=["river", "harbour"])
        found = {record.image: record.category for record in scenes.records}
        assert [found[f"scene0000{number}"] == "sandbar" for number in range(4)] == [True, False, True, False]

    def test_fingerprint(self, scenes):
        assert scenes.fingerprint() == SyntheticScenes(6, (64, 80), seed=1, gsd=0.4).fingerprint()
        assert scenes.fingerprint() != SyntheticScenes(6, (64, 80), seed=2, gsd=0.4).fingerprint()

    def test_a_worker_draws_the_same(self, scenes):
        copy = pickle.loads(pickle.dumps(scenes))
        assert copy.records == scenes.records
        assert torch.equal(copy[2].image, scenes[2].image)

    def test_a_scene_is_drawn_once(self, scenes, monkeypatch):
        drawn = []
        fresh = SyntheticScenes(1, 64)
        monkeypatch.setattr("vfm_isrefiner.data.synthetic.scenes.draw", lambda plan, rng: drawn.append(1) or draw(plan, rng))
        for index in range(len(fresh)):
            fresh[index]
        assert drawn == [1]
