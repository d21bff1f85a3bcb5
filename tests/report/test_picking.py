"""Rows of the paper's tables, found by settings."""

from pathlib import Path

import pytest
from report.made_runs import evaluation, made_run

from vfm_isrefiner.report.paper_tables import PAPER_TABLES, REFERENCE
from vfm_isrefiner.report.picking import axes_of, pick, sweep
from vfm_isrefiner.report.repetitions import grouped
from vfm_isrefiner.report.runs import Run

SOME = evaluation([3, 4])
OURS = made_run(SOME)
# what conf/mode and conf/method set
MODES = [made_run(SOME, mode=mode, model__kind="mfp", modulation="mfp") for mode in ("pretrained", "full", "lora")]
SIMPLECLICK = made_run(SOME, mode="full", model__kind="simpleclick", modulation="none")


def found(key, *runs):
    """Labels of the rows that were found, of each of the tables."""
    picks = pick(PAPER_TABLES[key], grouped(runs))
    return [[labels for labels, group in picked.rows if group is not None] for picked in picks]


def test_every_ablation_of_the_paper_has_its_row():
    changes = {
        "table5": [{"model__use_vit": vit, "model__use_hq": hq} for vit in (True, False) for hq in (True, False)],
        "table6": [{"model__theta": theta} for theta in ("learnable", "learnable_scalar", 0.5, 1)],
        "table7": [{"model__early_fusion": fusion} for fusion in ("gated", "fixed", "second", "first")],
        "table8": [{"modulation": name} for name in ("isrefiner", "mfp", "none")],
    }
    runs = [made_run(SOME, **change) for each in changes.values() for change in each]
    for key in changes:
        assert found(key, *runs) == [[row.labels for row in PAPER_TABLES[key].rows]], key
        [picked] = pick(PAPER_TABLES[key], grouped(runs))
        assert picked.groups[picked.reference].settings.items() >= REFERENCE.items()


def test_ways_to_fine_tune():
    whole = [[row.labels for row in PAPER_TABLES["table2"].rows]]
    assert found("table2", *MODES, OURS, SIMPLECLICK) == whole == found("table4", OURS, *MODES)


def test_a_row_differs_in_the_axes_of_its_table_alone():
    both = made_run(SOME, model__theta=0.5, model__early_fusion="first")
    assert found("table6", OURS, both) == [[("learnable, per channel",)]]
    assert found("table7", both, OURS) == [[("gated",)]]
    assert found("table5", SIMPLECLICK, *MODES) == []


def test_numbers_written_as_text_or_whole():
    for theta in (1, 1.0, "1", "1.0"):
        assert found("table6", made_run(SOME, model__theta=theta)) == [[("1",)]]


def test_what_else_differs_makes_tables_apart():
    small = {"size": "small", "model__size": "small"}
    runs = [made_run(SOME, **size, modulation=name) for size in ({}, small) for name in ("isrefiner", "none")]
    picks = pick(PAPER_TABLES["table8"], grouped(runs))
    assert [picked.settings["size"] for picked in picks] == ["tiny", "small"]
    assert all(len(picked.groups) == 2 for picked in picks)


def test_settings_below_an_axis_belong_to_it():
    runs = [OURS, made_run(SOME, modulation="mfp", modulation__window_clicks=7)]
    assert found("table8", *runs) == [[("MFP",), ("VFM-ISRefiner",)]]


def test_a_network_that_was_not_trained_goes_with_every_schedule():
    runs = [MODES[0], *(made_run(SOME, budget=budget) for budget in (100, 200))]
    assert found("table2", *runs) == [[("Pretrained weights",), ("VFM-ISRefiner (ours)",)]] * 2
    other_size = made_run(SOME, size="small", model__size="small")
    assert found("table2", MODES[0], other_size) == [[("VFM-ISRefiner (ours)",)]]
    assert found("table2", MODES[0]) == [[("Pretrained weights",)]]


def test_two_runs_of_one_row_are_two_rows():
    slow = made_run(SOME, mode="full", model__kind="mfp", modulation="mfp", optimizer__lr=1e-5)
    fast = made_run(SOME, mode="full", model__kind="mfp", modulation="mfp", optimizer__lr=1e-4)
    [picked] = pick(PAPER_TABLES["table2"], grouped([slow, fast, OURS]))
    assert [labels for labels, group in picked.rows if group][:2] == [
        ("Full fine-tuning, optimizer.lr=1e-05",),
        ("Full fine-tuning, optimizer.lr=0.0001",),
    ]
    assert picked.notes == ("Rows differ in optimizer.lr too: 1e-05, 0.0001, none.",)
    ours = [made_run(SOME, optimizer__lr=lr) for lr in (1e-5, 1e-4)]
    [picked] = pick(PAPER_TABLES["table2"], grouped([*ours, slow]))
    assert picked.reference == 3
    assert "Several runs are of the row 'VFM-ISRefiner (ours), optimizer.lr=1e-05': the first is the reference." in picked.notes


def test_methods():
    checkpoint = made_run(SOME, name="best", checkpoint="sha256:1", model__kind="isrefiner", model__size="paper")
    unnamed = made_run(SOME, name="checkpoint=a/b.pth data=real", checkpoint="a/b.pth", model__kind="mfp")
    peer = made_run(SOME, name="RITM", checkpoint=None, peer__code="isegm")
    runs = [OURS, made_run(SOME, model__theta=0.5), *MODES, SIMPLECLICK, checkpoint, unnamed, peer]
    [picked] = pick(PAPER_TABLES["table1"], grouped(runs))
    assert [labels for labels, _ in picked.rows] == [
        ("best", "ViT-B"),
        ("b", ""),
        ("RITM", ""),
        ("MFP", "ViT-Ti"),
        ("SimpleClick", "ViT-Ti"),
        ("VFM-ISRefiner (ours)", "ViT-Ti"),
    ]
    assert picked.reference == 5
    assert picked.compared == 6
    assert pick(PAPER_TABLES["table1"], grouped(MODES[:1])) == []


def test_methods_of_each_size_are_a_table():
    small = {"size": "small", "model__size": "small"}
    checkpoint = made_run(SOME, name="best", checkpoint="file")
    runs = [SIMPLECLICK, made_run(SOME, **small), OURS, checkpoint]
    assert found("table1", *runs) == [
        [("best", ""), ("SimpleClick", "ViT-Ti"), ("VFM-ISRefiner (ours)", "ViT-Ti")],
        [("best", ""), ("VFM-ISRefiner (ours)", "ViT-S")],
    ]


def test_methods_without_a_trained_one_of_ours():
    runs = [made_run(SOME, name=name, checkpoint=name, model__kind=name) for name in ("mfp", "isrefiner")]
    assert pick(PAPER_TABLES["table3"], grouped(runs))[0].reference == 1
    assert pick(PAPER_TABLES["table3"], grouped(runs[:1]))[0].reference is None
    others = [made_run(SOME, name=name, checkpoint=name, model__kind="mfp") for name in ("plain", "distilled")]
    assert pick(PAPER_TABLES["table3"], grouped(others))[0].reference == 0, "the first, so that differences are told"


def test_a_peer_is_no_reference_and_a_run_without_settings_no_method():
    peer = made_run(SOME, name="RITM", checkpoint=None, peer__code="isegm", model__kind="isrefiner")
    checkpoint = made_run(SOME, name="best", checkpoint="file", model__kind="isrefiner")
    assert pick(PAPER_TABLES["table1"], grouped([peer]))[0].reference is None
    assert pick(PAPER_TABLES["table1"], grouped([peer, checkpoint]))[0].reference == 1
    unknown = Run(Path("unknown"), "unknown", {}, {"isaid": SOME})
    for key in PAPER_TABLES:
        assert pick(PAPER_TABLES[key], grouped([unknown])) == []


def test_methods_that_were_not_trained_alike_say_so():
    [picked] = pick(PAPER_TABLES["table1"], grouped([SIMPLECLICK, made_run(SOME, budget=10, data__batch_size=4)]))
    assert picked.notes == ("Rows differ in budget: none, 10.", "Rows differ in data.batch_size: none, 4.")


@pytest.mark.parametrize("values", [(1e-3, 1e-4, 1e-5)])
def test_a_sweep_is_told_by_what_differs(values):
    groups = grouped([made_run(SOME, seed=seed, optimizer__lr=value) for value in values for seed in (0, 1)])
    assert axes_of(groups) == ("optimizer.lr",)
    picked = sweep(groups)
    assert [labels for labels, _ in picked.rows] == [("0.001",), ("0.0001",), ("1e-05",)]
    assert (picked.reference, picked.settings["size"]) == (0, "tiny")


def test_a_sweep_of_one_or_of_many_settings_goes_by_names():
    assert (axes_of(grouped([OURS])), sweep(grouped([OURS])).rows[0][0]) == (("Run",), ("run",))
    many = {f"data__{letter}": 1 for letter in "abcde"}
    groups = grouped([made_run(SOME, name="one"), made_run(SOME, name="two", **many)])
    assert axes_of(groups) == ("Run",)
    assert [labels for labels, _ in sweep(groups).rows] == [("one",), ("two",)]
