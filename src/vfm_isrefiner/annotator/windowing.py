"""Which window of the scene a person's object is played on, and when it is moved."""

from __future__ import annotations

from collections.abc import Sequence

from vfm_isrefiner.batch.windows import Box, Window, WindowRule, window_around


def box_of_clicks(clicks: Sequence[tuple[float, float, bool]]) -> Box:
    """Top, left, bottom, right of the pixels under clicks (x, y, positive), the last two exclusive."""
    xs, ys = [round(x) for x, _, _ in clicks], [round(y) for _, y, _ in clicks]
    return min(ys), min(xs), max(ys) + 1, max(xs) + 1


def union(one: Box, other: Box) -> Box:
    """The box around both."""
    return min(one[0], other[0]), min(one[1], other[1]), max(one[2], other[2]), max(one[3], other[3])


def holds(window: Window, box: Box, size: tuple[int, int], room: int = 0) -> bool:
    """Does the window hold the box, with `room` pixels to spare at borders that are not the scene's?"""
    low, high = (window.top, window.left), (window.bottom, window.right)
    return all(
        (box[k] >= low[k] + room or low[k] == 0) and (box[k + 2] <= high[k] - room or high[k] == size[k]) for k in (0, 1)
    )


def window_for(box: Box, size: tuple[int, int], rule: WindowRule, least: int = 0) -> Window | None:
    """The smallest window of the rule, of the side number `least` or a later one, that holds the box; None: too large.

    Half of its side is room for the rest of the object, where a side allows it.
    """
    extent = max(box[2] - box[0], box[3] - box[1])
    for side in rule.sides[least:]:
        if 2 * extent <= side:
            return window_around(box, size, side)
    return _about(box, size, rule.most) if extent <= rule.most else None


def _about(box: Box, size: tuple[int, int], side: int) -> Window:
    ends = []
    for low, high, length in ((box[0], box[2], size[0]), (box[1], box[3], size[1])):
        start = max(0, min((low + high - side) // 2, length - side))
        ends.append((start, min(length, start + side)))
    return Window(ends[0][0], ends[1][0], ends[0][1], ends[1][1])


def number_of(window: Window, rule: WindowRule) -> int:
    """The number of the smallest side of the rule that a window of this size may have."""
    side = max(window.bottom - window.top, window.right - window.left)
    return next((number for number, one in enumerate(rule.sides) if side <= one), len(rule.sides) - 1)
