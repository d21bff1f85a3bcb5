"""One row a run, one table a multirun."""

import csv
import json

from omegaconf import OmegaConf

from vfm_isrefiner.cli.jobs import write_row
from vfm_isrefiner.cli.sweep import CollectRuns, asked_for, by_number, flat_scores, gather

SUMMARY = {"noc": {"80": 3.0, "85": None}, "miou": {"1": 0.4, "5": 0.8, "20": 0.9}}


def test_row_of_a_summary_leaves_undefined_numbers_out():
    row = flat_scores({"blobs": SUMMARY}, "test/")
    assert row == {"test/blobs/noc80": 3.0, "test/blobs/miou@1": 0.4, "test/blobs/miou@5": 0.8, "test/blobs/miou@20": 0.9}


def test_runs_are_gathered_in_their_order(tmp_path):
    for number in (0, 1, 10, 2):
        write_row(tmp_path / str(number), {"test/blobs/noc80": float(number)}, name=f"theta={number}")
    assert [row["run"] for row in gather(by_number(tmp_path), tmp_path)] == ["0", "1", "2", "10"]
    with (tmp_path / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["name"], row["test/blobs/noc80"]) for row in rows][-1] == ("theta=10", "10.0")


def test_runs_with_other_columns_fit_in_one_table(tmp_path, capsys):
    write_row(tmp_path / "0", {"val/noc80": 4.0}, name="a")
    write_row(tmp_path / "1", {"test/blobs/noc80": 2.0}, **asked_for(None))
    CollectRuns().on_multirun_end(OmegaConf.create({"hydra": {"sweep": {"dir": str(tmp_path)}}}))
    out = capsys.readouterr().out
    assert "2 runs" in out
    assert "4.000" in out
    assert "results.csv" in out
    assert json.loads((tmp_path / "1" / "run.json").read_text())["name"] == "defaults"


def test_a_multirun_without_results_prints_nothing(tmp_path, capsys):
    CollectRuns().on_multirun_end(OmegaConf.create({"hydra": {"sweep": {"dir": str(tmp_path)}}}))
    assert capsys.readouterr().out == ""
