"""What is read of a finished run's folder, and what is said where there is none."""

import json
from pathlib import Path

import pytest
from report.made_runs import evaluation

from vfm_isrefiner.report.runs import Run, find_runs, read_run


def saved(folder, name="a", **content):
    evaluation([3, 4]).save(folder / "test")
    content = {"name": name, "evaluations": {"isaid": "test"}, "settings": {"seed": 1}, "cost": {"trainable": 5}} | content
    (folder / "run.json").write_text(json.dumps(content))
    return folder


def test_a_run_is_read_with_its_evaluations(tmp_path):
    run = read_run(saved(tmp_path / "a", experiment="table5"))
    assert (run.name, run.seed, run.experiment, run.cost) == ("a", 1, "table5", {"trainable": 5})
    assert run.evaluations["isaid"].summary()["noc"]["90"] == 3.5


def test_runs_are_found_once_and_in_order(tmp_path):
    for name in ("b", "a"):
        saved(tmp_path / "jobs" / name, name)
    (tmp_path / "jobs" / "c").mkdir()
    (tmp_path / "jobs" / "c" / "run.json").write_text('{"name": "without evaluation"}')
    assert [run.name for run in find_runs([tmp_path, tmp_path / "jobs" / "a"])] == ["a", "b"]


def test_runs_that_differ_in_seeds_alone_are_one_thing():
    settings = {"seed": 0, "data.seed": 0, "callbacks.simulate_clicks.seed": 0, "model.theta": 0.5}
    one = Run(Path("a"), "a", settings)
    assert one.same_but_for_seed(Run(Path("b"), "b", dict.fromkeys(settings, 1) | {"model.theta": 0.5}))
    assert not one.same_but_for_seed(Run(Path("b"), "b", settings | {"model.theta": 1.0}))
    tested = {
        "test_sets": ["isaid"],
        "test": True,
        "data.test.isaid.part": "x",
        "data.val.isaid.part": "x",
        "data.train.root": "y",
    }
    assert one.same_but_for_seed(Run(Path("b"), "b", settings | tested))
    assert not one.same_but_for_seed(Run(Path("b"), "b", settings | {"data.train.isaid.part": "x"}))
    assert Run(Path("a"), "a").same_but_for_seed(Run(Path("b"), "a"))
    assert not Run(Path("a"), "a").same_but_for_seed(Run(Path("b"), "b"))


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        (None, FileNotFoundError, "holds no finished run: run.json is missing"),
        ("{", ValueError, "is no JSON"),
        ("[]", ValueError, "is no row of a run"),
        ('{"name": "a", "evaluations": {"isaid": "gone"}}', FileNotFoundError, "holds no evaluation"),
    ],
)
def test_what_is_no_run_is_told(tmp_path, text, error, message):
    if text is not None:
        (tmp_path / "run.json").write_text(text)
    with pytest.raises(error, match=message):
        read_run(tmp_path)


def test_places_without_runs_are_told(tmp_path):
    with pytest.raises(FileNotFoundError, match="is not a folder"):
        find_runs([tmp_path / "gone"])
    with pytest.raises(FileNotFoundError, match="no finished run with an evaluation"):
        find_runs([tmp_path])
