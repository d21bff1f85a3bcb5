"""Picks the rows of a table from runs, by their settings alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vfm_isrefiner.report.comparable import shown
from vfm_isrefiner.report.filling import Labelled
from vfm_isrefiner.report.paper_tables import BACKBONES, EVALUATED, METHODS, OURS, REFERENCE, PaperRow, PaperTable
from vfm_isrefiner.report.repetitions import Repetitions, canonical, differing, named, telling, told_apart

MOST_AXES = 4  # more would not fit beside the numbers: then runs go by their names
TRUNK = ("size", "budget", "minutes", "trainer.max_epochs", "protocol", "input_size")  # told below each table


@dataclass(frozen=True)
class Picked:
    """The rows of one table.

    Attributes:
        rows: labels and runs, None where the paper has a row and no run was found.
        reference: place of the row that the others are compared with, None where there is none.
        settings: what all trained rows share.
        kinds: what each found row is one of: a row of the paper, a method. There may be several of one.
        notes: what a reader must know of the choice.
    """

    rows: tuple[Labelled, ...]
    reference: int | None
    settings: Mapping[str, Any]
    kinds: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def groups(self) -> list[Repetitions]:
        """The rows that were found."""
        return [group for _, group in self.rows if group is not None]

    @property
    def compared(self) -> int:
        """How many kinds there are."""
        return len(set(self.kinds))

    @property
    def settled(self) -> list[Repetitions]:
        """The rows that are the only one of their kind: the table is about nothing else in them."""
        return [group for kind, group in zip(self.kinds, self.groups, strict=True) if self.kinds.count(kind) == 1]


def pick(table: PaperTable, groups: Sequence[Repetitions]) -> list[Picked]:
    """The table's rows, once for each state of the settings that its rows must agree in; those with a row at least."""
    if not table.rows:
        return _methods(groups)
    trained: dict[frozenset[tuple[str, Any]], tuple[dict[str, Any], list[tuple[PaperRow, Repetitions]]]] = {}
    untrained: list[tuple[PaperRow, Repetitions]] = []
    for group in groups:
        row = next((row for row in table.rows if _fits(group.settings, row)), None)
        if row is None:
            continue
        if row.untrained:
            untrained.append((row, group))
        else:
            trunk = _trunk(group.settings, table)
            trained.setdefault(frozenset(trunk.items()), (trunk, []))[1].append((row, group))
    if not trained:
        trained = {frozenset(trunk.items()): (trunk, []) for trunk in (_evaluated(group.settings) for _, group in untrained)}
    return [_picked(table, trunk, [*found, *_joining(trunk, untrained)]) for trunk, found in trained.values()]


def sweep(groups: Sequence[Repetitions]) -> Picked:
    """All groups as rows, by the settings in which they differ, or by name where these are none or many; the first is the
    reference."""
    axes = telling(differing([group.settings for group in groups]))
    if not 0 < len(axes) <= MOST_AXES:
        rows = [((name,), group) for name, group in zip(named(groups), groups, strict=True)]
        return Picked(tuple(rows), 0, {}, tuple(name for (name,), _ in rows))
    labels = [tuple(shown(values[place]) for values in axes.values()) for place in range(len(groups))]
    shared = {name: value for name, value in groups[0].settings.items() if name not in axes}
    return Picked(tuple(zip(labels, groups, strict=True)), 0, shared, tuple(map(" ".join, labels)))


def axes_of(groups: Sequence[Repetitions]) -> tuple[str, ...]:
    """Headings of the labels of `sweep`."""
    axes = tuple(telling(differing([group.settings for group in groups])))
    return axes if 0 < len(axes) <= MOST_AXES else ("Run",)


def _picked(table: PaperTable, trunk: dict[str, Any], found: Sequence[tuple[PaperRow, Repetitions]]) -> Picked:
    rows: list[Labelled] = []
    notes: list[str] = []
    kinds: list[str] = []
    reference = None
    for row in table.rows:
        mine = [group for other, group in found if other is row]
        kinds += [" ".join(row.labels)] * len(mine)
        if row is table.rows[-1] and mine:
            reference = len(rows)
        if len(mine) < 2:
            rows.append((row.labels, mine[0] if mine else None))
            continue
        names = told_apart([row.labels[-1]] * len(mine), mine)
        rows += [((*row.labels[:-1], name), group) for name, group in zip(names, mine, strict=True)]
        if row is table.rows[-1]:
            notes.append(f"Several runs are of the row {names[0]!r}: the first is the reference.")
    learnt = [group.settings for row, group in found if not row.untrained]
    other = {name: values for name, values in differing(learnt).items() if _schedule(name)}
    notes += [f"Rows differ in {name} too: {', '.join(map(shown, dict.fromkeys(values)))}." for name, values in other.items()]
    return Picked(tuple(rows), reference, trunk, tuple(kinds), tuple(notes))


def _methods(groups: Sequence[Repetitions]) -> list[Picked]:
    """Networks evaluated from checkpoints and peers, and trained ones at the paper's settings: once for each of their sizes."""
    methods = [group for group in groups if _is_method(group.settings)]
    others = [group for group in methods if not _is_trained(group.settings)]
    sizes: dict[Any, list[Repetitions]] = {}
    for group in methods:
        if _is_trained(group.settings):
            sizes.setdefault(group.settings.get("size"), []).append(group)
    if not sizes and others:
        sizes = {None: []}
    return [_methods_of([*others, *trained]) for trained in sizes.values()]


def _methods_of(chosen: list[Repetitions]) -> Picked:
    """Ours last."""
    chosen.sort(key=lambda group: _method(group) == OURS)
    names = told_apart([_method(group) for group in chosen], chosen)
    sizes = [str(group.settings.get("model.size") or "") for group in chosen]
    rows = [
        ((name, BACKBONES.get(size, size) if _is_own(group.settings) else ""), group)
        for name, size, group in zip(names, sizes, chosen, strict=True)
    ]
    ours = [place for place, group in enumerate(chosen) if _method(group) == OURS]
    ours = ours or [place for place, group in enumerate(chosen) if _is_network_of_ours(group.settings)]
    learnt = [group.settings for group in chosen if _is_trained(group.settings)]
    other = differing(learnt)
    notes = [
        f"Rows differ in {name}: {', '.join(map(shown, dict.fromkeys(values)))}."
        for name, values in other.items()
        if name in TRUNK or name.startswith(("data.", "distillation."))
    ]
    shared = {name: value for name, value in (learnt[0] if learnt else {}).items() if name not in other}
    reference = ours[0] if ours else 0 if len(chosen) > 1 else None  # the first, as in a sweep, where there is none of ours
    return Picked(tuple(rows), reference, shared, tuple(map(_method, chosen)), tuple(notes))


def _fits(settings: Mapping[str, Any], row: PaperRow) -> bool:
    usual = {} if row.only else REFERENCE
    return bool(settings) and all(_value(settings, name, usual) == canonical(value) for name, value in row.wanted.items())


def _value(settings: Mapping[str, Any], name: str, usual: Mapping[str, Any]) -> Any:
    value = settings.get(name)
    return canonical(usual.get(name)) if value is None else value


def _trunk(settings: Mapping[str, Any], table: PaperTable) -> dict[str, Any]:
    """What rows of one table must agree in."""
    kept = {name: value for name, value in settings.items() if name in EVALUATED or not _may_differ(name, table)}
    return {name: value for name, value in kept.items() if value is not None}


def _may_differ(name: str, table: PaperTable) -> bool:
    return any(name == axis or name.startswith(f"{axis}.") for axis in table.axes) or name.startswith(table.free or (" ",))


def _evaluated(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: settings[name] for name in EVALUATED if settings.get(name) is not None}


def _joining(trunk: Mapping[str, Any], untrained: Sequence[tuple[PaperRow, Repetitions]]) -> list[tuple[PaperRow, Repetitions]]:
    return [(row, group) for row, group in untrained if _evaluated(group.settings) == _evaluated(trunk)]


def _schedule(name: str) -> bool:
    return name.startswith(("optimizer.", "scheduler.")) or name == "first_click_passes"


def _is_trained(settings: Mapping[str, Any]) -> bool:
    return bool(settings) and "checkpoint" not in settings and not _is_peer(settings)


def _is_network_of_ours(settings: Mapping[str, Any]) -> bool:
    return settings.get("model.kind") == "isrefiner" and not _is_peer(settings)


def _is_peer(settings: Mapping[str, Any]) -> bool:
    return any(name == "peer" or name.startswith("peer.") for name in settings)


def _is_own(settings: Mapping[str, Any]) -> bool:
    return not _is_peer(settings)


def _is_method(settings: Mapping[str, Any]) -> bool:
    if not _is_trained(settings):
        return bool(settings)  # without any it is not known what it was
    if settings.get("model.kind") in ("mfp", "simpleclick"):
        return settings.get("mode") in ("full", None)
    return _fits(settings, PaperRow((OURS,)))


def _method(group: Repetitions) -> str:
    """By its kind where it was trained here; by the run's name, or its checkpoint's, otherwise."""
    settings = group.settings
    if _is_trained(settings):
        return METHODS[str(settings.get("model.kind") or REFERENCE["model.kind"])]
    if "=" not in group.name:
        return group.name
    return Path(str(settings.get("checkpoint") or "untrained")).stem
