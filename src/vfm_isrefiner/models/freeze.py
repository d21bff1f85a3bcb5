"""Frozen and trainable parts of a network."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import torch
from torch import Tensor, nn


def freeze(module: nn.Module) -> None:
    """No gradient for any parameter of `module`, and eval mode now; its owner keeps it there (`train`)."""
    module.requires_grad_(False)
    module.eval()


def trainable_parameters(network: nn.Module) -> list[nn.Parameter]:
    """What an optimiser may see."""
    return [parameter for parameter in network.parameters() if parameter.requires_grad]


def frozen_names(network: nn.Module) -> set[str]:
    """State-dict names of the frozen part: parameters without gradient, and buffers of modules with nothing to train.

    The statistics of a trainable module's batch norms are part of what is trained, so they are not frozen.
    """
    names = {name for name, parameter in network.named_parameters() if not parameter.requires_grad}
    for module_name, module in network.named_modules():
        own = list(module.parameters(recurse=False))
        if own and any(parameter.requires_grad for parameter in own):
            continue
        if own:
            names |= {f"{module_name}.{name}".lstrip(".") for name, _ in module.named_buffers(recurse=False)}
    return names & set(network.state_dict())


def fingerprint(network: nn.Module) -> str:
    """SHA-256 over names, shapes and values of the frozen part, in float32; "" where nothing is frozen."""
    frozen = frozen_names(network)
    return _digest({name: value for name, value in network.state_dict().items() if name in frozen}) if frozen else ""


def weights_fingerprint(network: nn.Module) -> str:
    """The same over all parameters and buffers: which weights an evaluation was made with."""
    return _digest(network.state_dict())


def _digest(state: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().to("cpu", torch.float32).contiguous()
        digest.update(f"{name}{tuple(tensor.shape)}".encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()


def count_parameters(network: nn.Module) -> dict[str, tuple[int, int]]:
    """(total, trainable) parameters of each child module, and of the whole under ""."""
    parts = {"": network, **dict(network.named_children())}
    return {
        name: (
            sum(parameter.numel() for parameter in part.parameters()),
            sum(parameter.numel() for parameter in part.parameters() if parameter.requires_grad),
        )
        for name, part in parts.items()
    }
