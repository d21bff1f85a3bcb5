"""Which window of a scene an object is played on: the same one for neighbours, so that they share its features."""

from __future__ import annotations

from dataclasses import dataclass

Box = tuple[int, int, int, int]


@dataclass(frozen=True, order=True)
class Window:
    """Pixels of a scene; `bottom` and `right` are exclusive."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def rows(self) -> slice:
        return slice(self.top, self.bottom)

    @property
    def columns(self) -> slice:
        return slice(self.left, self.right)


@dataclass(frozen=True)
class WindowRule:
    """The sides that windows may have: `least`, twice that, four times that and so on, and `most`, in pixels.

    Raises:
        ValueError: `least` is below 16, or above `most`.
    """

    least: int = 512
    most: int = 2048

    def __post_init__(self) -> None:
        if not 16 <= self.least <= self.most:
            raise ValueError(
                f"Windows have sides from at least 16 pixels up to a limit that is no less, got {self.least} to {self.most}."
            )

    @property
    def sides(self) -> tuple[int, ...]:
        """Rising."""
        sides = [self.least]
        while 2 * sides[-1] < self.most:
            sides.append(2 * sides[-1])
        return (*sides, self.most) if sides[-1] < self.most else tuple(sides)

    def first(self, box: Box, name: str) -> int:
        """The index of the smallest side that holds `box`, which takes 3/8 of it at most: room for the rest of the object.

        The largest one may be filled.

        Raises:
            ValueError: the box is larger; `name` is the object's.
        """
        extent = max(box[2] - box[0], box[3] - box[1])
        for number, side in enumerate(self.sides):
            if 8 * extent <= 3 * side:
                return number
        if 2 * extent <= self.most:
            return len(self.sides) - 1
        raise ValueError(
            f"The prompts of object {name} are {extent} pixels apart; windows of at most {self.most} pixels take "
            f"{self.most // 2}. Do they belong to one object? If so, allow larger windows with --max-window."
        )


def window_around(box: Box, size: tuple[int, int], side: int) -> Window:
    """The window of this side, from a grid with a step of half a side, whose middle half holds the middle of `box`.

    At the scene's border it is moved inside; a scene that is smaller is taken whole.

    Args:
        box: top, left, bottom, right; at most half as long as `side`. size: (height, width) of the scene.
    """
    ends = []
    for low, high, length in ((box[0], box[2], size[0]), (box[1], box[3], size[1])):
        step = max(1, side // 2)
        start = ((low + high) // 2 - side // 4) // step * step
        start = max(0, min(start, length - side))
        ends.append((start, min(length, start + side)))
    return Window(ends[0][0], ends[1][0], ends[0][1], ends[1][1])
