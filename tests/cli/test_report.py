"""`isrefiner report` from real runs to a page, and what it says of wrong words."""

import csv
import json
import shutil
from pathlib import Path

import pytest

from vfm_isrefiner.cli.replay import started_in
from vfm_isrefiner.evaluation import Evaluation, protocol
from vfm_isrefiner.report.runs import Run

QUICK = (
    "data=synthetic",
    "size=test",
    "model.image_size=64",
    "input_size=64",
    "data.augmentation.crop_size=64",
    "data.test.synthetic.count=1",
    "data.train.synthetic.count=1",
    "test_limit=3",
    "test_panels=0",
    "fit=false",
    "mode=adapter",
)


@pytest.fixture
def runs(isrefiner):
    for name, words in {"learnable": (), "half": ("model.theta=0.5",), "again": ("seed=1",)}.items():
        assert isrefiner("train", *QUICK, f"paths.run=runs/{name}", f"name={name}", *words) == 0


def test_a_report_holds_tables_figures_and_a_page(isrefiner, runs, tmp_path, capsys):
    assert isrefiner("report", "runs", "out=report", "panels=2", "click=2", "title=Two <runs>") == 0
    assert "3 runs; left in report" in capsys.readouterr().out
    page = (tmp_path / "report" / "report.html").read_text()
    for word in ("Two &lt;runs&gt;", "Table VI", "θ", "half", "learnable", "Where two runs differ most", "data:image/png"):
        assert word in page, word
    assert "No panels" not in page
    assert "No modulated maps" not in page
    figures = {file.name for file in (tmp_path / "report" / "figures").iterdir()}
    assert figures >= {"curves-table6.png", "curves-table6.pdf", "contrast.png", "modulation.pdf", "size-1.png"}
    assert "Table VI" in (tmp_path / "report" / "tables.md").read_text()
    assert "\\toprule" in (tmp_path / "report" / "tables.tex").read_text()
    with (tmp_path / "report" / "tables.csv").open() as file:
        assert {row["table"] for row in csv.DictReader(file)} >= {"table6"}


def test_runs_without_their_data_are_reported_without_pictures(isrefiner, runs, tmp_path):
    config = tmp_path / "runs" / "half" / ".hydra" / "config.yaml"
    config.parent.mkdir(exist_ok=True)
    for name in ("half", "learnable", "again"):
        (tmp_path / "runs" / name / "network.safetensors").unlink()
    assert isrefiner("report", "runs") == 0
    page = (tmp_path / "report" / "report.html").read_text()
    assert "No panels: instances are played again only where networks and data are at hand" in page
    assert "Pictures: " in page


def test_the_first_pair_that_can_be_played_is_shown_and_maps_need_one_run(isrefiner, runs, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    (tmp_path / "runs" / "half" / "config.yaml").unlink()
    (tmp_path / "runs" / "half" / ".hydra").mkdir(exist_ok=True)
    (tmp_path / "runs" / "half" / ".hydra" / "config.yaml").write_text("peer: RITM")
    assert isrefiner("report", "../runs", "panels=1") == 0
    page = (tmp_path / "elsewhere" / "report" / "report.html").read_text()
    assert "is of a peer, which is not started for pictures" in page
    assert "the network of again (seed 1)" in page  # its group is called by the first folder
    assert not (tmp_path / "elsewhere" / "report" / "figures" / "contrast.png").exists()


def test_a_run_without_an_instance_is_reported(isrefiner, tmp_path):
    assert isrefiner("train", *QUICK, "paths.run=runs/none", "name=none") == 0
    for name in ("none", "other"):
        if name == "other":
            shutil.copytree(tmp_path / "runs" / "none", tmp_path / "runs" / "other")
        Evaluation((), protocol("paper")).save(tmp_path / "runs" / name / "test")
    file = tmp_path / "runs" / "other" / "run.json"
    content = json.loads(file.read_text())
    file.write_text(json.dumps(content | {"name": "other", "settings": content["settings"] | {"budget": 7}}))
    assert isrefiner("report", "runs", "panels=1") == 0
    assert "there are no two that were measured alike" in (tmp_path / "report" / "report.html").read_text()


def test_relative_paths_are_from_where_the_run_was_started(tmp_path):
    (tmp_path / "run" / ".hydra").mkdir(parents=True)
    file = tmp_path / "run" / ".hydra" / "hydra.yaml"
    run = Run(tmp_path / "run", "a")
    assert started_in(run) == Path.cwd()
    for folder, expected in ((tmp_path, tmp_path), (tmp_path / "gone", Path.cwd())):
        file.write_text(f"hydra:\n  runtime:\n    cwd: {folder}\n")
        assert started_in(run) == expected


def test_runs_measured_differently_stand_apart(isrefiner, runs, tmp_path):
    file = tmp_path / "runs" / "half" / "test" / "summary.json"
    summary = json.loads(file.read_text())
    summary["protocol"]["threshold"] = 0.4
    file.write_text(json.dumps(summary))
    assert isrefiner("report", "runs", "panels=1", "quoted=false") == 0
    page = (tmp_path / "report" / "report.html").read_text()
    assert "protocol.threshold 0.4 against 0.5" in page
    assert "synthetic (2)" in page


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        ((), 2, "no run given"),
        (("runs", "colour=red"), 2, "unknown colour"),
        (("runs", "panels=many"), 2, "panels=many: give a whole number of 0 or more"),
        (("runs", "click=1"), 2, "click=1: give a whole number of 2 or more"),
        (("runs", "quoted=maybe"), 2, "quoted=maybe: give true or false"),
        (("nowhere",), 1, "nowhere is not a folder"),
        (("runs", "pair=half"), 1, "pair=half: give two names or folders"),
        (("runs", "pair=half,gone"), 1, "there is no run gone"),
    ],
)
def test_wrong_words_are_told(isrefiner, capsys, tmp_path, words, status, message, request):
    if words[1:] and words[1].startswith("pair"):
        request.getfixturevalue("runs")
    assert isrefiner("report", *words) == status
    assert message in capsys.readouterr().err
