"""Does a faster way of computing give the same clicks, maps and scores as the plain one?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor

from vfm_isrefiner.benchmark.measure import Measure, Target
from vfm_isrefiner.evaluation import Evaluation, EvaluationProtocol, evaluate
from vfm_isrefiner.evaluation.loop import Instances
from vfm_isrefiner.evaluation.running import clicker, described
from vfm_isrefiner.instance import InstanceBatch
from vfm_isrefiner.models.build import AnyNetwork
from vfm_isrefiner.models.forms import plain_forms
from vfm_isrefiner.models.inference import Inference
from vfm_isrefiner.modulation import Modulation
from vfm_isrefiner.rollout import Network, Round

PROBABILITY, MOVED = Target(1e-4), Target(0.05)


@dataclass(frozen=True)
class Step:
    """One round of one object, played both ways from the same previous map.

    Attributes:
        difference: the largest of a probability. same_click: whether both choose the same next click.
    """

    difference: float
    same_click: bool


@dataclass(frozen=True)
class Contest:
    """A network in its plain forms, and the same network as it is to be used.

    Attributes:
        plain: in float32, in eval mode. fast: it, or what `for_inference` made of it.
        modulation, protocol, first_click_passes, batch_size: as in an evaluation.
    """

    plain: AnyNetwork
    fast: AnyNetwork | Inference
    modulation: Modulation
    protocol: EvaluationProtocol
    first_click_passes: int = 1
    batch_size: int = 8

    def rounds(self) -> tuple[Round, Round]:
        """Plain and fast."""
        plain, fast = (Round(cast(Network, each), self.modulation, self.first_click_passes) for each in (self.plain, self.fast))
        return plain, fast


@torch.no_grad()
def steps(contest: Contest, instances: Instances, device: torch.device) -> Iterator[Step]:
    """Every round of every instance that can be clicked on; the plain way's map goes on to the next round."""
    protocol, batch_size = contest.protocol, contest.batch_size
    plain, fast = (protocol.segmenter(round) for round in contest.rounds())
    numbers = [number for number in range(len(instances)) if described(number, instances[number]).evaluated]
    for first in range(0, len(numbers), batch_size):
        batch = InstanceBatch.collate([instances[number] for number in numbers[first : first + batch_size]]).to(device)
        choose = clicker(batch.mask, batch.ignore, protocol.threshold)
        with plain_forms():
            interaction = plain.start(batch.image, batch.size)
        for _ in range(protocol.max_clicks):
            clicks = interaction.clicks.append(*choose(interaction))
            other = fast.refine(replace(interaction, features=None, flipped=None), clicks)
            with plain_forms():
                interaction = plain.refine(interaction, clicks)
            difference = (other.prob - interaction.prob).abs().flatten(1).amax(1)
            here, there = choose(interaction), choose(replace(interaction, prob=other.prob))
            for gap, same in zip(difference.tolist(), _same(here, there).tolist(), strict=True):
                yield Step(gap, same)


@torch.no_grad()
def both(contest: Contest, instances: Instances, device: torch.device) -> tuple[Evaluation, Evaluation]:
    """Two evaluations, each going its own way: plain and fast."""
    plain, fast = contest.rounds()
    size = contest.batch_size
    with plain_forms():
        first = evaluate(plain, instances, contest.protocol, batch_size=size, device=device)
    return first, evaluate(fast, instances, contest.protocol, batch_size=size, device=device)


def step_measures(found: Sequence[Step], exact: bool) -> list[Measure]:
    """Of `steps`; `exact`: float32, where maps should agree.

    Raises:
        ValueError: there was no round.
    """
    if not found:
        raise ValueError("None of the instances can be clicked on: all of them are empty or ignored. Give other ones.")
    largest = max(step.difference for step in found)
    other = sum(not step.same_click for step in found)
    return [
        Measure("rounds played both ways", len(found), "", note="from the same previous map"),
        Measure("largest difference of a probability", largest, "", target=PROBABILITY if exact else None),
        Measure("rounds whose next click differs", other, "", note="a map that is 0.5 to rounding changes the error region"),
    ]


def evaluation_measures(plain: Evaluation, fast: Evaluation, trained: bool = True) -> list[Measure]:
    """Of `both`: how many instances went another way, and how far the scores moved; those of a network that is not `trained`
    stand still whatever happens, as it needs all clicks."""
    pairs = list(zip(plain.results, fast.results, strict=True))
    other = sum(one.clicks != another.clicks for one, another in pairs)
    rows = [
        Measure("instances", len(pairs), "", note="each way evaluated by itself, so that a difference stays"),
        Measure("instances with another click", other, ""),
    ]
    scores, others = plain.summary(), fast.summary()
    for level in ("80", "90"):
        one, another = scores["noc"][level], others["noc"][level]
        target = MOVED if level == "90" and trained else None
        rows.append(
            Measure(f"NoC{level} moved by", abs(another - one), "clicks", target=target, note=f"{one:.3f} → {another:.3f}")
        )
    return rows


def _same(one: tuple[Tensor, Tensor], other: tuple[Tensor, Tensor]) -> Tensor:
    return (one[0] == other[0]).all(1) & (one[1] == other[1])
