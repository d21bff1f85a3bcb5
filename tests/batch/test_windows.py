"""The rule of the windows, for any box."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vfm_isrefiner.batch.windows import Window, WindowRule, window_around

RULE = WindowRule(64, 300)


def test_sides_double_up_to_the_limit():
    assert RULE.sides == (64, 128, 256, 300)
    assert WindowRule().sides == (512, 1024, 2048)
    assert WindowRule(50, 50).sides == (50,)


@given(st.integers(16, 900), st.integers(16, 900), st.data())
def test_the_box_and_room_for_its_object_are_in_the_window(height, width, data):
    top, left = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    bottom = data.draw(st.integers(top + 1, min(height, top + 150)))
    right = data.draw(st.integers(left + 1, min(width, left + 150)))
    box = (top, left, bottom, right)
    side = RULE.sides[RULE.first(box, "a")]
    window = window_around(box, (height, width), side)
    assert window.top <= top < bottom <= window.bottom
    assert window.left <= left < right <= window.right
    assert window.bottom - window.top == min(side, height)
    assert window.right - window.left == min(side, width)
    assert window.bottom <= height
    assert window.right <= width
    if side < 300:
        room = side // 16 - 1
        assert window.left in (0, width - side) or left - window.left >= room
        assert window.right == width or window.right - right >= room


def test_neighbours_share_a_window():
    assert window_around((100, 100, 101, 101), (999, 999), 64) == window_around((110, 104, 112, 106), (999, 999), 64)
    assert window_around((100, 100, 101, 101), (999, 999), 64) == Window(64, 64, 128, 128)


def test_what_fits_no_window_is_told():
    assert RULE.first((0, 0, 150, 1), "a") == 3
    with pytest.raises(ValueError, match="object a are 151 pixels apart; windows of at most 300 pixels take 150"):
        RULE.first((0, 0, 151, 1), "a")
    for least, most in ((8, 300), (64, 63)):
        with pytest.raises(ValueError, match=f"got {least} to {most}"):
            WindowRule(least, most)
