"""`Compiled`: the two calls of a network through torch.compile."""

from __future__ import annotations

from typing import cast, final

import torch
from torch import Tensor, nn

from vfm_isrefiner.interaction import ImageFeatures
from vfm_isrefiner.models.inference import allow_many_sizes
from vfm_isrefiner.rollout import Network


@final
class Compiled:
    """A network for `Round`, compiled at its first call for each size of batch, mode and precision.

    It stands beside the network and is no module: names of parameters, checkpoints and copies know nothing of it.

    Args:
        network: of models/; its mode, its device and its parameters are those of the compiled calls.
        backend: of torch.compile.
    """

    def __init__(self, network: nn.Module, backend: str = "inductor") -> None:
        allow_many_sizes()
        self._network = network
        self._encode = torch.compile(cast(Network, network).encode_image, backend=backend, fullgraph=True)
        self._call = torch.compile(network, backend=backend, fullgraph=True)

    @property
    def training(self) -> bool:
        """The mode of the network."""
        return self._network.training

    def encode_image(self, image: Tensor) -> ImageFeatures:
        """As `Network.encode_image`."""
        return self._encode(image)

    def __call__(self, features: ImageFeatures, click_maps: Tensor, prev_prob: Tensor, mod_prob: Tensor) -> Tensor:
        """As `Network.__call__`."""
        return cast(Tensor, self._call(features, click_maps, prev_prob, mod_prob))
