"""Fully sharded training (`trainer=fsdp`): each process keeps a part of every parameter, its gradient and Adam's state."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import FSDPModule, fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor

from vfm_isrefiner.models.build import build_from_config
from vfm_isrefiner.models.freeze import frozen_names
from vfm_isrefiner.models.vit import ViT
from vfm_isrefiner.training.errors import TrainingError


def shard_fully(network: nn.Module, mesh: DeviceMesh, first_click_passes: int = 1) -> None:
    """Share the parameters of `network` out: block by block of its ViT, and the rest as one. Once is enough.

    Args:
        mesh: (machines, processes of a machine), named as Lightning names them. Each machine holds all parameters once.
        first_click_passes: as in `Round`.

    Raises:
        TrainingError: a part of the network is frozen, or processes might play unequally many passes.
    """
    if isinstance(network, FSDPModule):
        return
    frozen = frozen_names(network)
    if frozen:
        raise TrainingError(
            f"trainer=fsdp is for training every parameter, and {len(frozen)} tensors are frozen here, such as {min(frozen)}. "
            "Take trainer=ddp: what is trained beside a frozen backbone is small."
        )
    if first_click_passes != 1:
        raise TrainingError(
            f"trainer=fsdp needs first_click_passes=1, got {first_click_passes}: the extra pass is made where a process has a "
            "first click, and all must make equally many. Take trainer=ddp."
        )
    where = mesh if mesh["data_parallel"].size() > 1 else mesh["tensor_parallel"]
    for vit in [module for module in network.modules() if isinstance(module, ViT)]:
        for block in cast(nn.ModuleList, vit.vit.blocks):
            fully_shard(block, mesh=where, reshard_after_forward=True)
    fully_shard(network, mesh=where, reshard_after_forward=False)
    register_fsdp_forward_method(network, "encode_image")  # the first of a network's two calls


@contextmanager
def unsharded(network: nn.Module) -> Iterator[None]:
    """Inside, every process holds all parameters, so that each may play as often as it likes. All enter it together.

    Nothing happens to a network that is not sharded.
    """
    parts = [module for module in network.modules() if isinstance(module, FSDPModule)]
    for part in parts:
        part.set_reshard_after_forward(False, recurse=False)
        part.unshard()
    try:
        yield
    finally:
        for part in parts:
            part.reshard()
            part.set_reshard_after_forward(part is not network, recurse=False)


def whole(network: nn.Module) -> nn.Module:
    """A plain copy of a sharded network on every process, in its mode and on its device; a plain network itself. All call it
    together."""
    if not isinstance(network, FSDPModule):
        return network
    state = {name: _full(value) for name, value in network.state_dict().items()}
    with torch.random.fork_rng(devices=[]):
        plain = build_from_config(cast(dict[str, Any], network.config))
    plain.load_state_dict(state)
    return plain.to(next(iter(state.values())).device).train(network.training)


def _full(value: torch.Tensor) -> torch.Tensor:
    return value.full_tensor() if isinstance(value, DTensor) else value
