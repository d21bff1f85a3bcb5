"""What is small is dropped or filled, in pixels and on the ground."""

import math

import numpy as np
import pytest
from batch_scenes import GRIDS, SIZE

from vfm_isrefiner.batch.finished import Finished
from vfm_isrefiner.batch.pieces import Area, Smallest, without_small
from vfm_isrefiner.geo.ground import Grid


def mask():
    """A ring with a hole of 4 pixels, a piece of 6, one of 1 that touches it by a corner, and a bay open to the border."""
    drawn = np.zeros((12, 20), bool)
    drawn[2:8, 2:8] = True
    drawn[4:6, 4:6] = False
    drawn[2:4, 12:15] = True
    drawn[4, 15] = True
    drawn[9:, 10:20] = True
    drawn[10:, 14:16] = False
    return drawn


@pytest.mark.parametrize(("piece", "left"), [(0, 4), (1, 4), (1.5, 3), (6, 3), (7, 2), (33, 0)])
def test_small_pieces_are_dropped(piece, left):
    kept = without_small(mask(), piece, 0)
    tops = [kept[2, 2], kept[2, 12], kept[4, 15], kept[9, 10]]
    assert sum(tops) == left
    assert kept[4:6, 4:6].sum() == 0
    assert (kept <= mask()).all()


@pytest.mark.parametrize(("hole", "filled"), [(0, 0), (4, 0), (4.5, 4), (math.inf, 4)])
def test_small_holes_are_filled_and_bays_are_not(hole, filled):
    found = without_small(mask(), 0, hole)
    assert found[4:6, 4:6].sum() == filled
    assert found.sum() == mask().sum() + filled


def test_holes_are_filled_before_pieces_are_measured():
    ring = np.ones((5, 5), bool)
    ring[1:4, 1:4] = False
    assert without_small(ring, 17, 0).sum() == 0
    assert without_small(ring, 17, math.inf).sum() == 25


def test_holes_that_touch_by_a_corner_are_one():
    drawn = np.ones((6, 6), bool)
    drawn[2, 2] = drawn[3, 3] = False
    assert not without_small(drawn, 0, 2)[2, 2]
    assert without_small(drawn, 0, 3).all()


@pytest.mark.parametrize(
    ("text", "area"), [("20", Area(20)), (" 2.5 ", Area(2.5)), ("50px", Area(50, True)), ("ALL", Area(math.inf, True))]
)
def test_areas_are_read(text, area):
    assert Area.of(text) == area


@pytest.mark.parametrize(
    ("text", "message"),
    [("big", "20 .m²., 50px .pixels. or all was expected, got 'big'"), ("-1", "at least 0"), ("nanpx", "at least 0")],
)
def test_other_words_are_told(text, message):
    with pytest.raises(ValueError, match=message):
        Area.of(text)


def grid(name):
    return Grid(SIZE, *GRIDS[name], math.nan)


@pytest.mark.parametrize(("name", "pixel"), [("utm", 0.25), ("rotated", 0.25), ("degrees", 1.0005)])
def test_square_metres_are_those_of_the_ground(name, pixel):
    one = Finished.of("a", mask(), (40, 50), 0.8, 2)
    for scale, left in ((0.99, True), (1.01, False)):
        kept = Smallest(Area(6 * pixel * scale)).without(one, grid(name))
        assert kept.mask[0, 12 - 2] == left
        assert (kept.name, kept.corner, kept.score, kept.clicks) == ("a", (42, 52), 0.8, 2)
    holes = Smallest(hole=Area(4 * pixel * 1.01)).without(one, grid(name))
    assert holes.mask.sum() == one.mask.sum() + 4


def test_nothing_may_be_left_and_nothing_may_be_asked():
    one = Finished.of("a", mask(), (0, 0), 0.8, 2)
    assert Smallest().without(one, grid("pixels")) is one
    gone = Smallest(Area(1000, in_pixels=True)).without(one, grid("pixels"))
    assert (gone.size, gone.counts, gone.score) == ((0, 0), "", 0)
    assert Smallest(Area(1, in_pixels=True)).without(gone, grid("pixels")) is gone


def test_square_metres_need_a_place_on_the_ground():
    Smallest(Area(5, True), Area(math.inf, True)).check(grid("pixels"))
    Smallest(Area(5)).check(grid("utm"))
    with pytest.raises(ValueError, match=r"--min-area 5 is in m².*Give pixels: --min-area 5px"):
        Smallest(Area(5)).check(grid("pixels"))
    with pytest.raises(ValueError, match="--fill-holes 2 is in m²"):
        Smallest(hole=Area(2)).check(grid("pixels"))
