"""Where the time of one click goes, part by part of the network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from vfm_isrefiner.benchmark.click_speed import Played
from vfm_isrefiner.benchmark.timing import Clocks, once

# (owner below the network, method, label): what is called between the parts counts as the rest
ENCODE = (("vit", "embed_image", "patch embedding"), ("feature_fusion", "project", "keys and values of F_IFE"))
LATER = (
    ("vit", "forward", "ViT"),
    ("fpn", "forward", "pyramid"),
    ("mask_encoder", "forward", "mask encoder"),
    ("mask_decoder", "forward", "mask decoder"),
    ("pyramid_fusion", "forward", "pyramid fusion"),
    ("early_fusion", "forward", "early fusion"),
    ("feature_fusion", "forward", "feature fusion"),
    ("dynamic_conv", "forward", "dynamic convolution"),
    ("dynamic_conv", "read_upsampled", "dynamic convolution"),
    ("head", "forward", "head"),
    ("probability_encoder", "forward", "probability encoder"),
    ("late_fusion", "forward", "late fusion"),
)


@torch.no_grad()
def profiled(played: Played, network: nn.Module, device: torch.device, repeats: int = 3) -> dict[str, dict[str, float]]:
    """Seconds of the parts of encoding an image ("image") and of a later click ("click"), the least of `repeats`.

    What no part accounts for is "image extractor and rest" and "rest". `network` is the one that `played` plays, not compiled.
    """
    return {
        "image": _parts(played.encode, network, ENCODE, "image extractor and rest", device, repeats),
        "click": {
            "modulation": min(once(played.modulate, device) for _ in range(repeats)),
            **_parts(played.later, network, LATER, "rest", device, repeats, known=played.modulate),
        },
    }


def _parts(
    work: Callable[[], Any],
    network: nn.Module,
    parts: tuple[tuple[str, str, str], ...],
    rest: str,
    device: torch.device,
    repeats: int,
    known: Callable[[], Any] | None = None,
) -> dict[str, float]:
    places = [
        (label, getattr(network, owner), method) for owner, method, label in parts if getattr(network, owner, None) is not None
    ]
    best: dict[str, float] = {}
    for _ in range(repeats):
        clocks = Clocks(device)
        with clocks.in_place(places):
            whole = once(work, device)
        other = whole - sum(clocks.seconds.values()) - (once(known, device) if known is not None else 0.0)
        found = {**clocks.seconds, rest: max(0.0, other)}
        if not best or sum(found.values()) < sum(best.values()):
            best = found
    return best
