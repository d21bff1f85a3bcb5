"""NoC by the size of the objects and by their class, with counts and bootstrap intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

from vfm_isrefiner.evaluation import InstanceResult
from vfm_isrefiner.report.comparable import Key
from vfm_isrefiner.report.filling import BySeed, Measured, SetColumn, noc_cell, ranked, set_columns
from vfm_isrefiner.report.repetitions import Repetitions, grouped, named
from vfm_isrefiner.report.report_table import ENOUGH, Column, ReportTable, Row
from vfm_isrefiner.report.runs import Run

EDGES = (1024, 9216)  # px, COCO's small, medium and large: 32 x 32 and 96 x 96
OTHER, NO_CLASS = "other classes", "no class"
MOST_CLASSES = 10


def by_size(
    runs: Sequence[Run], *, at: str = "90", edges: Sequence[int] = EDGES, measured: Measured | None = None
) -> list[ReportTable]:
    """NoC of objects of up to `edges` pixels, between them, and from the last one on: one table for each set.

    Args:
        runs: those to compare. at: IoU in percent.
        edges: areas in pixels, rising; an object of just that area is in the bin above it.

    Raises:
        ValueError: edges do not rise, or there is no run.
    """
    if not edges or any(low >= high for low, high in zip((0, *edges), edges, strict=False)):
        raise ValueError(f"edges={tuple(edges)} must be areas in pixels, above 0 and rising, such as {EDGES}.")
    names = [f"< {edges[0]:,} px", *(f"{low:,}–{high:,} px" for low, high in pairwise(edges))]
    names.append(f"≥ {edges[-1]:,} px")

    def bins(results: Sequence[InstanceResult]) -> dict[str, list[Key]]:
        found: dict[str, list[Key]] = {name: [] for name in names}
        for result in results:
            found[names[sum(result.area >= edge for edge in edges)]].append((result.source, result.id))
        return found

    return _tables(runs, at, "size", "object size", bins, measured)


def by_class(
    runs: Sequence[Run], *, at: str = "90", most: int = MOST_CLASSES, measured: Measured | None = None
) -> list[ReportTable]:
    """NoC of each class: one table for each set whose instances have several. Beyond `most`, the rarest are taken together.

    Raises:
        ValueError: `most` is below 2, or there is no run.
    """
    if most < 2:
        raise ValueError(f"most={most} must be 2 or more.")

    def bins(results: Sequence[InstanceResult]) -> dict[str, list[Key]]:
        found: dict[str, list[Key]] = {}
        for result in results:
            found.setdefault(result.category or NO_CLASS, []).append((result.source, result.id))
        order = sorted(found, key=lambda name: (-len(found[name]), name))
        if len(order) < 2:
            return {}
        if len(order) <= most:
            return {name: found[name] for name in order}
        kept = {name: found[name] for name in order[: most - 1]}
        return kept | {f"{len(order) - most + 1} {OTHER}": [key for name in order[most - 1 :] for key in found[name]]}

    return _tables(runs, at, "class", "class", bins, measured)


def _tables(
    runs: Sequence[Run],
    at: str,
    key: str,
    what: str,
    bins: Callable[[Sequence[InstanceResult]], Mapping[str, list[Key]]],
    measured: Measured | None,
) -> list[ReportTable]:
    groups, measured = grouped([run for run in runs if run.evaluations]), measured or Measured()
    if not groups:
        raise ValueError(f"NoC by {what} needs a run with an evaluation; give folders of finished runs.")
    names = named(groups)
    tables: list[ReportTable] = []
    for one in set_columns(groups, measured):
        found = [measured.by_seed(group, one) for group in groups]
        results = next(iter(next(each for each in found if each).values())).results
        parts = bins([result for result in results if result.evaluated])
        values: list[BySeed] = [
            {seed: value for seed, each in by_seed.items() if (value := measured.noc(each, at)) is not None}
            for by_seed in found
        ]
        if parts and any(values):
            rows = list(zip(names, groups, values, strict=True))
            tables.append(_table(f"{key}-{len(tables) + 1}", what, at, one, parts, rows))
    return tables


def _table(
    key: str,
    what: str,
    at: str,
    one: SetColumn,
    parts: Mapping[str, list[Key]],
    rows: Sequence[tuple[str, Repetitions, BySeed]],
) -> ReportTable:
    columns = tuple(Column("", f"{name}, n={len(keys)}", ranked=len(keys) >= ENOUGH) for name, keys in parts.items())
    filled = [
        Row(
            (name,), tuple(noc_cell(_part(values, keys)) for keys in parts.values()), runs=tuple(run.name for run in group.runs)
        )
        for name, group, values in rows
        if values
    ]
    notes = (
        f"NoC{at}, mean over seeds, with the bootstrap 95 % interval over the n instances of each column; those of fewer than "
        f"{ENOUGH} are not ranked.",
        *([one.apart] if one.apart else []),
    )
    return ReportTable(
        key, f"NoC{at} by {what}: {one.title}", ("Run",), columns, ranked(columns, filled), notes, intervals=True
    )


def _part(values: BySeed, keys: Sequence[Key]) -> BySeed:
    return {seed: {key: each[key] for key in keys} for seed, each in values.items()} if keys else {}
