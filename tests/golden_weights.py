"""The weights of the reference vectors, made by rule from parameter names, and the reference's points as our Clicks."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vfm_isrefiner.clicks import Clicks


def filled(name: str, shape: list[int] | tuple[int, ...]) -> Tensor:
    """One tensor of the reference state dict; the rules of the vectors' README, in its order."""
    last = name.split(".")[-1]
    if last == "num_batches_tracked":
        return torch.tensor(0)
    n = np.random.RandomState(zlib.crc32(name.encode())).standard_normal(tuple(shape)).astype(np.float32)
    fan = np.sqrt(np.prod(shape[1:])) if len(shape) > 1 else 1.0
    if last == "running_var":
        n = 0.5 + 0.5 * np.abs(n)
    elif last in ("pos_embed", "cls_token", "mask_token"):
        n = 0.02 * n
    elif last == "theta":
        n = 0.5 + 0.1 * n
    elif "offset_conv" in name and last == "weight":
        n = 0.5 * n / fan
    elif len(shape) >= 2:
        n = n / fan
    elif last == "weight":
        n = 1 + 0.1 * n
    else:
        n = 0.1 * n
    return torch.from_numpy(np.asarray(n, dtype=np.float32))


def reference_state(listing: Path) -> dict[str, Tensor]:
    """The published-name state dict that a `*_state_dict.json` lists."""
    return {name: filled(name, shape) for name, shape in json.loads(listing.read_text())}


def clicks_of_points(points: np.ndarray) -> Clicks:
    """Rows (y, x, order), first half positive, second half negative, unused -1 -> Clicks in time order."""
    rows = points.shape[1]
    parts = []
    for one in points:
        used = [(row[2], index < rows // 2, row[:2]) for index, row in enumerate(one) if row[2] >= 0]
        used.sort(key=lambda item: item[0])
        yx = torch.tensor(np.array([item[2] for item in used], dtype=np.float32)).reshape(1, -1, 2)
        parts.append(Clicks(yx, torch.tensor([[int(item[1]) for item in used]], dtype=torch.int8)))
    return Clicks.stack(parts)
