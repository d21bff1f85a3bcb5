"""`ReportTable` and its parts."""

import pytest

from vfm_isrefiner.report.report_table import ALIKE, FEWER, MORE, Cell, Column, Difference, ReportTable, Row

COLUMNS = (Column("isaid", "NoC80"), Column("isaid", "NoC90"), Column("", "Time", 1, "ms"))


@pytest.mark.parametrize(
    ("low", "high", "instances", "verdict"),
    [
        *((-0.4, -0.1, 10, FEWER), (0.1, 0.4, 10, MORE), (-0.1, 0.1, 10, ALIKE), (0.0, 0.4, 10, ALIKE)),
        *((-0.4, 0.0, 10, ALIKE), (-0.4, -0.1, 9, ALIKE)),
    ],
)
def test_verdicts(low, high, instances, verdict):
    assert Difference((low + high) / 2, low, high, instances).verdict == verdict


@pytest.mark.parametrize(("gaps", "verdict"), [((-0.5, -0.1), FEWER), ((-0.5, 0.0), ALIKE), ((-0.5, 0.2), ALIKE)])
def test_seeds_that_disagree_tell_nothing_apart(gaps, verdict):
    assert Difference(-0.3, -0.4, -0.1, 10, 2, gaps).verdict == verdict


def test_headings_and_groups():
    table = ReportTable("t", "T", ("Method",), COLUMNS, ())
    assert [column.heading for column in table.columns] == ["isaid NoC80", "isaid NoC90", "Time (ms)"]
    assert table.groups == (("isaid", 2), ("", 1))


def test_even_is_of_our_own_values():
    rows = [Row(("a",), (Cell(1.0, seeds=2), Cell(), Cell(1.0, seeds=2))), Row(("b",), (Cell(1.0, seeds=3),) * 3, quoted=True)]
    assert ReportTable("t", "T", ("Method",), COLUMNS, tuple(rows)).even
    assert not ReportTable("t", "T", ("Method",), COLUMNS, (rows[0], Row(("c",), (Cell(1.0, seeds=1),) * 3))).even


@pytest.mark.parametrize("row", [Row(("a", "b"), (Cell(),) * 3), Row(("a",), (Cell(),))])
def test_a_row_must_fit(row):
    with pytest.raises(ValueError, match=r"Table t needs 1 labels and 3 cells in each row, got \d and \d in 'a"):
        ReportTable("t", "T", ("Method",), COLUMNS, (row,))
