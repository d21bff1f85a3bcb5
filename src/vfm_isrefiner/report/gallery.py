"""Which instances of an evaluation to look at: the worst, the best or any, in each class or size."""

from __future__ import annotations

import random
from collections.abc import Sequence

from vfm_isrefiner.evaluation import InstanceResult
from vfm_isrefiner.report.breakdown import EDGES, NO_CLASS

PICKS, GROUPS = ("worst", "random", "best"), ("all", "size", "class")
SIZES = ("small", "medium", "large")  # COCO's


def gallery(
    results: Sequence[InstanceResult], *, pick: str = "worst", by: str = "size", count: int = 4, seed: int = 0
) -> dict[str, list[InstanceResult]]:
    """The instances to show, by group.

    Args:
        results: of one evaluation; those that could not be clicked on are left out.
        pick: "worst": the lowest mean IoU over the clicks first; "best": the highest; "random".
        by: "size": below 32 x 32 pixels, from 96 x 96, and between; "class", in the order of the alphabet; "all": no groups.
        count: at most so many of each group.

    Raises:
        ValueError: another word, or no instance asked for.
    """
    if pick not in PICKS or by not in GROUPS or count < 1:
        raise ValueError(
            f"pick is one of {', '.join(PICKS)}, by one of {', '.join(GROUPS)}, count 1 or more; got {pick}, {by}, {count}."
        )
    found: dict[str, list[InstanceResult]] = {name: [] for name in SIZES} if by == "size" else {}
    for result in results:
        if result.evaluated:
            found.setdefault(_group(result, by), []).append(result)
    names = list(found) if by == "size" else sorted(found)
    return {name: _picked(found[name], pick, count, seed) for name in names if found[name]}


def _group(result: InstanceResult, by: str) -> str:
    if by == "size":
        return SIZES[sum(result.area >= edge for edge in EDGES)]
    return "all" if by == "all" else result.category or NO_CLASS


def _picked(results: list[InstanceResult], pick: str, count: int, seed: int) -> list[InstanceResult]:
    if pick == "random":
        return random.Random(seed).sample(results, min(count, len(results)))
    return sorted(results, key=lambda each: sum(each.ious) / len(each.ious), reverse=pick == "best")[:count]
