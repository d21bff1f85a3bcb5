"""`share_statistics`: the buffers of the first process for all of them."""

from __future__ import annotations

import torch
import torch.distributed
from torch import nn


def share_statistics(network: nn.Module, world: int) -> None:
    """Rank 0's buffers for all: each rank's batch norms have seen other images since they last were alike.

    What is played without gradient then does not depend on what a rank saw before, and a run that is resumed from a checkpoint,
    which holds rank 0's, goes on exactly. One message for each type of number.
    """
    if world == 1:
        return
    kinds: dict[torch.dtype, list[torch.Tensor]] = {}
    for buffer in network.buffers():
        kinds.setdefault(buffer.dtype, []).append(buffer)
    for buffers in kinds.values():
        together = torch.cat([buffer.flatten() for buffer in buffers])
        torch.distributed.broadcast(together, src=0)
        for buffer, values in zip(buffers, together.split([buffer.numel() for buffer in buffers]), strict=True):
            buffer.copy_(values.view_as(buffer))
