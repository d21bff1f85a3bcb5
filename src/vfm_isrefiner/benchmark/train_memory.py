"""Memory of a training step: what a GPU says, and what it would be, worked out without one."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from vfm_isrefiner.losses import normalized_focal_loss
from vfm_isrefiner.rollout import Network

REST = "loss and sums"
ADAM = 2  # numbers that it keeps for each trained one


@dataclass(frozen=True)
class Memory:
    """Bytes of a training step at the begin of its backward pass.

    Attributes:
        parameters, gradients, optimizer: of the network, of its trained part, of Adam's state.
        saved: for the backward pass, by part of the network.
    """

    parameters: int
    gradients: int
    optimizer: int
    saved: Mapping[str, int]

    @property
    def total(self) -> int:
        """Of all of it."""
        return self.parameters + self.gradients + self.optimizer + sum(self.saved.values())

    def shares(self) -> str:
        """Where the bytes are, largest part first."""
        rows = {"parameters": self.parameters, "gradients and Adam": self.gradients + self.optimizer, **self.saved}
        return ", ".join(f"{name} {bytes / 1e9:.2f}" for name, bytes in sorted(rows.items(), key=lambda row: -row[1])) + " GB"


def projected_memory(network: nn.Module, side: int, batch: int) -> Memory:
    """Of training `network` in float32 on `batch` images of `side` px, the way a GPU computes it; nothing is computed here.

    Each storage counts once. Attention is counted in the form that keeps its matrix of weights, which GPUs mostly avoid; what
    single kernels need for themselves while they run is not counted.
    """
    saved: Counter[str] = Counter()
    twin = copy.deepcopy(network)
    with FakeTensorMode(allow_non_fake_inputs=True):
        twin = twin.to_empty(device="cuda").train()
        part = _current_part(twin)
        own = [tensor.untyped_storage() for tensor in (*twin.parameters(), *twin.buffers())]
        known = {storage._cdata: storage for storage in own}

        def keep(tensor: Tensor) -> Tensor:
            storage = tensor.untyped_storage()
            if storage._cdata not in known:
                known[storage._cdata] = storage  # held, so that its number is not given to another one
                saved[part()] += storage.nbytes()
            return tensor

        image = torch.zeros(batch, 3, side, side, device="cuda")
        maps, prob = torch.zeros(batch, 2, side, side, device="cuda"), torch.zeros(batch, 1, side, side, device="cuda")
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            features = cast(Network, twin).encode_image(image)
            logits = twin(features, maps, prob, prob)
            normalized_focal_loss(logits, prob > 0, prob > 1)
        trained = sum(_bytes(each) for each in twin.parameters() if each.requires_grad)
        everything = sum(_bytes(each) for each in (*twin.parameters(), *twin.buffers()))
    return Memory(everything, trained, ADAM * trained, dict(saved))


def measured_memory(step: Callable[[], Any], device: torch.device) -> int:
    """The most bytes that torch held on a GPU during the second of two steps, all that was there before included."""
    step()
    torch.cuda.synchronize(device)
    torch.cuda.reset_peak_memory_stats(device)
    step()
    torch.cuda.synchronize(device)
    return torch.cuda.max_memory_allocated(device)


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _current_part(network: nn.Module) -> Callable[[], str]:
    """Says which child of `network` is running, REST between them."""
    running = [REST]
    for name, child in network.named_children():
        child.register_forward_pre_hook(lambda module, given, name=name: running.append(name))
        child.register_forward_hook(lambda module, given, out: _dropped(running))
    return lambda: running[-1]


def _dropped(running: list[str]) -> None:
    running.pop()
