"""`for_inference`: a network as it is used after training, in bfloat16 or compiled where that is asked for."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any, final

import torch
from torch import Tensor, nn

from vfm_isrefiner.interaction import ImageFeatures
from vfm_isrefiner.models.build import AnyNetwork
from vfm_isrefiner.models.image_extractor import ImageExtractor

PRECISIONS = ("float32", "bf16")
RECOMPILATIONS = 64  # of all networks of a process together
Backend = str | Callable[..., Any]


def for_inference(
    network: AnyNetwork, *, precision: str = "float32", compiled: bool = False, backend: Backend = "inductor"
) -> AnyNetwork | Inference:
    """`network` in eval mode, or a copy that computes without gradient in another way.

    Args:
        precision: "float32", or "bf16": matrix products and convolutions in bfloat16, from weights that are kept so; norms,
            softmax and the deformable convolutions stay in float32.
        compiled: by `torch.compile`, with CUDA graphs on a GPU. The first call for each batch size and input size takes a
            minute or so; batches are filled up to powers of two, so that there are few of them. Released networks, which mix
            pairs of rows, are then for even batches.
        backend: of `torch.compile`.

    Raises:
        ValueError: an unknown precision.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"precision is {' or '.join(PRECISIONS)}, got {precision!r}.")
    network = network.eval()
    if precision == "float32" and not compiled:
        return network
    return Inference(_in_bf16(network) if precision == "bf16" else network, precision == "bf16", backend if compiled else None)


def usual_passes(config: Mapping[str, Any]) -> int:
    """How often a network of this config plays the first click: the released ones twice (`Round.first_click_passes`)."""
    return 2 if config.get("released") else 1


def usual_modulation(config: Mapping[str, Any]) -> str:
    """The modulation (of conf/modulation) for a network of this config: MFP its own, SimpleClick none, others the paper's."""
    return {"mfp": "mfp", "simpleclick": "none"}.get(config.get("kind", ""), "isrefiner")


@final
class Inference:
    """The two calls of a network (`Network` in rollout.py), in bfloat16 if `bf16`, compiled by `backend` if that is given."""

    def __init__(self, network: AnyNetwork, bf16: bool, backend: Backend | None) -> None:
        self.network, self.bf16, self.backend = network, bf16, backend
        self.config: dict[str, Any] = network.config
        self._encode: Callable[..., ImageFeatures] = network.encode_image
        self._refine: Callable[..., Tensor] = network
        if backend is not None:
            allow_many_sizes()
            mode = "reduce-overhead" if backend == "inductor" and _device(network).type == "cuda" else None  # CUDA graphs
            self._encode = torch.compile(network.encode_image, backend=backend, dynamic=False, mode=mode)
            self._refine = torch.compile(network.forward, backend=backend, dynamic=False, mode=mode)

    @property
    def training(self) -> bool:
        """Of the network inside."""
        return self.network.training

    @torch.no_grad()
    def encode_image(self, image: Tensor) -> ImageFeatures:
        """As `Network.encode_image`."""
        with self._autocast(image.device):
            if self.backend is None:
                return self._encode(image)
            torch.compiler.cudagraph_mark_step_begin()
            features = self._encode(_filled(image))
        # a CUDA graph writes its next result where it wrote this one
        return features.each(lambda tensor: tensor[: len(image)].clone())

    @torch.no_grad()
    def __call__(self, features: ImageFeatures, click_maps: Tensor, prev_prob: Tensor, mod_prob: Tensor) -> Tensor:
        """As `Network.__call__`; logits in float32."""
        with self._autocast(click_maps.device):
            if self.backend is None:
                return self._refine(features, click_maps, prev_prob, mod_prob).float()
            torch.compiler.cudagraph_mark_step_begin()
            maps = (_filled(tensor) for tensor in (click_maps, prev_prob, mod_prob))
            return self._refine(features.each(_filled), *maps)[: len(click_maps)].float().clone()

    def _autocast(self, device: torch.device) -> torch.autocast:
        return torch.autocast(device.type, torch.bfloat16, enabled=self.bf16)


def allow_many_sizes() -> None:
    """Lets torch compile networks anew for dozens of batch and input sizes; beyond its usual 8 it falls back without a word."""
    torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, RECOMPILATIONS)


def _in_bf16(network: AnyNetwork) -> AnyNetwork:
    """A copy whose weights of matrix products and convolutions are bfloat16, so that autocast need not convert them each time.

    Those of the image extractor stay: its deformable convolutions run in float32 everywhere, on a CPU nearly all of it does.
    """
    network = copy.deepcopy(network).requires_grad_(False)
    kept = {id(module) for part in network.modules() if isinstance(part, ImageExtractor) for module in part.modules()}
    for module in network.modules():
        if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d) and id(module) not in kept:
            module.to(torch.bfloat16)
    return network


def _filled(tensor: Tensor) -> Tensor:
    """Rows repeated from the last one up to the next power of two; contiguous, as it was compiled for."""
    missing = (1 << (len(tensor) - 1).bit_length()) - len(tensor)
    return torch.cat([tensor, tensor[-1:].expand(missing, *tensor.shape[1:])]) if missing else tensor.contiguous()


def _device(network: nn.Module) -> torch.device:
    return next(network.parameters()).device
