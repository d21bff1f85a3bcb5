"""How the cost of a click grows: with the clicks before it, with the objects in a batch, with the input."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from vfm_isrefiner.benchmark.click_speed import Played, Scene
from vfm_isrefiner.benchmark.timing import interleaved
from vfm_isrefiner.models.build import AnyNetwork
from vfm_isrefiner.models.inference import Inference
from vfm_isrefiner.modulation import Modulation

Curve = list[tuple[float, float]]


@torch.no_grad()
def growth(
    network: AnyNetwork | Inference,
    modulation: Modulation,
    side: int,
    device: torch.device,
    *,
    clicks: Sequence[int],
    batches: Sequence[int],
    sides: Sequence[int],
    repeats: int,
) -> dict[str, Curve]:
    """Seconds of a later click by "clicks before it", "objects in a batch" and "side of the input in px"; the
    least of the repeats, as a busy machine only ever adds.

    Raises:
        ValueError: a number is not positive.
    """
    for name, numbers in (("clicks", clicks), ("batches", batches), ("sides", sides)):
        if any(number < 1 for number in numbers):
            raise ValueError(f"growth over {name} needs numbers of 1 or more, got {list(numbers)}.")

    def curve(numbers: Sequence[int], scene: Callable[[int], Scene]) -> Curve:
        found = []
        for number in numbers:
            played = Played(network, modulation, scene(number))
            timing = interleaved({"click": played.later}, repeats=repeats, warm_up=1, device=device)["click"]
            found.append((float(number), min(timing.seconds)))
        return found

    return {
        "clicks before it": curve(clicks, lambda number: Scene.made(side, clicks=number, device=device)),
        "objects in a batch": curve(batches, lambda number: Scene.made(side, batch=number, device=device)),
        "side of the input in px": curve(sides, lambda number: Scene.made(number, device=device)),
    }
