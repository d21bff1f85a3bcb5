"""`ComparedRun`: what a report says of each thing it compares: its runs, how they differ, and on what they were measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from vfm_isrefiner.report.comparable import shown
from vfm_isrefiner.report.repetitions import differing, grouped, named, telling
from vfm_isrefiner.report.runs import Run


@dataclass(frozen=True)
class ComparedRun:
    """Repetitions of one thing.

    Attributes:
        name: as tables and figures call it. settings: those that are not the same for all that is compared, as text.
        measured: of each set of instances, by name, its protocol and the fingerprint of its data, as text; several where
            repetitions were measured differently.
        models: fingerprints of the networks. seeds, folders: of its runs.
    """

    name: str
    settings: Mapping[str, str] = field(default_factory=dict)
    measured: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    models: tuple[str, ...] = ()
    seeds: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()


def compared_runs(runs: Sequence[Run]) -> tuple[ComparedRun, ...]:
    """Runs that differ in their seed alone together, in the order of their first runs."""
    groups = grouped(runs)
    axes = telling(differing([group.settings for group in groups]))
    found = []
    for place, (name, group) in enumerate(zip(named(groups), groups, strict=True)):
        settings = {axis: shown(values[place]) for axis, values in axes.items() if values[place] is not None}
        models = dict.fromkeys(each.model for run in group.runs for each in run.evaluations.values() if each.model)
        seeds = tuple("not written down" if run.seed is None else str(run.seed) for run in group.runs)
        folders = tuple(str(run.folder) for run in group.runs)
        found.append(ComparedRun(name, settings, _measured(group.runs), tuple(models), seeds, folders))
    return tuple(found)


def _measured(runs: Sequence[Run]) -> dict[str, tuple[str, ...]]:
    found: dict[str, dict[str, None]] = {}
    for run in runs:
        for name, each in run.evaluations.items():
            zoom = each.protocol.zoom
            done = sum(result.evaluated for result in each.results)
            size = "whole image" if zoom is None else f"input {shown(zoom.target)}"
            text = f"{each.protocol.name}, {size}; {done} instances; data {each.data or 'unknown'}"
            found.setdefault(name, {})[text] = None
    return {name: tuple(texts) for name, texts in found.items()}
