"""Windows that cover an image, and patches put back at their places."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from vfm_isrefiner.data.errors import DataError


@dataclass(frozen=True)
class Window:
    """Rows `row` to `row + height` and columns `column` to `column + width` of an image, in pixels."""

    row: int
    column: int
    height: int
    width: int

    @property
    def rows(self) -> slice:
        return slice(self.row, self.row + self.height)

    @property
    def columns(self) -> slice:
        return slice(self.column, self.column + self.width)


def windows(size: tuple[int, int], patch_size: int, overlap: int = 0) -> list[Window]:
    """Windows of `patch_size` × `patch_size` that cover an image of `size` (height, width), in row-major order.

    Neighbours share `overlap` pixels. Those of the last row and column are moved inside rather than cut short: all are of one
    size, and the last ones may share more. Along a side no longer than the patch there is one window of that side's length.

    Raises:
        DataError: the patch has no pixel, or the overlap is not below it.
    """
    if patch_size < 1 or not 0 <= overlap < patch_size:
        raise DataError(
            f"Patches of patch_size={patch_size} with overlap={overlap} cover no image. "
            "Take patch_size of 1 or more and an overlap from 0 to less than it."
        )
    (rows, height), (columns, width) = (_starts(side, patch_size, overlap) for side in size)
    return [Window(row, column, height, width) for row in rows for column in columns]


def reassembled(size: tuple[int, int], parts: Iterable[tuple[int, int, Tensor]]) -> Tensor:
    """The union, (H, W) bool, of masks (h, w) bool at the (row, column) of their first pixel in an image of `size`."""
    whole = torch.zeros(size, dtype=torch.bool)
    for row, column, mask in parts:
        whole[row : row + mask.shape[0], column : column + mask.shape[1]] |= mask
    return whole


def _starts(side: int, patch_size: int, overlap: int) -> tuple[list[int], int]:
    """First pixels of the windows along one side, and their length."""
    if side <= patch_size:
        return [0], side
    last = side - patch_size
    return [*range(0, last, patch_size - overlap), last], patch_size
