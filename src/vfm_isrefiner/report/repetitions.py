"""`Repetitions`: runs of one thing over several seeds; what tells such groups from each other, and what they are called."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from vfm_isrefiner.report.comparable import shown
from vfm_isrefiner.report.runs import Run, beside

NOT_IN_NAME = ("seed=", "experiment=", "name=")
LEADS = ("size", "mode", "model.kind")  # groups of settings that bring others along


@dataclass(frozen=True)
class Repetitions:
    """Runs that differ in their seed alone, at least one."""

    runs: tuple[Run, ...]

    @property
    def settings(self) -> dict[str, Any]:
        """What they have in common, each value in one form ("0.5" and 0.5 are the same)."""
        return {name: canonical(value) for name, value in self.runs[0].settings.items() if not beside(name)}

    @property
    def name(self) -> str:
        """The first run's, without its seed."""
        words = [word for word in self.runs[0].name.split() if not word.startswith(NOT_IN_NAME)]
        return " ".join(words) or self.runs[0].name

    def repeated(self) -> list[Run]:
        """Runs that say nothing, as a later one has the same seed and sets."""
        last = {(run.seed, name): run for run in self.runs for name in run.evaluations}
        return [
            run for run in self.runs if run.evaluations and all(last[run.seed, name] is not run for name in run.evaluations)
        ]


def grouped(runs: Sequence[Run]) -> list[Repetitions]:
    """Runs that differ in their seed alone together, in the order of their first runs."""
    groups: list[list[Run]] = []
    for run in runs:
        for group in groups:
            if group[0].same_but_for_seed(run):
                group.append(run)
                break
        else:
            groups.append([run])
    return [Repetitions(tuple(group)) for group in groups]


def differing(settings: Sequence[dict[str, Any]]) -> dict[str, list[Any]]:
    """The names whose values are not the same everywhere, with the values in order; what is missing is None."""
    names = dict.fromkeys(name for each in settings for name in each)
    values = {name: [each.get(name) for each in settings] for name in names}
    return {name: found for name, found in values.items() if any(value != found[0] for value in found)}


def telling(axes: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Differing settings without those that follow from another one: what lies below it, and what a size or a mode brings."""
    kept = {name: values for name, values in axes.items() if not any(name.startswith(f"{other}.") for other in axes)}
    for lead in LEADS:
        if lead in kept:
            kept = {name: values for name, values in kept.items() if name == lead or not _follows(values, kept[lead])}
    return kept


def words(settings: dict[str, Any]) -> str:
    """Settings as one would type them; what is None is left out."""
    return ", ".join(f"{name}={shown(value)}" for name, value in settings.items() if value is not None)


def named(groups: Sequence[Repetitions]) -> list[str]:
    """A name for each group, all different: its own, with what tells it from others of that name."""
    return told_apart([group.name for group in groups], groups)


def told_apart(names: Sequence[str], groups: Sequence[Repetitions]) -> list[str]:
    """`names`, and where several groups have one, what tells these from each other behind it."""
    unique = list(names)
    for name in dict.fromkeys(names):
        places = [place for place, other in enumerate(names) if other == name]
        if len(places) == 1:
            continue
        axes = telling(differing([groups[place].settings for place in places]))
        for number, place in enumerate(places):
            detail = words({axis: values[number] for axis, values in axes.items()})
            unique[place] = f"{name}, {detail or 'without ' + ', '.join(axes)}" if axes else f"{name} ({number + 1})"
    return unique


def _follows(values: list[Any], lead: list[Any]) -> bool:
    """Whether each value of `lead` goes with one value."""
    return all(value == values[lead.index(leader)] for value, leader in zip(values, lead, strict=True))


def canonical(value: Any) -> Any:
    """A setting's value so that equal ones compare equal: numbers as float, also where written as text; lists as tuples."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, (list, tuple)):
        return tuple(map(canonical, value))
    if isinstance(value, dict):
        return tuple((name, canonical(each)) for name, each in sorted(value.items()))
    try:
        number = float(value)
    except ValueError:
        return value
    return number if math.isfinite(number) else value
