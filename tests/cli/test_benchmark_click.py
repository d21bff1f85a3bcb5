"""`isrefiner benchmark click` and `same` as typed."""

import json
from functools import partial

import pytest

SMALL = ("model.size=test", "model.image_size=64")
QUICK = (
    *SMALL,
    "repeats=1",
    "warm_up=0",
    "repeats_of_growth=1",
    "growth_clicks=[1,2]",
    "growth_batches=[1]",
    "growth_sides=[64]",
)
PREDICTOR = ("predictor.size=test", "predictor.input_size=32", "predictor.image=64", "predictor.sessions=2")
SAME = (*SMALL, "input_size=32", "limit=2", "max_clicks=2", "data.val.synthetic.size=64", "data.val.synthetic.count=1")


@pytest.fixture
def run(isrefiner):
    """Runs the command as typed; gives its exit status."""
    return partial(isrefiner, "benchmark")


def test_click_prints_a_table_and_leaves_numbers_and_pictures(run, tmp_path, capsys) -> None:
    assert run("click", *QUICK, *PREDICTOR, "beside=[mfp]", "figures=pictures", "--json", "speed.json") == 0
    report = json.loads((tmp_path / "speed.json").read_text())
    told = {row["what"] for row in report["measures"]}
    assert {"isrefiner, later click", "mfp, later click", "share of the floor reached"} <= told
    assert {"predictor, test, 64 px image, later click", "predictor, test, 64 px image, 2 sessions gathered"} <= told
    assert report["settings"]["model"]["size"] == "test"
    assert (tmp_path / "pictures/growth.png").is_file()
    assert (tmp_path / "pictures/profile.png").is_file()
    assert "| isrefiner, first click |" in capsys.readouterr().out


def test_bf16_says_where_it_is_emulated(run, monkeypatch, capsys) -> None:
    monkeypatch.setattr("vfm_isrefiner.cli.benchmark_click.multiplies_bfloat16", lambda: False)
    assert run("click", *QUICK, *PREDICTOR, "beside=[]", "growth=false", "precision=bf16") == 0
    assert "emulated" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("click", *SMALL, "repeats=0"), "repeats must be 1 or more"),
        (("click", *SMALL, "beside=[ritm]"), "there is no network ritm"),
        (("same", *SAME, "rounds=false", "evaluations=false"), "nothing to compare"),
        (("same", *SAME, "limit=0"), "limit must be 1 or more"),
    ],
)
def test_wrong_settings_are_told(run, capsys, words, message) -> None:
    assert run(*words) == 1
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_same_compares_rounds_and_evaluations(run, tmp_path, precision) -> None:
    assert run("same", *SAME, f"precision={precision}", "--json", "same.json") == 0
    rows = {row["what"]: row for row in json.loads((tmp_path / "same.json").read_text())["measures"]}
    assert rows["rounds played both ways"]["value"] == 4
    assert rows["NoC90 moved by"]["met"] is None, "of an untrained network it says nothing"
    expected = True if precision == "float32" else None
    assert rows["largest difference of a probability"]["met"] is expected


def test_settings_of_a_word_are_shown(run, capsys) -> None:
    assert run("click", "--settings") == 0
    assert "growth_sides" in capsys.readouterr().out
