"""`ReportTable`: a finished table of a report, as plain values that the writers and the page show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

FEWER, MORE, ALIKE = "fewer clicks", "more clicks", "not told apart"
ENOUGH = 10  # instances; fewer tell nothing apart

Rank = Literal[0, 1, 2]


@dataclass(frozen=True)
class Difference:
    """A row less the table's reference row in one column; below zero is fewer clicks.

    Attributes:
        mean: over the instances. low, high: its bootstrap 95 % interval. instances: how many both rows have.
        seeds: of the row with fewer. gaps: lowest and highest difference of the means of a seed of each row, None if unknown.
    """

    mean: float
    low: float
    high: float
    instances: int
    seeds: int = 1
    gaps: tuple[float, float] | None = None

    @property
    def verdict(self) -> str:
        """What interval and seeds say: "fewer clicks", "more clicks" or "not told apart"."""
        if self.instances < ENOUGH or self.low <= 0 <= self.high:
            return ALIKE
        if self.gaps is not None and self.gaps[0] <= 0 <= self.gaps[1]:  # no more than seeds of one network differ
            return ALIKE
        return FEWER if self.high < 0 else MORE


@dataclass(frozen=True)
class Column:
    """One column of values.

    Attributes:
        group: what stands above several columns, such as the set of instances; empty for none.
        title: of the column itself, such as "NoC90".
        decimals: shown digits after the point. unit: behind the title, such as "M" or "ms"; empty for none.
        ranked: whether the lowest and second lowest values are marked.
        signed: whether values are differences, shown with their sign.
    """

    group: str
    title: str
    decimals: int = 2
    unit: str = ""
    ranked: bool = True
    signed: bool = False

    @property
    def heading(self) -> str:
        """Group, title and unit in one line."""
        return " ".join(filter(None, (self.group, self.title))) + (f" ({self.unit})" if self.unit else "")


@dataclass(frozen=True)
class Cell:
    """One value; that of a missing one is None.

    Attributes:
        mean: over the seeds. std: sample standard deviation over them, None for one seed. seeds: how many.
        rank: 1 the best of its column, 2 the second best, 0 neither.
        low, high: bootstrap 95 % interval of the mean over instances, None where there is none.
        instances: how many the mean is over; 0 for a value that is over none.
        difference: to the reference row, None for that row itself and where there is none.
        verdict: words behind the value, in a table of differences.
    """

    mean: float | None = None
    std: float | None = None
    seeds: int = 0
    rank: Rank = 0
    low: float | None = None
    high: float | None = None
    instances: int = 0
    difference: Difference | None = None
    verdict: str = ""


@dataclass(frozen=True)
class Row:
    """One row.

    Attributes:
        labels: one for each of the table's `labels`. cells: one for each of its columns.
        reference: whether differences are to this row. quoted: whether its numbers are the paper's.
        missing: whether no run was found for it. runs: names of the runs behind it.
    """

    labels: tuple[str, ...]
    cells: tuple[Cell, ...]
    reference: bool = False
    quoted: bool = False
    missing: bool = False
    runs: tuple[str, ...] = ()


@dataclass(frozen=True)
class ReportTable:
    """One table.

    Attributes:
        key: short name for files and anchors, unique in a report, such as "table5" or "table5-2".
        title: for the caption. labels: headings of the columns of labels. columns, rows: the values.
        notes: sentences below it: what the numbers are over, what could not be compared and why.
        intervals: whether cells are shown with their interval (low, high) instead of the spread over seeds.

    Raises:
        ValueError: a row has another number of labels or cells than the table.
    """

    key: str
    title: str
    labels: tuple[str, ...]
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    intervals: bool = False

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row.labels) != len(self.labels) or len(row.cells) != len(self.columns):
                raise ValueError(
                    f"Table {self.key} needs {len(self.labels)} labels and {len(self.columns)} cells in each row, "
                    f"got {len(row.labels)} and {len(row.cells)} in {' '.join(row.labels)!r}."
                )

    @property
    def groups(self) -> tuple[tuple[str, int], ...]:
        """Neighbouring columns of one group: its name and how many they are."""
        found: list[tuple[str, int]] = []
        for column in self.columns:
            if found and found[-1][0] == column.group:
                found[-1] = (column.group, found[-1][1] + 1)
            else:
                found.append((column.group, 1))
        return tuple(found)

    @property
    def even(self) -> bool:
        """Whether all values are over the same number of seeds, so that it need not stand in each cell."""
        return len({cell.seeds for row in self.rows for cell in row.cells if cell.seeds and not row.quoted}) <= 1
