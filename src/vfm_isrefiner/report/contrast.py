"""On which instances two runs differ most: what Fig. 8 shows."""

from __future__ import annotations

from dataclasses import dataclass

from vfm_isrefiner.evaluation import Evaluation, InstanceResult
from vfm_isrefiner.evaluation.summary import iou_table
from vfm_isrefiner.metrics import noc


@dataclass(frozen=True)
class Contrast:
    """One instance as two runs saw it.

    Attributes:
        source, id, category: of the instance. index: its place in the first run's data set.
        noc: clicks that each run needed. mean_iou: over all clicks of each, the area under its click curve.
    """

    source: str
    id: str
    category: str
    index: int
    noc: tuple[int, int]
    mean_iou: tuple[float, float]

    @property
    def noc_difference(self) -> int:
        """Of the second run less the first: positive where the first needed fewer clicks."""
        return self.noc[1] - self.noc[0]

    @property
    def iou_difference(self) -> float:
        """Of the first run less the second: positive where the first was better."""
        return self.mean_iou[0] - self.mean_iou[1]


def contrasts(first: Evaluation, second: Evaluation, *, threshold: float = 0.85, count: int = 4) -> tuple[Contrast, ...]:
    """The instances on which the two differ most, whichever is better, in NoC at `threshold`, then in area; ties by id.

    Args:
        first, second: evaluations by one protocol. threshold: IoU that counts as reached. count: at most so many instances.

    Raises:
        ValueError: protocols differ, no instance was evaluated in both, instances stopped below `threshold`, or count < 1.
    """
    _check(first, second, threshold, count)
    other = {(result.source, result.id): result for result in second.results if result.evaluated}
    pairs = [
        (result, other[result.source, result.id])
        for result in first.results
        if result.evaluated and (result.source, result.id) in other
    ]
    if not pairs:
        raise ValueError(
            f"No instance was evaluated in both runs ({first.data or 'data unknown'} and {second.data or 'data unknown'}); "
            "evaluate both on the same set."
        )
    clicks = first.protocol.max_clicks
    found = [_contrast(one, two, threshold, clicks) for one, two in pairs]
    found.sort(key=lambda each: (-abs(each.noc_difference), -abs(each.iou_difference), each.source, each.id))
    return tuple(found[:count])


def _check(first: Evaluation, second: Evaluation, threshold: float, count: int) -> None:
    if count < 1:
        raise ValueError(f"contrasts needs count >= 1, got {count}.")
    if first.protocol != second.protocol:
        raise ValueError(
            f"contrasts needs evaluations by one protocol, got {first.protocol} and {second.protocol}; "
            "evaluate one of them again."
        )
    for each in (first, second):
        if each.target_iou is not None and each.target_iou < threshold:
            raise ValueError(
                f"Instances stopped at an IoU of {each.target_iou}, so NoC at {threshold} is not known; take a threshold up to "
                "that, or evaluate without target_iou."
            )


def _contrast(one: InstanceResult, two: InstanceResult, threshold: float, clicks: int) -> Contrast:
    table = iou_table([one, two], clicks)
    first, second = noc(table, threshold, clicks).tolist()
    # a run that stopped early stays as good as it was
    means = [(sum(result.ious) + (clicks - len(result.ious)) * result.ious[-1]) / clicks for result in (one, two)]
    return Contrast(one.source, one.id, one.category, one.index, (first, second), (means[0], means[1]))
