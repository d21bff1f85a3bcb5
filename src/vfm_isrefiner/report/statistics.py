"""Means over seeds, and bootstrap intervals over instances: of a mean, and of a paired difference."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from vfm_isrefiner.evaluation import Evaluation
from vfm_isrefiner.evaluation.summary import THRESHOLDS, iou_table
from vfm_isrefiner.metrics import noc
from vfm_isrefiner.report.comparable import Key, one_sided
from vfm_isrefiner.report.report_table import Difference

DRAWS = 10_000
LEVEL = 0.95
AT_ONCE = 2**22  # counts drawn in one piece: 32 MiB

Values = Mapping[Key, float]


def noc_of(evaluation: Evaluation, at: str) -> dict[Key, float] | None:
    """NoC of each evaluated instance at an IoU of `at` percent ("80", "85", "90" or "95").

    None where it is not defined: there is no instance, or instances stopped at a lower IoU.

    Raises:
        ValueError: another `at`, or an instance that comes twice.
    """
    if at not in THRESHOLDS:
        raise ValueError(f"NoC{at} is not reported; choose among {', '.join(f'NoC{name}' for name in THRESHOLDS)}.")
    done = [result for result in evaluation.results if result.evaluated]
    if not done or (evaluation.target_iou is not None and evaluation.target_iou < THRESHOLDS[at]):
        return None
    clicks = evaluation.protocol.max_clicks
    counts = noc(iou_table(done, clicks), THRESHOLDS[at], clicks).tolist()
    values = {(result.source, result.id): float(count) for result, count in zip(done, counts, strict=True)}
    if len(values) < len(done):
        raise ValueError(
            f"{len(done) - len(values)} of {len(done)} instances have the source and id of another one, so that "
            "instances of two runs cannot be paired; give each an id of its own."
        )
    return values


def over_seeds(values: Sequence[float]) -> tuple[float, float | None]:
    """Mean and sample standard deviation (n - 1), None for one value.

    Raises:
        ValueError: there is no value.
    """
    if not values:
        raise ValueError("over_seeds got no value; give one a seed.")
    mean = math.fsum(values) / len(values)
    if len(values) == 1:
        return mean, None
    return mean, math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))


def averaged(parts: Sequence[Values]) -> dict[Key, float]:
    """Each instance's mean over `parts`, such as those of several seeds.

    Raises:
        ValueError: there is no part, or parts are of different instances.
    """
    if not parts:
        raise ValueError("averaged got no values; give those of one seed at least.")
    for part in parts[1:]:
        _same(parts[0], part)
    return {key: math.fsum(part[key] for part in parts) / len(parts) for key in parts[0]}


def interval(values: Sequence[float] | NDArray[np.float64], *, draws: int = DRAWS, seed: int = 0) -> tuple[float, float]:
    """Percentile bootstrap interval (95 %) of the mean of `values`, the same for the same values and seed.

    Raises:
        ValueError: there is no value, or no draw.
    """
    if not len(values) or draws < 1:
        raise ValueError(f"interval needs at least one value and one draw, got {len(values)} and {draws}.")
    distinct, counts = np.unique(np.asarray(values, np.float64), return_counts=True)
    return _interval(tuple(distinct.tolist()), tuple(counts.tolist()), draws, seed)


@lru_cache(maxsize=4096)  # the same row stands in several tables
def _interval(distinct: tuple[float, ...], counts: tuple[int, ...], draws: int, seed: int) -> tuple[float, float]:
    """As `interval`, of values that come so many times."""
    # How often each value is drawn is multinomial: the same as drawing instances, without an index of each.
    generator, n, share = np.random.default_rng(seed), sum(counts), np.array(counts) / sum(counts)
    means = np.empty(draws)
    step = max(1, AT_ONCE // len(distinct))
    for begin in range(0, draws, step):
        part = means[begin : begin + step]
        part[:] = generator.multinomial(n, share, size=len(part)) @ np.array(distinct) / n
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def paired(values: Values, reference: Values, *, seeds: int = 1, draws: int = DRAWS, seed: int = 0) -> Difference:
    """`values` less `reference`, instance by instance, with the bootstrap interval of the mean.

    The interval is over instances as they were drawn; what other training seeds would give it does not know.

    Args:
        values, reference: by instance, averaged over seeds. seeds: how many, of the side with fewer.

    Raises:
        ValueError: they are of different instances, or of none.
    """
    _same(values, reference)
    if not values:
        raise ValueError("paired needs at least one instance; both sides have none.")
    difference = np.array([value - reference[key] for key, value in values.items()])
    low, high = interval(difference, draws=draws, seed=seed)
    return Difference(float(difference.mean()), low, high, len(difference), seeds)


def _same(first: Values, second: Values) -> None:
    if first.keys() != second.keys():
        raise ValueError(
            f"Values of different instances do not pair, {one_sided(frozenset(first), frozenset(second))}; "
            "evaluate both on the same set, with the same limit."
        )
