"""What an evaluation spends its time on, and how that grows with its instances and from click to click."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import replace
from itertools import islice
from typing import Any, final

import torch
from torch import Tensor

from vfm_isrefiner import zoom
from vfm_isrefiner.benchmark.eval_speed import Job
from vfm_isrefiner.benchmark.measure import Measure
from vfm_isrefiner.benchmark.timing import Clocks, once
from vfm_isrefiner.evaluation import running
from vfm_isrefiner.instance import Instance
from vfm_isrefiner.interaction import ImageFeatures
from vfm_isrefiner.rollout import Network, rollout

# where the loop calls its parts; the network and the modulation are handed over to it
PLACES: tuple[tuple[str, Any, str], ...] = (
    ("click simulation", running, "next_click"),
    ("scores", running.Running, "score"),
    ("crop and paste", zoom, "crop"),
    ("crop and paste", zoom, "paste"),
    ("waiting for data", Future, "result"),
)
PARTS = ("network", "modulation", *dict.fromkeys(part for part, _, _ in PLACES))


@final
class Timed:
    """A network with a clock around its two calls."""

    def __init__(self, network: Network, clocks: Clocks) -> None:
        self.training = network.training
        self._encode, self._play = (clocks.around("network", call) for call in (network.encode_image, network.__call__))

    def encode_image(self, image: Tensor) -> ImageFeatures:
        """As `Network.encode_image`."""
        return self._encode(image)

    def __call__(self, features: ImageFeatures, click_maps: Tensor, prev_prob: Tensor, mod_prob: Tensor) -> Tensor:
        """As `Network.__call__`."""
        return self._play(features, click_maps, prev_prob, mod_prob)


def shares(job: Job, number: int) -> list[Measure]:
    """What an evaluation of the first `number` instances spends its time on, in percent."""
    clocks = Clocks(job.device, PARTS)
    timed = replace(job, network=Timed(job.network, clocks), modulation=clocks.around("modulation", job.modulation))
    with clocks.in_place(PLACES):
        whole = once(lambda: timed.play(number), job.device)
    parts = clocks.seconds | {"everything else": whole - sum(clocks.seconds.values())}
    note = f"these shares are of {whole:.1f} s for {min(number, len(job.instances))} instances, by a clock around each part."
    return [
        Measure(f"share of {part}", 100 * seconds / whole, "%", note=note if part == PARTS[0] else "")
        for part, seconds in parts.items()
    ]


def over_instances(job: Job, numbers: Sequence[int]) -> list[tuple[float, float]]:
    """(n, seconds of an evaluation of the first n instances) of all `numbers` that the job has."""
    return [(n, once(lambda n=n: job.play(n), job.device)) for n in numbers if n <= len(job.instances)]  # type: ignore[misc]


@torch.no_grad()
def over_clicks(job: Job, clicks: int) -> list[tuple[float, float]]:
    """(k, seconds of round k) of one batch of instances that all make `clicks` clicks; the first encoding is round 1's.

    Raises:
        ValueError: no instance can be clicked on.
    """
    every = ((running.described(index, instance), instance) for index, instance in _read(job))
    batch = list(islice((pair for pair in every if pair[0].evaluated), job.batch_size))
    if not batch:
        raise ValueError("None of the instances can be clicked on: all of them are empty or ignored.")
    results, instances = zip(*batch, strict=True)
    segmenter, threshold = job.protocol.segmenter(job.round()), job.protocol.threshold

    def rounds() -> Iterator[None]:
        state = running.Running.start(segmenter, instances, results, job.device)
        click = running.clicker(state.mask, state.ignore, threshold)
        for interaction in rollout(segmenter, state.interaction, click, clicks):
            state.score(interaction, threshold)
            yield

    played = rounds()
    return [(click, once(lambda: next(played), job.device)) for click in range(1, clicks + 1)]


def _read(job: Job) -> Iterator[tuple[int, Instance]]:
    for index in range(len(job.instances)):
        yield index, job.instances[index]
