"""Which window holds what."""

import numpy as np
import pytest

from vfm_isrefiner.annotator.windowing import box_of_clicks, holds, number_of, union, window_for
from vfm_isrefiner.batch.windows import Window, WindowRule

ROOM = 20
RULE = WindowRule(64, 200)  # 64, 128, 200
SIZE = (1000, 700)


def test_boxes():
    assert box_of_clicks([(3.4, 7.6, True), (1.2, 9.9, False)]) == (8, 1, 11, 4)
    assert union((1, 2, 3, 4), (0, 3, 2, 9)) == (0, 2, 3, 9)


@pytest.mark.parametrize(
    ("extent", "side"), [(1, 64), (32, 64), (33, 128), (64, 128), (65, 200), (100, 200), (101, 200), (200, 200)]
)
def test_the_smallest_side_that_leaves_room(extent, side):
    rng = np.random.default_rng(extent)
    for top, left in zip(
        rng.integers(0, SIZE[0] - extent, 50).tolist(), rng.integers(0, SIZE[1] - extent, 50).tolist(), strict=True
    ):
        box = (top, left, top + extent, left + extent)
        window = window_for(box, SIZE, RULE)
        assert (window.bottom - window.top, window.right - window.left) == (side, side)
        assert holds(window, box, SIZE, 0)
        assert number_of(window, RULE) == (64, 128, 200).index(side)


def test_what_is_too_large():
    assert window_for((0, 0, 201, 10), SIZE, RULE) is None


def test_no_smaller_than_asked():
    assert window_for((5, 5, 6, 6), SIZE, RULE, 1).bottom == 128


def test_a_small_scene_is_taken_whole():
    assert window_for((5, 5, 6, 6), (40, 30), RULE) == Window(0, 0, 40, 30)
    assert window_for((0, 0, 40, 30), (40, 30), RULE) == Window(0, 0, 40, 30)


def test_room_is_asked_for_where_the_scene_goes_on():
    window = Window(0, 64, 64 + ROOM * 2, 64 + ROOM * 3)
    assert holds(window, (0, 64 + ROOM, 10, 64 + ROOM + 1), SIZE, ROOM)
    assert not holds(window, (0, 64 + ROOM - 1, 10, 64 + ROOM + 1), SIZE, ROOM)
    assert not holds(window, (0, 64 + ROOM, window.bottom - ROOM + 1, 64 + ROOM + 1), SIZE, ROOM)
    assert holds(window, (0, 64, 1, 65), SIZE, 0)
    assert not holds(window, (0, 63, 1, 65), SIZE, 0)
