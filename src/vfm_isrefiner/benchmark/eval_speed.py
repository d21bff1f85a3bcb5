"""An evaluation beside its network alone, on the same machine in the same run."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast, final

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from vfm_isrefiner.benchmark.machine import Peaks
from vfm_isrefiner.benchmark.measure import Measure, Target
from vfm_isrefiner.benchmark.timing import Timing, interleaved, once
from vfm_isrefiner.evaluation import Evaluation, EvaluationProtocol, evaluate
from vfm_isrefiner.evaluation.loop import Instances
from vfm_isrefiner.interaction import ImageFeatures
from vfm_isrefiner.modulation import Modulation
from vfm_isrefiner.rollout import Network, Round

RATIO = Target(1.25)
ON_A_GPU = {"clicks": Target(500, at_most=False), "peak": Target(40, at_most=False)}


@dataclass(frozen=True)
class Job:
    """An evaluation to measure.

    Attributes:
        network: in eval mode and on `device`. modulation, first_click_passes: as `Round` takes them.
        instances, protocol, batch_size: as `evaluate` takes them.

    Raises:
        ValueError: there is no instance, or the protocol shows the network images of several sizes.
    """

    network: Network
    modulation: Modulation
    instances: Instances
    protocol: EvaluationProtocol
    batch_size: int = 8
    first_click_passes: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    def __post_init__(self) -> None:
        if not len(self.instances):
            raise ValueError("A benchmark of evaluation got no instance; give it at least one.")
        if self.protocol.zoom is None or self.protocol.zoom.fixed_size is None:
            raise ValueError(
                f"Protocol {self.protocol.name!r} shows the network images of several sizes, so its time alone is not defined; "
                "take one whose input size is fixed, such as 'paper'."
            )

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the network's input."""
        rule = self.protocol.zoom
        assert rule is not None, "checked when made"
        assert rule.fixed_size is not None, "checked when made"
        return rule.fixed_size

    @property
    def images_per_object(self) -> int:
        """2 where the mirrored image is played too."""
        return 2 if self.protocol.flip else 1

    def round(self) -> Round:
        """For `evaluate`, which decides itself whether it flips."""
        return Round(self.network, self.modulation, self.first_click_passes)

    def play(self, number: int | None = None) -> Evaluation:
        """Evaluate the first `number` instances, or all."""
        indices = range(len(self.instances) if number is None else min(number, len(self.instances)))
        rule, size = self.protocol, self.batch_size
        return evaluate(self.round(), self.instances, rule, batch_size=size, device=self.device, indices=indices)


@final
class Counted:
    """A network that counts the images (mirrored ones too) that it encodes and those that it plays a round on."""

    def __init__(self, network: Network) -> None:
        self.network, self.training = network, network.training
        self.encoded, self.played = 0, 0

    def encode_image(self, image: Tensor) -> ImageFeatures:
        """As `Network.encode_image`."""
        self.encoded += len(image)
        return self.network.encode_image(image)

    def __call__(self, features: ImageFeatures, click_maps: Tensor, prev_prob: Tensor, mod_prob: Tensor) -> Tensor:
        """As `Network.__call__`."""
        self.played += len(click_maps)
        return self.network(features, click_maps, prev_prob, mod_prob)


@dataclass(frozen=True)
class Cost:
    """What the network does to one image: `encode` once per region, `play` once per round; seconds, or FLOPs."""

    encode: float
    play: float

    def of(self, counted: Counted) -> float:
        """Of all that `counted` did."""
        return self.encode * counted.encoded + self.play * counted.played


@torch.no_grad()
def alone(job: Job, batch_sizes: Sequence[int], repeats: int = 3) -> dict[tuple[str, int], Timing]:
    """Seconds of the network alone on one image, by ("encode" or "play", objects in a batch), on inputs of the real shape.

    Raises:
        ValueError: there is no batch size, or one is not positive.
    """
    if not batch_sizes or min(batch_sizes) < 1:
        raise ValueError(f"batch_sizes must be one number or more, all of them positive, got {list(batch_sizes)}.")
    generator, rows = torch.Generator().manual_seed(0), {size: size * job.images_per_object for size in batch_sizes}
    most = max(rows.values())
    image, auxiliary = (torch.rand(most, channels, *job.size, generator=generator).to(job.device) for channels in (3, 4))
    features = job.network.encode_image(image)

    def works(size: int) -> dict[str, Callable[[], Any]]:
        some, index = slice(rows[size]), torch.arange(rows[size], device=job.device)
        inputs = auxiliary[some, :2], auxiliary[some, 2:3], auxiliary[some, 3:]
        of_these = features.rows(index)
        return {
            f"encode {size}": lambda: job.network.encode_image(image[some]),
            f"play {size}": lambda: job.network(of_these, *inputs),
        }

    every = {name: work for size in batch_sizes for name, work in works(size).items()}
    taken = interleaved(every, repeats=repeats, warm_up=1, device=job.device)
    return {
        (part, size): Timing(tuple(seconds / rows[size] for seconds in taken[f"{part} {size}"].seconds))
        for size in batch_sizes
        for part in ("encode", "play")
    }


def best(alone: Mapping[tuple[str, int], Timing], part: str) -> tuple[int, float]:
    """The batch size at which `part` costs least, and its median seconds an image."""
    size = min((size for name, size in alone if name == part), key=lambda size: alone[part, size].median)
    return size, alone[part, size].median


@torch.no_grad()
def flops(network: nn.Module, size: tuple[int, int]) -> Cost:
    """Floating-point operations of the matrix products and convolutions on one image; counted on a copy on the CPU."""
    plain = copy.deepcopy(network).cpu().eval().requires_grad_(False)  # the counter hooks into gradients, and needs none
    played = cast(Network, plain)
    image, zeros = torch.zeros(1, 3, *size), torch.zeros(1, 4, *size)
    with FlopCounterMode(display=False) as encode:
        features = played.encode_image(image)
    with FlopCounterMode(display=False) as play:
        played(features, zeros[:, :2], zeros[:, :1], zeros[:, :1])
    return Cost(encode.get_total_flops(), play.get_total_flops())


def whole(job: Job, batch_sizes: Sequence[int], repeats: int, operations: Cost, peaks: Peaks) -> list[Measure]:
    """One evaluation of all instances, beside its network alone just before and just after it.

    Args:
        operations: FLOPs of the network on one image. peaks: the best of the device, in the type that it computes in.
    """
    before = alone(job, batch_sizes, repeats)
    counted, found = Counted(job.network), list[Evaluation]()
    seconds = once(lambda: found.append(replace(job, network=counted).play()), job.device)
    after = alone(job, batch_sizes, repeats)
    joined = {key: Timing(timing.seconds + after[key].seconds) for key, timing in before.items()}
    (encode_at, encode), (play_at, play) = best(joined, "encode"), best(joined, "play")
    least = Cost(encode, play).of(counted)
    clicks = sum(len(result.ious) for result in found[0].results)
    targets = ON_A_GPU if job.device.type == "cuda" else {}
    told = (
        f"{len(job.instances)} instances, {clicks} clicks, {counted.encoded // job.images_per_object} regions encoded, in "
        f"{seconds:.1f} s; the network alone needs {least:.1f} s at its best batch sizes, {play_at} for clicks and {encode_at} "
        f"for regions: medians of {2 * repeats} repeats, half of them before and half after the evaluation."
    )
    share = 100 * operations.of(counted) / seconds / peaks.flops
    product = f"{operations.of(counted) / 1e12:.3g} TFLOP; peak: {peaks.flops / 1e12:.3g} TFLOP/s, seen in a large product."
    each = [
        Measure.of(f"network alone, {what}, batch {size}", joined[part, size], "ms", scale=1e3 * job.images_per_object)
        for part, what in (("play", "a click"), ("encode", "a region"))
        for size in batch_sizes
    ]
    return [
        Measure("evaluation ÷ network alone", seconds / least, "", target=RATIO, note=told),
        Measure("clicks", clicks / seconds, "/s", target=targets.get("clicks")),
        Measure("share of the peak of matrix products", share, "%", target=targets.get("peak"), note=product),
        *each,
    ]
