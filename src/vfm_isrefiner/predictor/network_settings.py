"""What a network itself decides of how it is played: crops, passes, calibration, device, who may share a forward."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from vfm_isrefiner.models.inference import usual_modulation, usual_passes
from vfm_isrefiner.modulation import Modulation, modulate_isrefiner, modulate_mfp, modulate_none
from vfm_isrefiner.predictor.gathering import GatheredRound
from vfm_isrefiner.rollout import Network, Round
from vfm_isrefiner.zoom import ZoomRule

MODULATIONS: Mapping[str, Modulation] = {"isrefiner": modulate_isrefiner, "mfp": modulate_mfp, "none": modulate_none}


def settings_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """What a config says of how its network is played: "modulation", "zoom", "first_click_passes", "calibration"."""
    side = config.get("input_size") or config.get("image_size")
    return {
        "modulation": MODULATIONS[usual_modulation(config)],
        "zoom": ZoomRule() if side is None else ZoomRule((side, side)),
        "first_click_passes": usual_passes(config),
        "calibration": config.get("score_calibration", ()),
    }


def device_of(network: Network) -> torch.device:
    """That of its parameters; the CPU where it has none."""
    inner = getattr(network, "network", network)  # of one that `for_inference` made
    parameter = next(inner.parameters(), None) if isinstance(inner, nn.Module) else None
    return torch.device("cpu") if parameter is None else parameter.device


def mixes_rows(round: Round) -> bool:
    """Does what the network says of one row depend on the others? So it is with the released VFM-ISRefiner, unless each row
    goes with its own mirror image (docs/beware.md)."""
    config = getattr(round.network, "config", {})
    return bool(config.get("released")) and config.get("kind") == "isrefiner" and not round.flip


def gathered(round: Round, most: int, waiting: int) -> GatheredRound:
    """`round` for several sessions in one forward.

    Raises:
        ValueError: its network mixes the rows of a batch, or a number is out of range.
    """
    if most > 1 and mixes_rows(round):
        raise ValueError(
            f"gather={most} does not go with the released VFM-ISRefiner, which mixes pairs of rows: a click would depend on "
            "another session's. Use flip=True, where the two are an image and its mirror, or gather=1."
        )
    return GatheredRound(round, most, waiting)
