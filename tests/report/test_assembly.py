"""From runs to tables: worked examples of every cell, mark and note."""

import json
from dataclasses import replace

import pytest
from report.made_runs import RULE, evaluation, made_run

from vfm_isrefiner.report.assembly import KEYS, differences, tables_of
from vfm_isrefiner.report.report_table import ALIKE, FEWER, MORE, Cell
from vfm_isrefiner.report.runs import find_runs

BASE = [4, 6, 8, 10] * 5  # NoC90 of 20 instances, 7 on average


def shifted(by):
    return evaluation([value + by for value in BASE], [2 + by] * 20)


def theta_runs():
    """NoC90 of ours: 7 and 7.5 (two seeds); of θ = 1: 8 and 9; of θ = 0.5: 6.5."""
    more = evaluation([*(value + 1 for value in BASE[:10]), *BASE[10:]], [2] * 20)
    less = evaluation([*(value - 1 for value in BASE[:10]), *BASE[10:]], [2] * 20)
    return [
        made_run(shifted(0), seed=0),
        made_run(more, seed=1),
        made_run(shifted(1), seed=0, model__theta=1.0),
        made_run(shifted(2), seed=1, model__theta=1.0),
        made_run(less, seed=0, model__theta=0.5),
    ]


def by_label(table):
    return {row.labels: row for row in table.rows}


def test_cells_worked_by_hand():
    [table] = tables_of(theta_runs(), only=["table6"])
    assert (table.key, table.title) == ("table6", "The weight θ of the early features (Table VI)")
    assert [column.heading for column in table.columns] == ["isaid NoC80", "isaid NoC90"]
    rows = by_label(table)
    ours, one, half = (rows[name,].cells[1] for name in ("learnable, per channel", "1", "0.5"))
    assert (ours.mean, ours.std, ours.seeds, ours.instances) == (7.25, pytest.approx(0.125**0.5), 2, 20)
    assert (one.mean, one.std) == (8.5, pytest.approx(0.5**0.5))
    assert (half.mean, half.std, half.seeds) == (6.5, None, 1)
    assert (half.rank, ours.rank, one.rank) == (1, 2, 0)
    assert rows["learnable, per channel",].reference
    assert ours.difference is None
    # 8.5 - 7.25 and 6.5 - 7.25; the gaps are those of each seed of theirs and each of ours
    assert (one.difference.mean, one.difference.seeds, one.difference.gaps, one.difference.verdict) == (1.25, 2, (0.5, 2), MORE)
    assert (half.difference.mean, half.difference.seeds, half.difference.verdict) == (-0.75, 1, FEWER)
    assert -1.2 <= half.difference.low <= half.difference.high <= -0.3


def test_a_row_without_runs_is_missing():
    [table] = tables_of(theta_runs(), only=["table6"])
    missing = by_label(table)["learnable, one number",]
    assert missing.missing
    assert missing.cells == (Cell(), Cell())
    assert "No run was found for: learnable, one number." in table.notes


def test_ties_are_marked_alike():
    runs = [made_run(shifted(by), modulation=name) for name, by in (("none", 1), ("mfp", 0), ("isrefiner", 0))]
    [table] = tables_of(runs, only=["table8"])
    assert [row.cells[1].rank for row in table.rows] == [2, 1, 1]


def test_a_single_row_is_no_best():
    [table] = tables_of([made_run(shifted(0))], only=["table8"])
    assert [row.cells[1].rank for row in table.rows] == [0, 0, 0]
    assert not any("Bold" in note for note in table.notes)


def test_notes():
    [table] = tables_of(theta_runs(), only=["table6"])
    assert table.notes == (
        "Settings of the trained rows: size=tiny.",
        "Mean ± sample standard deviation over n seeds, n in brackets.",
        "Bold is the lowest value of a column as it is shown, underlined the second lowest.",
        "† is told apart from learnable, per channel: the paired bootstrap 95 % interval over instances (10,000 draws) "
        "leaves out 0, and the difference has one sign for every pair of seeds.",
        "No run was found for: learnable, one number.",
    )
    [even] = tables_of(theta_runs()[:4], only=["table6"])
    assert "Mean ± sample standard deviation over 2 seeds (0, 1)." in even.notes
    [single] = tables_of([theta_runs()[0], theta_runs()[2]], only=["table6"])
    assert "One run each: how much results differ between seeds is not known." in single.notes


def test_rows_without_a_common_seed_are_compared_too():
    [table] = tables_of([made_run(shifted(0)), made_run(shifted(1), seed=5, model__theta=1.0)], only=["table6"])
    assert by_label(table)["1",].cells[1].difference.mean == 1
    assert differences(table).rows[0].cells[1].verdict == MORE


def test_what_seeds_alone_make_is_not_told_apart():
    runs = [
        made_run(shifted(by), seed=seed, model__theta=theta)
        for theta, found in (("learnable", (0, 3)), (1.0, (2, 4)))
        for seed, by in enumerate(found)
    ]
    [table] = tables_of(runs, only=["table6"])
    found = by_label(table)["1",].cells[1].difference
    assert (found.mean, found.low, found.gaps) == (1.5, 1.5, (-1, 4))
    assert found.verdict == ALIKE


def test_what_no_column_can_show_is_no_table():
    stopped = replace(shifted(0), target_iou=0.7)
    empty = replace(shifted(0), results=())
    for of in (stopped, empty):
        assert [table.key for table in tables_of([made_run(of, folder="sweep", budget=1)])] == []
        runs = [made_run(of, model__theta=theta) for theta in ("learnable", 1.0)]
        assert tables_of(runs) == []


def test_labels_that_are_empty_leave_no_comma():
    checkpoint = made_run(shifted(0), name="best", checkpoint="file", model__kind="isrefiner")
    [table, _] = tables_of([checkpoint, made_run(shifted(1), name="other", checkpoint="other", model__kind="mfp")])
    assert differences(table).title.endswith(", less best")


def test_a_run_made_twice_counts_once_and_is_told():
    again = made_run(shifted(3), folder="again", model__theta=1.0)
    [table] = tables_of([*theta_runs()[::2], again], only=["table6"])
    assert by_label(table)["1",].cells[1].mean == 10
    told = [note for note in table.notes if note.startswith("Left out, as a later run has the same settings and seed: ")]
    assert len(told) == 1
    assert "jobs" in told[0]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"protocol": replace(RULE, threshold=0.49)}, "protocol.threshold 0.5 against 0.49"),
        ({"data": "data 2"}, "data fingerprint data 1 against data 2"),
        ({"target_iou": 0.9}, "target_iou none against 0.9"),
        ({"results": shifted(1).results[:12]}, "instances: 8 on the first side only, 0 on the second only, 12 on both"),
    ],
)
def test_what_was_not_measured_alike_is_not_in_one_column(changes, why):
    runs = [made_run(shifted(0)), made_run(replace(shifted(1), **changes), model__theta=1.0)]
    [table] = tables_of(runs, only=["table6"])
    assert [column.group for column in table.columns] == ["isaid (1)", "isaid (1)", "isaid (2)", "isaid (2)"]
    assert f"isaid (1) and isaid (2) stand apart, as they were not measured alike: {why}." in table.notes
    ours, other = by_label(table)["learnable, per channel",].cells, by_label(table)["1",].cells
    assert [cell.mean is None for cell in (*ours, *other)] == [False, False, True, True, True, True, False, False]
    assert all(cell.difference is None and cell.rank == 0 for cell in (*ours, *other))


def test_seeds_that_were_not_measured_alike_are_not_averaged():
    runs = [made_run(shifted(0)), made_run(replace(shifted(1), data="data 2"), seed=1), made_run(shifted(2), model__theta=1.0)]
    [table] = tables_of(runs, only=["table6"])
    assert [(cell.mean, cell.seeds) for cell in by_label(table)["learnable, per channel",].cells[1::2]] == [(7, 1), (8, 1)]


def test_a_score_that_nobody_has_is_no_column():
    runs = [made_run(replace(shifted(by), target_iou=0.85), model__theta=theta) for by, theta in ((0, "learnable"), (1, 0.5))]
    [table] = tables_of(runs, only=["table6"])
    assert [column.title for column in table.columns] == ["NoC80"]


def test_other_settings_make_tables_apart_and_are_named():
    runs = [
        made_run(shifted(by), modulation=name, size=size, optimizer__lr=lr, budget=budget)
        for size, lr, budget in (("tiny", 1, 50), ("small", 2, 50), ("small", 2, 100))
        for name, by in (("none", 1), ("isrefiner", 0))
    ]
    tables = tables_of(runs)
    assert [table.key for table in tables] == ["table8", "table8-2", "table8-3"]
    assert [table.title.partition("VIII; ")[2] for table in tables] == [
        "size=tiny, budget=50)",
        "size=small, budget=50)",
        "size=small, budget=100)",
    ]
    assert "Settings of the trained rows: size=small, budget=100." in tables[2].notes


def test_costs():
    cost = {"parameters": 9e7, "trainable": 4e7, "flops_per_image": 1.5e11, "flops_per_click": 0.5e11}
    runs = [
        made_run(shifted(0), cost=cost, model__image_size=448),
        made_run(shifted(0), cost={}, mode="full", model__kind="mfp", modulation="mfp", model__image_size=224),
    ]
    [table] = tables_of(runs, only=["table3"])
    assert [column.heading for column in table.columns] == [
        "Trainable (M)",
        "FLOPs (G)",
        "Time of the network (ms)",
        "Time in all (ms)",
    ]
    mfp, ours = (row.cells for row in table.rows)
    assert [cell.mean for cell in ours] == pytest.approx([40, 200, 20, 30])  # 0.4 s and 0.6 s in 20 clicks
    assert [cell.mean for cell in mfp[:2]] == [None, None]
    assert all(cell.rank == 0 for cell in (*mfp, *ours))
    assert any("the means of these sets: isaid." in note for note in table.notes)
    assert "FLOPs are of images of different sizes: 224, 448 px a side." in table.notes
    assert differences(table) is None


def test_counts_have_no_deviation_and_small_ones_more_digits():
    cost = {"parameters": 9e5, "trainable": 1.2e5, "flops_per_image": 1.5e11, "flops_per_click": 0.5e11}
    runs = [made_run(shifted(0), seed=seed, cost=cost) for seed in (0, 1)]
    [table] = tables_of(runs, only=["table3"])
    assert [cell.std for cell in table.rows[0].cells] == [None, None, 0, 0]
    assert [column.decimals for column in table.columns] == [3, 2, 1, 1]


def test_one_network_evaluated_twice_has_no_deviation():
    settings = {"mode": "pretrained", "model__kind": "mfp", "modulation": "mfp"}
    twice = [made_run(shifted(0), seed=seed, **settings) for seed in (0, 1)]
    twice[1] = replace(twice[1], evaluations=twice[0].evaluations)
    [table] = tables_of([*twice, *(made_run(shifted(0), seed=seed) for seed in (0, 1))], only=["table2"])
    rows = by_label(table)
    assert [rows[name,].cells[0].std for name in ("Pretrained weights", "VFM-ISRefiner (ours)")] == [None, 0]
    assert "One network, evaluated once for each seed: Pretrained weights." in table.notes


def test_a_dagger_is_explained_where_one_is_shown():
    [table] = tables_of([made_run(shifted(0)), made_run(shifted(0), model__theta=1.0)], only=["table6"])
    assert not any("†" in note for note in table.notes)


def test_values_that_are_all_equal_have_no_best():
    [table] = tables_of([made_run(shifted(0)), made_run(shifted(0), model__theta=1.0)], only=["table6"])
    assert [cell.rank for row in table.rows for cell in row.cells] == [0] * 8


def test_times_of_different_sets_are_not_compared():
    runs = [made_run(shifted(0)), made_run({"sandbar": shifted(0)}, mode="full", model__kind="mfp")]
    [table] = tables_of(runs, only=["table4"])
    assert all(cell.mean is None for row in table.rows for cell in row.cells[2:])
    assert "Times are left out: there is no set that all rows were evaluated on by one protocol." in table.notes


def test_an_ordinary_sweep_gets_a_table_and_every_run_is_in_one():
    sweep = [made_run(shifted(by), folder="sweep", experiment="smoke", optimizer__lr=by) for by in (2, 0, 1)]
    alone = made_run(shifted(0), folder="day", name="alone", checkpoint="file")
    tables = tables_of([*theta_runs(), *sweep, alone])
    assert [table.key for table in tables] == ["table1", "table3", "table6", "sweep"]
    assert [row.labels[0] for row in tables[0].rows if not row.labels[0].startswith("VFM")] == ["alone"]
    assert tables[3].title == "Runs of smoke"
    [table] = tables_of(sweep)
    assert (table.key, table.title, table.labels) == ("sweep", "Runs of smoke", ("optimizer.lr",))
    assert [row.cells[2].mean for row in table.rows] == [9, 7, 8]
    assert table.rows[0].reference
    found = differences(table)
    assert [row.cells[2].verdict for row in found.rows] == [FEWER, FEWER]


def test_only_the_sweeps():
    runs = [*theta_runs(), made_run(shifted(0), folder="sweep", budget=9)]
    assert [table.key for table in tables_of(runs, only=["sweep"])] == ["sweep"]
    with pytest.raises(ValueError, match="none of the 5 runs belongs in sweep"):
        tables_of(theta_runs(), only=["sweep"])


def test_runs_read_from_their_folders_give_the_same_tables(tmp_path):
    for number, run in enumerate(theta_runs()):
        run.evaluations["isaid"].save(tmp_path / str(number) / "test")
        row = {"name": run.name, "settings": dict(run.settings), "evaluations": {"isaid": "test"}}
        (tmp_path / str(number) / "run.json").write_text(json.dumps(row))
    assert tables_of(find_runs([tmp_path])) == tables_of(theta_runs())


def test_two_folders_of_other_runs_are_two_tables():
    runs = [made_run(shifted(by), folder=folder, optimizer__lr=by) for folder in ("one", "two") for by in (0, 1)]
    runs[2:] = [replace(run, settings={**run.settings, "budget": 7}) for run in runs[2:]]
    assert [(table.key, table.title) for table in tables_of(runs)] == [("sweep", "Runs of one"), ("sweep-2", "Runs of two")]


def test_differences():
    [table] = tables_of(theta_runs(), only=["table6"])
    found = differences(table)
    assert (found.key, found.title) == ("table6-differences", f"{table.title}, less learnable, per channel")
    assert [row.labels for row in found.rows] == [("1",), ("0.5",)]
    one, half = (row.cells[1] for row in found.rows)
    assert (one.mean, one.verdict, one.instances, one.seeds) == (1.25, MORE, 20, 2)
    assert (half.mean, half.verdict) == (-0.75, FEWER)
    assert found.rows[1].cells[0].verdict == ALIKE  # NoC80 is 2 in both
    assert found.intervals
    assert all(column.signed for column in found.columns)
    assert any("Fewer than 10 instances tell nothing apart." in note for note in found.notes)


def test_a_difference_that_one_column_lacks():
    runs = [
        made_run({"isaid": shifted(0), "sandbar": shifted(0)}),
        made_run({"isaid": shifted(1)}, model__theta=1.0),
        made_run({"sandbar": shifted(1)}, model__theta=0.5),
    ]
    found = differences(tables_of(runs, only=["table6"])[0])
    assert [[cell.mean for cell in row.cells] for row in found.rows] == [[1, 1, None, None], [None, None, 1, 1]]


def test_quoted_numbers_stand_beside_ours_and_take_no_part():
    tables = tables_of(theta_runs(), quoted=True, only=["table6"])
    assert [table.key for table in tables] == ["table6", "table6-quoted"]
    quoted = [row for row in tables[0].rows if row.quoted]
    assert [(row.labels, row.cells[1].mean) for row in quoted] == [
        (("1 (quoted)",), 6.87),
        (("0.5 (quoted)",), 6.79),
        (("learnable (quoted)",), 6.51),
    ]
    assert all(cell.rank == 0 and cell.difference is None for row in quoted for cell in row.cells)
    [plain] = tables_of(theta_runs(), only=["table6"])
    assert tables[0].rows[: len(plain.rows)] == plain.rows
    assert any(note.startswith("(quoted): numbers of the paper") for note in tables[0].notes)


def test_all_of_the_papers_sets_need_no_table_of_their_own():
    sets = {name: shifted(0) for name in ("isaid", "sandbar", "nwpu", "loveda", "whu")}
    runs = [made_run(sets), made_run({name: shifted(1) for name in sets}, model__theta=1.0)]
    [table] = tables_of(runs, quoted=True, only=["table6"])
    assert [cell.mean for cell in table.rows[-1].cells] == [2.25, 6.51, 4.54, 12.9, None, None, None, None, 3.65, 8.42]


def test_sets_that_the_paper_does_not_have_get_no_quoted_rows():
    runs = [made_run({"roads": shifted(by)}, model__theta=theta) for by, theta in ((0, "learnable"), (1, 1.0))]
    tables = tables_of(runs, quoted=True)
    assert [table.key for table in tables] == ["table6", "table6-quoted"]
    assert not any(row.quoted for row in tables[0].rows)


def test_errors():
    with pytest.raises(ValueError, match="no run with an evaluation"):
        tables_of([made_run({})])
    with pytest.raises(ValueError, match=r"no table table9; choose among table1, .*, sweep"):
        tables_of(theta_runs(), only=["table9"])
    with pytest.raises(ValueError, match=r"none of the 1 runs belongs in table2, table4"):
        tables_of([made_run(shifted(0), model__theta=0.5)], only=["table2", "table4"])
    assert KEYS[-1] == "sweep"
