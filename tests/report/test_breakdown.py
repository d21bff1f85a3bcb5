"""NoC by size and by class, worked by hand."""

from dataclasses import replace

import pytest
from report.made_runs import evaluation, made_run

from vfm_isrefiner.report.breakdown import by_class, by_size

AREAS = [100, 1023, 1024, 9215, 9216, 90000]
OURS = evaluation([2, 4, 6, 8, 1, 3], areas=AREAS, classes=["ship", "ship", "ship", "roof", "roof", "tree"])
OTHER = evaluation([4, 6, 6, 8, 1, 5], areas=AREAS, classes=["ship", "ship", "ship", "roof", "roof", "tree"])
RUNS = [made_run(OURS, name="ours"), made_run(OTHER, name="mfp", model__kind="mfp")]


def means(table):
    return {row.labels[0]: [cell.mean for cell in row.cells] for row in table.rows}


def test_by_size():
    [table] = by_size(RUNS)
    assert (table.key, table.title) == ("size-1", "NoC90 by object size: isaid")
    assert [column.heading for column in table.columns] == ["< 1,024 px, n=2", "1,024–9,216 px, n=2", "≥ 9,216 px, n=2"]
    assert means(table) == {"ours": [3, 7, 2], "mfp": [5, 7, 3]}
    cell = table.rows[0].cells[0]
    assert (cell.low, cell.high, cell.instances) == (2, 4, 2)
    assert [cell.rank for row in table.rows for cell in row.cells] == [0] * 6  # of two instances each
    assert table.intervals


def test_the_best_is_marked_among_enough_instances_that_differ():
    fewer, more = ([value + by for value in [2, 4] * 5] + [9] * 10 + [1 + by] for by in (0, 1))
    areas = [100] * 10 + [5000] * 10 + [90000]
    [table] = by_size([made_run(evaluation(each, areas=areas), budget=each[0]) for each in (fewer, more)])
    assert [cell.rank for row in table.rows for cell in row.cells] == [1, 0, 0, 2, 0, 0]


def test_other_edges_and_bins_without_an_object():
    [table] = by_size(RUNS[:1], at="80", edges=(50, 2000))
    assert [column.title for column in table.columns] == ["< 50 px, n=0", "50–2,000 px, n=3", "≥ 2,000 px, n=3"]
    assert means(table) == {"ours": [None, 1, 1]}


def test_by_class_from_the_most_to_the_fewest():
    [table] = by_class(RUNS)
    assert table.key == "class-1"
    assert [column.title for column in table.columns] == ["ship, n=3", "roof, n=2", "tree, n=1"]
    assert means(table) == {"ours": [4, 4.5, 3], "mfp": [16 / 3, 4.5, 5]}


def test_rare_classes_are_taken_together():
    [table] = by_class(RUNS[:1], most=2)
    assert [column.title for column in table.columns] == ["ship, n=3", "2 other classes, n=3"]
    assert means(table) == {"ours": [4, 4]}


def test_seeds_are_averaged():
    [table] = by_size([RUNS[0], made_run(OTHER, name="ours", seed=1)])
    assert means(table) == {"ours": [4, 7, 2.5]}
    assert table.rows[0].cells[0].std == pytest.approx(2**0.5)


def test_a_set_of_one_class_has_no_table_by_class():
    assert by_class([made_run(evaluation([1, 2]))]) == []
    [table] = by_class([made_run(evaluation([1, 2], classes=["", "roof"]))])
    assert [column.title for column in table.columns] == ["no class, n=1", "roof, n=1"]


def test_each_kind_of_conditions_has_its_own_table():
    apart = made_run(replace(OTHER, data="data 2"), name="mfp", model__kind="mfp")
    tables = by_size([RUNS[0], apart, made_run({"sandbar": OURS}, name="third", budget=1)])
    assert [table.title.rpartition(": ")[2] for table in tables] == ["isaid (1)", "isaid (2)", "sandbar"]
    assert [list(means(table)) for table in tables] == [["ours"], ["mfp"], ["third"]]
    assert any("stand apart" in note for note in tables[1].notes)
    assert not any("stand apart" in note for table in (tables[0], tables[2]) for note in table.notes)


def test_a_score_that_is_not_defined_has_no_table():
    assert by_size([made_run(replace(OURS, target_iou=0.85))]) == []
    assert len(by_size([made_run(replace(OURS, target_iou=0.85))], at="85")) == 1


def test_errors():
    for edges in ((), (5, 5), (0, 5), (9, 3)):
        with pytest.raises(ValueError, match="above 0 and rising"):
            by_size(RUNS, edges=edges)
    with pytest.raises(ValueError, match="most=1 must be 2 or more"):
        by_class(RUNS, most=1)
    with pytest.raises(ValueError, match="NoC by object size needs a run with an evaluation"):
        by_size([])
    with pytest.raises(ValueError, match="NoC77 is not reported"):
        by_size(RUNS, at="77")
