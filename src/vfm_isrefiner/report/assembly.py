"""From finished runs to the tables of a report: the paper's, those of other sweeps, and the differences in each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from vfm_isrefiner.report.filling import Labelled, Measured, cost_columns, is_one_network, noc_columns, ranked, set_columns
from vfm_isrefiner.report.paper_tables import PAPER_TABLES, PaperTable
from vfm_isrefiner.report.picking import TRUNK, Picked, axes_of, pick, sweep
from vfm_isrefiner.report.quoted import quoted_rows, quoted_table, shows_all
from vfm_isrefiner.report.repetitions import Repetitions, differing, grouped, telling, words
from vfm_isrefiner.report.report_table import ALIKE, ENOUGH, Cell, ReportTable, Row
from vfm_isrefiner.report.runs import Run
from vfm_isrefiner.report.statistics import DRAWS

SWEEP = "sweep"
SWEEP_AT = ("80", "85", "90")
KEYS = (*PAPER_TABLES, SWEEP)


def tables_of(
    runs: Sequence[Run], *, quoted: bool = False, only: Sequence[str] | None = None, measured: Measured | None = None
) -> list[ReportTable]:
    """The tables that these runs fill.

    A table of the paper is there where at least two of its rows are found (in Table I: two methods), once for each state of the
    settings that its rows must agree in. Runs of a multirun that has another purpose are in a table of their own, by the
    settings in which they differ. So every run is in a table.

    Args:
        runs: finished runs with an evaluation.
        quoted: with the paper's numbers beside ours where a set has the name of one of its sets; where some of its sets are not
            among ours, its tables follow by themselves.
        only: keys of `KEYS`; a table that is named here is there with one row too.
        measured: to share what was computed.

    Raises:
        ValueError: there is no run, a key is unknown, or no run belongs in a table that `only` names.
    """
    _check(runs, only or ())
    groups, measured = grouped([run for run in runs if run.evaluations]), measured or Measured()
    tables: list[ReportTable] = []
    placed: list[Repetitions] = []
    for table in PAPER_TABLES.values():
        if only is not None and table.key not in only and SWEEP not in only:
            continue
        chosen = _chosen(pick(table, groups), asked=only is not None and table.key in only)
        placed += [group for picked in chosen for group in picked.settled]
        if only is None or table.key in only:
            tables += _paper_tables(table, chosen, measured, quoted)
    if only is None or SWEEP in only:
        tables += _sweeps(groups, placed, measured)
    if quoted and not shows_all(set_columns(groups, measured)):
        found = {table.key.partition("-")[0] for table in tables}
        tables += [quoted_table(key) for key, table in PAPER_TABLES.items() if key in found and table.at]
    missing = [key for key in only or () if not any(table.key.partition("-")[0] == key for table in tables)]
    if missing:
        raise ValueError(f"none of the {len(runs)} runs belongs in {', '.join(missing)}; check the folders and their settings.")
    return tables


def differences(table: ReportTable) -> ReportTable | None:
    """Each row less the reference row, with intervals and verdicts; None where the table has no such difference."""
    reference = [row for row in table.rows if row.reference]
    rows = [row for row in table.rows if any(cell.difference for cell in row.cells)]
    places = [place for place in range(len(table.columns)) if any(row.cells[place].difference for row in rows)]
    if not reference or not rows:
        return None
    return ReportTable(
        f"{table.key}-differences",
        f"{table.title}, less {_joined(reference[0])}",
        table.labels,
        tuple(replace(table.columns[place], signed=True, ranked=False) for place in places),
        tuple(Row(row.labels, tuple(_difference(row.cells[place]) for place in places), runs=row.runs) for row in rows),
        (
            "Row less reference in clicks, below zero is fewer clicks: mean over instances and paired bootstrap 95 % interval "
            f"({DRAWS:,} draws of instances), each instance averaged over the seeds of its row.",
            "An interval is over instances, which it takes as independent; it does not tell what other training seeds would "
            "give, and of twenty intervals of equal networks one leaves out 0 by chance.",
            "Told apart is where the interval leaves out 0 and the difference has one sign for every pair of seeds.",
            f"Fewer than {ENOUGH} instances tell nothing apart.",
        ),
        intervals=True,
    )


def _check(runs: Sequence[Run], only: Sequence[str]) -> None:
    if not any(run.evaluations for run in runs):
        raise ValueError("tables_of got no run with an evaluation; give folders of finished runs.")
    unknown = [key for key in only if key not in KEYS]
    if unknown:
        raise ValueError(f"there is no table {', '.join(unknown)}; choose among {', '.join(KEYS)}.")


def _chosen(found: Sequence[Picked], *, asked: bool) -> list[Picked]:
    """Those worth a table: with something to compare, or else, where the table is asked for, all."""
    return [picked for picked in found if picked.compared >= 2] or (list(found) if asked else [])


def _paper_tables(table: PaperTable, chosen: Sequence[Picked], measured: Measured, quoted: bool) -> list[ReportTable]:
    apart = telling(differing([dict(picked.settings) for picked in chosen]))
    tables = []
    for number, picked in enumerate(chosen):
        detail = words({name: values[number] for name, values in apart.items()})
        title = f"{table.title} (Table {table.number}{f'; {detail}' if detail else ''})"
        key = table.key if number == 0 else f"{table.key}-{number + 1}"
        tables.append(_table(key, title, table.labels, picked, table.at, measured, quoted=table.key if quoted else None))
    return [table for table in tables if table.columns]


def _sweeps(groups: Sequence[Repetitions], placed: Sequence[Repetitions], measured: Measured) -> list[ReportTable]:
    """One table for each folder of runs of which some are in no table of the paper."""
    lots: dict[Any, list[Repetitions]] = {}
    for group in groups:
        first = group.runs[0]
        lots.setdefault((first.folder.parent, first.experiment), []).append(group)
    known = {id(group) for group in placed}
    left = [(place, lot) for place, lot in lots.items() if any(id(group) not in known for group in lot)]
    tables = []
    for number, ((folder, experiment), lot) in enumerate(left):
        key = SWEEP if number == 0 else f"{SWEEP}-{number + 1}"
        title = f"Runs of {experiment or folder.name or 'one folder'}"
        tables.append(_table(key, title, axes_of(lot), sweep(lot), SWEEP_AT, measured))
    return [table for table in tables if table.columns]


def _table(
    key: str,
    title: str,
    labels: tuple[str, ...],
    picked: Picked,
    at: Sequence[str],
    measured: Measured,
    *,
    quoted: str | None = None,
) -> ReportTable:
    sets = set_columns(_reference_first(picked), measured)
    if at:
        columns, cells = noc_columns(picked.rows, picked.reference, at, sets, measured)
        about: list[str] = []
    else:
        columns, cells, about = cost_columns(picked.rows, sets, measured)
    rows = [_row(row, cells[place], place == picked.reference) for place, row in enumerate(picked.rows)]
    others, notes = quoted_rows(quoted, columns, sets) if quoted else ([], [])
    table = ReportTable(key, title, labels, tuple(columns), ranked(columns, [*rows, *others]))
    apart = [one.apart for one in sets if one.apart]
    return replace(table, notes=(*_notes(table, picked), *about, *apart, *picked.notes, *notes))


def _reference_first(picked: Picked) -> list[Repetitions]:
    """Its sets come first, and what was measured in another way has a higher number."""
    first = None if picked.reference is None else picked.rows[picked.reference][1]
    return [*([first] if first else []), *(group for group in picked.groups if group is not first)]


def _joined(row: Row) -> str:
    return ", ".join(filter(None, row.labels))


def _row(row: Labelled, cells: Sequence[Cell], reference: bool) -> Row:
    labels, group = row
    names = tuple(run.name for run in group.runs) if group else ()
    return Row(labels, tuple(cells), reference=reference, missing=group is None, runs=names)


def _notes(table: ReportTable, picked: Picked) -> list[str]:
    told = words({name: picked.settings[name] for name in TRUNK if name in picked.settings})
    notes = [f"Settings of the trained rows: {told}."] if told else []
    notes.append(_seeds(table, picked.groups))
    if any(cell.rank for row in table.rows for cell in row.cells):
        notes.append("Bold is the lowest value of a column as it is shown, underlined the second lowest.")
    reference = [_joined(row) for row in table.rows if row.reference]
    found = [cell.difference for row in table.rows for cell in row.cells if cell.difference]
    if reference and any(each.verdict != ALIKE for each in found):
        notes.append(
            f"† is told apart from {reference[0]}: the paired bootstrap 95 % interval over instances ({DRAWS:,} draws) "
            "leaves out 0, and the difference has one sign for every pair of seeds."
        )
    once = [_joined(row) for row, (_, group) in zip(table.rows, picked.rows, strict=False) if is_one_network(group)]
    if once:
        notes.append(f"One network, evaluated once for each seed: {'; '.join(once)}.")
    missing = [_joined(row) for row in table.rows if row.missing]
    if missing:
        notes.append(f"No run was found for: {'; '.join(missing)}.")
    twice = [str(run.folder) for group in picked.groups for run in group.repeated()]
    if twice:
        notes.append(f"Left out, as a later run has the same settings and seed: {', '.join(twice)}.")
    return notes


def _seeds(table: ReportTable, groups: Sequence[Repetitions]) -> str:
    most = max((cell.seeds for row in table.rows for cell in row.cells), default=0)
    if most <= 1:
        return "One run each: how much results differ between seeds is not known."
    seeds = list(dict.fromkeys(str(run.seed) for group in groups for run in group.runs))
    each = f"{most} seeds" + (f" ({', '.join(seeds)})" if len(seeds) == most else "")
    return f"Mean ± sample standard deviation over {each if table.even else 'n seeds, n in brackets'}."


def _difference(cell: Cell) -> Cell:
    found = cell.difference
    if found is None:
        return Cell()
    return Cell(found.mean, None, found.seeds, low=found.low, high=found.high, instances=found.instances, verdict=found.verdict)
