"""The cells of a table: NoC of each set and cost of each network, over seeds, with ranks and differences to a reference row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import final

from vfm_isrefiner.evaluation import Evaluation
from vfm_isrefiner.report.comparable import Conditions, Key, distinct, shown
from vfm_isrefiner.report.repetitions import Repetitions
from vfm_isrefiner.report.report_table import Cell, Column, Difference, Row
from vfm_isrefiner.report.runs import Run
from vfm_isrefiner.report.statistics import averaged, interval, noc_of, over_seeds, paired

Labelled = tuple[tuple[str, ...], Repetitions | None]  # None: no run was found for the row
BySeed = dict[int | None, dict[Key, float]]


@dataclass(frozen=True)
class SetColumn:
    """A set of instances under one kind of conditions.

    Attributes:
        name: the set's. title: the same, with a number where there are several kinds of conditions.
        apart: a sentence on what keeps it apart from the first kind; empty for that one.
    """

    name: str
    title: str
    conditions: Conditions
    apart: str = ""


@final
class Measured:
    """Conditions and scores of evaluations, each computed once."""

    def __init__(self) -> None:
        self._kept: dict[int, Evaluation] = {}  # holds them, so that no other one takes an id
        self._conditions: dict[int, Conditions] = {}
        self._noc: dict[tuple[int, str], dict[Key, float] | None] = {}

    def conditions(self, evaluation: Evaluation) -> Conditions:
        """Of an evaluation."""
        self._kept[id(evaluation)] = evaluation
        if id(evaluation) not in self._conditions:
            self._conditions[id(evaluation)] = Conditions.of(evaluation)
        return self._conditions[id(evaluation)]

    def noc(self, evaluation: Evaluation, at: str) -> dict[Key, float] | None:
        """As `noc_of`."""
        self._kept[id(evaluation)] = evaluation
        if (id(evaluation), at) not in self._noc:
            self._noc[id(evaluation), at] = noc_of(evaluation, at)
        return self._noc[id(evaluation), at]

    def by_seed(self, group: Repetitions, column: SetColumn) -> dict[int | None, Evaluation]:
        """A group's evaluations that belong in a column; of two of one seed the later run's."""
        found = [(run.seed, run.evaluations[column.name]) for run in group.runs if column.name in run.evaluations]
        return {seed: each for seed, each in found if self.conditions(each) == column.conditions}


def set_columns(groups: Sequence[Repetitions], measured: Measured) -> list[SetColumn]:
    """All sets that were evaluated, each once for each kind of conditions."""
    runs = [run for group in groups for run in group.runs]
    columns: list[SetColumn] = []
    for name in dict.fromkeys(name for run in runs for name in run.evaluations):
        kinds = distinct([measured.conditions(run.evaluations[name]) for run in runs if name in run.evaluations])
        if len(kinds) == 1:
            columns.append(SetColumn(name, name, kinds[0]))
            continue
        columns.append(SetColumn(name, f"{name} (1)", kinds[0]))
        for number, kind in enumerate(kinds[1:], 2):
            apart = "; ".join(kinds[0].differences(kind))
            note = f"{name} (1) and {name} ({number}) stand apart, as they were not measured alike: {apart}."
            columns.append(SetColumn(name, f"{name} ({number})", kind, note))
    return columns


def noc_columns(
    rows: Sequence[Labelled], reference: int | None, at: Sequence[str], sets: Sequence[SetColumn], measured: Measured
) -> tuple[list[Column], list[list[Cell]]]:
    """One column for each set and threshold where NoC is defined, and the cells of each row; ranks are not set yet."""
    columns: list[Column] = []
    cells: list[list[Cell]] = [[] for _ in rows]
    for one in sets:
        for threshold in at:
            values = [_values(group, one, threshold, measured) if group else {} for _, group in rows]
            if not any(values):
                continue
            columns.append(Column(one.title, f"NoC{threshold}"))
            ours = None if reference is None else values[reference]
            for place, found in enumerate(values):
                cell = noc_cell(found, None if place == reference else ours)
                cells[place].append(replace(cell, std=None) if is_one_network(rows[place][1]) else cell)
    return columns, cells


def is_one_network(group: Repetitions | None) -> bool:
    """Whether several seeds are of one network, evaluated again: they say nothing of how much results differ."""
    models = [each.model for run in group.runs for each in run.evaluations.values()] if group else []
    return group is not None and len({run.seed for run in group.runs}) > 1 and len(set(models)) == 1 and bool(models[0])


def noc_cell(values: BySeed, reference: BySeed | None = None) -> Cell:
    """Mean and spread over seeds, the interval of the mean over instances, and the difference to a reference."""
    if not values:
        return Cell()
    mean, std = over_seeds([sum(each.values()) / len(each) for each in values.values()])
    instances = averaged(list(values.values()))
    low, high = interval(list(instances.values()))
    difference = None if reference is None else compared(values, reference)
    return Cell(mean, std, len(values), low=low, high=high, instances=len(instances), difference=difference)


def compared(values: BySeed, reference: BySeed) -> Difference | None:
    """The paired difference, each instance averaged over the seeds of its side; None where a side has no value."""
    if not values or not reference:
        return None
    gaps = [sum(a.values()) / len(a) - sum(b.values()) / len(b) for a in values.values() for b in reference.values()]
    first, second = (averaged(list(side.values())) for side in (values, reference))
    return replace(paired(first, second, seeds=min(len(values), len(reference))), gaps=(min(gaps), max(gaps)))


def cost_columns(
    rows: Sequence[Labelled], sets: Sequence[SetColumn], measured: Measured
) -> tuple[list[Column], list[list[Cell]], list[str]]:
    """Trainable parameters, FLOPs of a first click, and milliseconds a click; with sentences on what the time is over."""
    groups = [group for _, group in rows if group is not None]
    common = [one for one in sets if groups and all(measured.by_seed(group, one) for group in groups)]
    cells = [_cost(group, common, measured) if group else [Cell()] * 4 for _, group in rows]
    small = [any(mean is not None and mean < 1 for mean in (row[place].mean for row in cells)) for place in (0, 1)]
    columns = [
        Column("", "Trainable", 3 if small[0] else 2, "M", ranked=False),
        Column("", "FLOPs", 3 if small[1] else 2, "G", ranked=False),
        Column("Time", "of the network", 1, "ms", ranked=False),
        Column("Time", "in all", 1, "ms", ranked=False),
    ]
    over = ", ".join(one.title for one in common)
    return columns, cells, [*_time_notes(over), *_input_notes(groups)]


def _time_notes(over: str) -> list[str]:
    if not over:
        return ["Times are left out: there is no set that all rows were evaluated on by one protocol."]
    return [
        f"Time is per click, the mean of the means of these sets: {over}. Of the network is with its zoom; in all is with the "
        "simulated click, the scores and the waiting for images.",
        "Times depend on the machine and the batch size: they compare within one machine.",
    ]


def _input_notes(groups: Sequence[Repetitions]) -> list[str]:
    """FLOPs are counted at the size that a network was made for."""
    sizes = list(dict.fromkeys(shown(group.settings.get("model.image_size")) for group in groups))
    return [f"FLOPs are of images of different sizes: {', '.join(sizes)} px a side."] if len(sizes) > 1 else []


def ranked(columns: Sequence[Column], rows: Sequence[Row]) -> tuple[Row, ...]:
    """The lowest and second lowest shown value of each ranked column marked, where there are two values at least; ties alike.

    Quoted values neither get a mark nor take one.
    """
    marked = [list(row.cells) for row in rows]
    for place, column in enumerate(columns):
        values = {
            number: round(mean, column.decimals)
            for number, row in enumerate(rows)
            if not row.quoted and (mean := row.cells[place].mean) is not None
        }
        best = sorted(set(values.values()))
        if not column.ranked or len(best) < 2:
            continue
        for number, value in values.items():
            rank = best.index(value) + 1
            marked[number][place] = replace(marked[number][place], rank=1 if rank == 1 else 2 if rank == 2 else 0)
    return tuple(replace(row, cells=tuple(cells)) for row, cells in zip(rows, marked, strict=True))


def _values(group: Repetitions, column: SetColumn, at: str, measured: Measured) -> BySeed:
    found = {seed: measured.noc(each, at) for seed, each in measured.by_seed(group, column).items()}
    return {seed: values for seed, values in found.items() if values is not None}


def _cost(group: Repetitions, sets: Sequence[SetColumn], measured: Measured) -> list[Cell]:
    runs = list({run.seed: run for run in group.runs}.values())
    trainable = [run.cost["trainable"] / 1e6 for run in runs if "trainable" in run.cost]
    flops = [_flops(run) / 1e9 for run in runs if {"flops_per_image", "flops_per_click"} <= set(run.cost)]
    found = [measured.by_seed(group, one) for one in sets]
    seeds = [seed for seed in (found[0] if found else {}) if all(seed in each for each in found)]
    times = [[_seconds(each[seed]) for each in found] for seed in seeds]
    network, total = ([1e3 * sum(pair[part] for pair in each) / len(each) for each in times] for part in (0, 1))
    counted = [replace(_over(values), std=None) for values in (trainable, flops)]  # no measurement that varies
    return [*counted, *map(_over, (network, total))]


def _flops(run: Run) -> float:
    return run.cost["flops_per_image"] + run.cost["flops_per_click"]


def _seconds(evaluation: Evaluation) -> tuple[float, float]:
    """Per click: inside the network, and in all."""
    done = [result for result in evaluation.results if result.evaluated]
    clicks = max(1, sum(len(result.clicks) for result in done))
    network = sum(result.seconds_network for result in done) / clicks
    return network, network + sum(result.seconds_rest for result in done) / clicks


def _over(values: Sequence[float]) -> Cell:
    return Cell(*over_seeds(values), len(values)) if values else Cell()
