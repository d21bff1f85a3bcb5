"""Which device a user means."""

from __future__ import annotations

import torch


def chosen_device(wanted: torch.device | str) -> torch.device:
    """`auto` is the first GPU where there is one.

    Raises:
        ValueError: a GPU is asked for and there is none.
    """
    if wanted == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(wanted)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device={wanted}: torch sees no GPU here; take device=cpu or device=auto.")
    return device
