"""A network for use out of a training checkpoint (`.ckpt`), which holds its trained part only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from vfm_isrefiner.models.build import AnyNetwork, build_from_config
from vfm_isrefiner.models.checkpoints import load_backbone
from vfm_isrefiner.training.errors import TrainingError
from vfm_isrefiner.training.module import PREFIX, check_trained_part


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """The content of one of our `.ckpt` files; only tensors and plain values are unpickled.

    Raises:
        TrainingError: no such file, or not a checkpoint of `isrefiner train`.
    """
    path = Path(path)
    if not path.is_file():
        raise TrainingError(f"There is no checkpoint {path}; `isrefiner train` leaves them in <run folder>/checkpoints.")
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise TrainingError(f"{path} cannot be read as a checkpoint: {error}") from error
    if not isinstance(checkpoint, dict) or "network_config" not in checkpoint:
        raise TrainingError(f"{path} is no checkpoint of `isrefiner train`: it does not say what network it holds.")
    return checkpoint


def restored_network(
    path: str | Path, *, backbone_checkpoint: str | Path | None = None, base_checkpoint: str | Path | None = None
) -> AnyNetwork:
    """The trained network of a `.ckpt` file, in eval mode.

    Its frozen part comes from `backbone_checkpoint`, from `base_checkpoint` where a whole network was frozen (LoRA), or is
    drawn again from the run's seed where it was random.

    Raises:
        TrainingError: not such a file, or another backbone.
    """
    checkpoint = read_checkpoint(path)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(checkpoint["network_seed"])
        begun = {} if base_checkpoint is None else {"checkpoint": base_checkpoint}
        network = build_from_config(checkpoint["network_config"] | begun)
    if backbone_checkpoint is not None:
        load_backbone(network, Path(backbone_checkpoint))
    load_trained_part(network, checkpoint)
    return network.eval()


def load_trained_part(network: nn.Module, checkpoint: dict[str, Any]) -> None:
    """Fill the trained part of `network` from a training checkpoint.

    Raises:
        TrainingError: another network or another backbone.
    """
    check_trained_part(network, checkpoint)
    state = {name.removeprefix(PREFIX): value for name, value in checkpoint["state_dict"].items()}
    network.load_state_dict(state, strict=False)
