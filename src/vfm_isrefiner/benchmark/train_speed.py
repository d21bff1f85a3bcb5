"""Training steps beside a plain loop of the same mathematics, and how their cost grows."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol, final

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from vfm_isrefiner.benchmark.plain_training import PlainTraining
from vfm_isrefiner.benchmark.timing import Timing, interleaved
from vfm_isrefiner.data.synthetic import SyntheticScenes
from vfm_isrefiner.instance import InstanceBatch
from vfm_isrefiner.models.freeze import trainable_parameters
from vfm_isrefiner.modulation import Modulation
from vfm_isrefiner.training.module import InteractiveSegmentation
from vfm_isrefiner.training.simulate_clicks import SimulateClicks, generator_of, in_eval_mode

PRECISIONS = ("float32", "bf16")
FAST, PLAIN, CARELESS = "fast", "plain", "careless"


class Step(Protocol):
    """One training step."""

    def __call__(self, batch: InstanceBatch, rounds: int, seed: int) -> Tensor:
        """Play `rounds` rounds on `batch`, update the parameters, give the loss."""
        ...


@final
@dataclass(frozen=True)
class FastTraining:
    """The package's own step, as Lightning runs it, without Lightning.

    Attributes:
        module: what `isrefiner train` trains. optimizer: of its trainable parameters.
        clicks: plays the rounds before the last one.
        bf16: products of matrices in bfloat16 (autocast), as `trainer=bf16`.
    """

    module: InteractiveSegmentation
    optimizer: Optimizer
    clicks: SimulateClicks
    bf16: bool = False

    def __call__(self, batch: InstanceBatch, rounds: int, seed: int) -> Tensor:
        """As `Step`."""
        network = self.module.network.train()
        with torch.autocast(batch.image.device.type, torch.bfloat16, enabled=self.bf16):
            with in_eval_mode(network), torch.no_grad():
                interaction = self.clicks.play(self.module.segmenter, batch, rounds, generator_of(seed))
            self.optimizer.zero_grad()
            loss = self.module.last_round(batch, interaction)[1].mean()
        loss.backward()
        self.optimizer.step()
        return loss.detach()


@final
@dataclass(frozen=True)
class Setup:
    """What the steps are made of.

    Attributes:
        network: on its device; each step trains a copy.
        modulation: of every round.
        clicks: how many rounds, and the threshold.
        bf16, compile: of the package's step alone.
        learning_rate: of Adam.

    Raises:
        ValueError: nothing of the network is trained.
    """

    network: nn.Module
    modulation: Modulation
    clicks: SimulateClicks
    bf16: bool = False
    compile: bool = False
    learning_rate: float = 5e-5

    def __post_init__(self) -> None:
        if not trainable_parameters(self.network):
            raise ValueError("the network has nothing to train: all its parameters are frozen; take another model=...")

    def module(self) -> InteractiveSegmentation:
        """For a training."""
        return InteractiveSegmentation(
            network=copy.deepcopy(self.network),
            modulation=self.modulation,
            optimizer=lambda parameters: torch.optim.Adam(parameters, lr=self.learning_rate),
            threshold=self.clicks.threshold,
            compile=self.compile,
        )

    def fast(self) -> FastTraining:
        """The package's step."""
        module = self.module()
        return FastTraining(module, module.optimizer(trainable_parameters(module.network)), self.clicks, self.bf16)

    def plain(self, *, differentiate_frozen: bool = False) -> PlainTraining:
        """The plain step, float32 and not compiled."""
        network = copy.deepcopy(self.network)
        optimizer = torch.optim.Adam(trainable_parameters(network), lr=self.learning_rate)
        return PlainTraining(network, optimizer, self.modulation, self.clicks.threshold, differentiate_frozen)


def steps_of(setup: Setup) -> dict[str, Step]:
    """The package's step and both plain ones."""
    return {FAST: setup.fast(), PLAIN: setup.plain(), CARELESS: setup.plain(differentiate_frozen=True)}


def odds(clicks: SimulateClicks) -> list[float]:
    """How probable 1, 2, ... `max_rounds` rounds are."""
    weights = [clicks.decay**number for number in range(clicks.max_rounds)]
    return [weight / sum(weights) for weight in weights]


def compared(
    steps: Mapping[str, Step], batch: InstanceBatch, clicks: SimulateClicks, *, repeats: int = 5, warm_up: int = 1
) -> tuple[dict[str, Timing], dict[str, list[tuple[float, float]]]]:
    """Seconds of an average step of each of `steps`, whose numbers of rounds come as often as in training.

    Returns:
        The timings, and median seconds over the number of rounds.
    """

    def measured(rounds: int) -> dict[str, Timing]:
        works = {name: partial(step, batch, rounds, rounds) for name, step in steps.items()}
        return interleaved(works, repeats=repeats, warm_up=warm_up, device=batch.image.device)

    by_rounds = [measured(rounds) for rounds in range(1, clicks.max_rounds + 1)]
    weights = odds(clicks)
    average = {
        name: Timing(
            tuple(
                sum(weight * taken[name].seconds[turn] for weight, taken in zip(weights, by_rounds, strict=True))
                for turn in range(repeats)
            )
        )
        for name in steps
    }
    curves = {name: [(float(k + 1), taken[name].median) for k, taken in enumerate(by_rounds)] for name in steps}
    return average, curves


def growth(
    setup: Setup, batches: Sequence[int], sides: Sequence[int], *, batch: int, side: int, repeats: int = 3
) -> dict[str, list[tuple[float, float]]]:
    """Median seconds of a step of two rounds over the batch size (at `side` px) and over the side of the input (at `batch`)."""
    device = next(setup.network.parameters()).device

    def seconds(count: int, pixels: int) -> float:
        torch._dynamo.reset()  # each point is a copy of the network, compiled by itself
        step, made = setup.fast(), synthetic_batch(count, pixels, device)
        return interleaved({"": lambda: step(made, 2, 0)}, repeats=repeats, warm_up=1, device=device)[""].median

    return {
        "batch": [(float(count), seconds(count, side)) for count in batches],
        "side": [(float(pixels), seconds(batch, pixels)) for pixels in sides],
    }


def synthetic_batch(count: int, side: int, device: torch.device | str = "cpu") -> InstanceBatch:
    """`count` objects of seeded scenes of `side` px; of eight scenes, so some come several times."""
    scenes = SyntheticScenes(count=8, size=side, seed=1).where(min_area=min(64, side))
    made = InstanceBatch.collate([scenes[number % len(scenes)] for number in range(count)])
    return made.to(torch.device(device))
