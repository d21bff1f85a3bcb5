"""The exact squared distance of `distance.py` as two Triton kernels.

Triton compiles annotations too, so its functions have none.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

COLUMNS = 128  # that one program works on
STEPS = 8  # along the row before it looks whether nearer pixels can still come


@triton.jit
def _along_columns(mask, result, height, width, COLUMNS: tl.constexpr):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202
    """Squared distance to the nearest False pixel of the same column: once down, once up."""
    x = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    start = tl.program_id(0).to(tl.int64) * height * width + x
    depth = tl.zeros((COLUMNS,), tl.int32)
    for y in range(0, height):
        depth = (depth + 1) * tl.load(mask + start + y * width, x < width, 0).to(tl.int32)
        tl.store(result + start + y * width, depth, x < width)
    tl.debug_barrier()  # on some GPUs other threads read what was stored
    depth = tl.zeros((COLUMNS,), tl.int32)
    for back in range(0, height):
        at = start + (height - 1 - back) * width
        depth = tl.minimum(depth + 1, tl.load(result + at, x < width, 0))
        tl.store(result + at, depth * depth, x < width)


@triton.jit
def _along_rows(column, result, width, COLUMNS: tl.constexpr, STEPS: tl.constexpr):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202
    """The smallest of (x - x')² + column(x')² over all x' of the row, the pixel outside on either side included."""
    x = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    start = tl.program_id(0).to(tl.int64) * width
    nearest = tl.load(column + start + x, x < width, 0)
    step = 1
    while step * step < tl.max(nearest, 0):
        for further in tl.static_range(STEPS):
            left, right = x - step - further, x + step + further
            # what lies outside counts as False, also farther out than its first pixel: that is no nearer
            sides = tl.minimum(
                tl.load(column + start + left, (left >= 0) & (x < width), 0),
                tl.load(column + start + right, right < width, 0),
            )
            nearest = tl.minimum(nearest, sides + (step + further) * (step + further))
        step += STEPS
    tl.store(result + start + x, nearest, x < width)


def squared_distance_triton(mask: Tensor) -> Tensor:
    """Same arguments and result as `distance.squared_distance`; the host does not wait."""
    batch, height, width = mask.shape
    column = torch.empty(mask.shape, dtype=torch.int32, device=mask.device)
    result = torch.empty_like(column)
    blocks = triton.cdiv(width, COLUMNS)
    # Triton takes the current device, whatever its arguments are on; none (-1) where it interprets on a CPU
    with torch.cuda.device(mask.device if mask.is_cuda else -1):
        if result.numel():
            _along_columns[(batch, blocks)](mask.contiguous().view(torch.uint8), column, height, width, COLUMNS)
            _along_rows[(batch * height, blocks)](column, result, width, COLUMNS, STEPS)
    return result
