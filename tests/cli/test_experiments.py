"""Every table of the paper from the command line, at a size for tests: jobs shared, resumed, left to others, and the table."""

import csv
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from vfm_isrefiner.cli.jobs import claimed

SMALL = (
    "data=synthetic",
    "size=test",
    "budget=8",
    "trainer.max_epochs=1",
    "model.image_size=64",
    "input_size=64",
    "data.augmentation.crop_size=64",
    "data.batch_size=4",
    "data.train.synthetic.count=2",
    "data.val.synthetic.count=1",
    "data.test.synthetic.count=1",
    "callbacks=bare",
    "test_limit=1",
    "test_panels=0",
)
JOBS = {1: 3, 2: 4, 3: 3, 4: 4, 5: 4, 6: 4, 7: 4, 8: 3}
TABLES = Path("outputs/tables")


def runs():
    return sorted(TABLES.glob("test/*/run.json"))


@pytest.mark.slow
def test_every_table_is_one_command_and_no_job_is_run_twice(isrefiner, capsys):
    before = 0
    # the default network is in five tables, and Tables III and IV count what I and II have run
    for number, new in ((1, 3), (2, 2), (3, 0), (4, 0), (5, 3), (6, 3), (7, 3), (8, 2)):
        assert isrefiner("train", f"experiment=table{number}", *SMALL) == 0
        out = capsys.readouterr().out
        assert len(runs()) - before == new, number
        assert out.count("finished before") == JOBS[number] - new
        before = len(runs())
        table = (TABLES / f"table{number}.md").read_text()
        assert table in out
        for suffix in ("tex", "csv"):
            assert (TABLES / f"table{number}.{suffix}").is_file()
    rows = [json.loads(file.read_text()) for file in runs()]
    assert {row["settings"]["mode"] for row in rows} == {"pretrained", "full", "lora", "adapter"}
    cost = {row["settings"]["mode"]: row["cost"]["trainable"] for row in rows}
    assert cost["pretrained"] == 0 < cost["lora"] < cost["adapter"] < cost["full"]


def test_a_table_goes_on_where_it_was_stopped(isrefiner, capsys):
    two = ("experiment=table8", *SMALL, "modulation=none,isrefiner", "test=false")
    assert isrefiner("train", *two, "trainer.max_epochs=1") == 0
    first, second = runs()
    stopped, other = first.parent.resolve(), second.parent.resolve()
    assert (stopped / "checkpoints" / "last.ckpt").is_file()
    first.unlink()  # as if it had been killed after its last epoch
    capsys.readouterr()
    with claimed(other):
        second.unlink()
        assert isrefiner("train", *two) == 0
        out = capsys.readouterr().out
        assert f"resumed from {stopped}/checkpoints/last.ckpt" in out
        assert f"another process runs {other}" in out
        assert "1 of 2 jobs have no result yet" in out
    assert isrefiner("train", *two) == 0
    out = capsys.readouterr().out
    assert "finished before" in out
    assert len(runs()) == 2


def test_seeds_are_an_axis(isrefiner, capsys):
    assert isrefiner("train", "experiment=table8", *SMALL, "modulation=isrefiner", "seed=0,1") == 0
    assert {json.loads(file.read_text())["settings"]["seed"] for file in runs()} == {0, 1}
    assert re.search(r"\d ± \d", (TABLES / "table8.md").read_text())
    with (TABLES / "results.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 2


def test_checkpoints_that_exist_make_table_i(isrefiner, capsys):
    assert isrefiner("train", "method=simpleclick", *SMALL, "test=false", "paths.run=SimpleClick") == 0
    assert isrefiner("train", "method=mfp", *SMALL, "test=false", "paths.run=MFP") == 0
    given = [word for word in SMALL if word.startswith(("data=", "data.test", "input_size"))]
    files = "checkpoint=SimpleClick/network.safetensors,MFP/checkpoints/last.ckpt"
    again = ("evaluate", "experiment=table1_checkpoints", files, *given, "limit=1", "panels=0", "protocol=close")
    assert isrefiner(*again) == 0
    table = (TABLES / "table1.md").read_text()
    assert "SimpleClick" in table
    assert "MFP" in table
    capsys.readouterr()
    assert isrefiner(*again) == 0
    assert capsys.readouterr().out.count("finished before") == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("budget=6", "trainer.max_epochs=3"), "which fills no batch of data.batch_size=4"),
        (("budget=2", "trainer.max_epochs=3"), "budget=2 is less than one sample in each of trainer.max_epochs=3"),
        (("minutes=1",), "minutes=1 and budget=8 both say when the training ends"),
        (("budget=null", "minutes=0"), "EndInTime needs minutes above 0"),
        (("test_sets=[nowhere]",), "there is no set nowhere"),
        (("mode=full", "pretrained=gone.pth"), "gone.pth is not a file"),
    ],
)
def test_wrong_words_are_told(isrefiner, capsys, words, message):
    assert isrefiner("train", *SMALL, *words) == 1
    assert message in capsys.readouterr().err


def test_minutes_end_a_training(isrefiner):
    words = ("train", *SMALL, "budget=null", "minutes=0.01", "callbacks.panels=null", "test=false", "paths.run=A")
    assert isrefiner(*words) == 0
    kept = torch.load("A/checkpoints/last.ckpt", weights_only=True)
    assert kept["callbacks"]["EndInTime"]["spent"] >= 0.6
    assert kept["optimizer_states"][0]["param_groups"][0]["lr"] == 0
    assert not kept["lr_schedulers"]


def test_a_folder_of_another_run_is_not_gone_on_with(isrefiner, capsys):
    words = ("train", *SMALL, "reuse=true", "paths.run=A", "test=false")
    assert isrefiner(*words) == 0
    assert isrefiner(*words, "optimizer.lr=1e-5") == 1
    assert "A holds a run of other settings" in capsys.readouterr().err


def test_weights_of_an_earlier_run_in_the_folder_are_not_taken_for_the_best(isrefiner, tmp_path):
    words = ("train", *SMALL, "paths.run=A", "test=false")
    assert isrefiner(*words) == 0
    (tmp_path / "A" / "checkpoints" / "last.ckpt").rename(tmp_path / "A" / "checkpoints" / "best.ckpt")
    before = (tmp_path / "A" / "network.safetensors").read_bytes()
    assert isrefiner(*words, "optimizer.lr=0.1") == 0
    assert (tmp_path / "A" / "network.safetensors").read_bytes() != before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("fit=false", "ckpt_path=A.ckpt"), "isrefiner evaluate checkpoint=FILE"),
        (("reuse=true", "ckpt_path=A.ckpt"), "leave ckpt_path away"),
    ],
)
def test_settings_that_contradict_each_other_are_told(isrefiner, capsys, words, message):
    assert isrefiner("train", *SMALL, *words) == 1
    assert message in capsys.readouterr().err


def test_a_job_that_fails_does_not_stop_the_others(isrefiner, capsys):
    # the flag may stand anywhere, as in the README
    assert isrefiner("train", *SMALL, "test=false", "-m", "optimizer.lr=-1,1e-3", "hydra.sweep.dir=S") == 1
    captured = capsys.readouterr()
    assert "error: Invalid learning rate" in captured.err
    assert "1 of 2 jobs have no result yet" in captured.out
    assert len(list(Path("S").glob("*/run.json"))) == 1


@pytest.mark.slow
def test_a_job_of_two_processes_is_a_process_tree_of_its_own(tmp_path):
    words = ["-m", *SMALL, "test=false", "trainer=ddp_cpu", "model.theta=0.5", "hydra.sweep.dir=S", "data.batch_size=2"]
    command = [sys.executable, "-m", "vfm_isrefiner.cli.train", *words]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=250, check=False)
    assert done.returncode == 0, done.stderr
    row = json.loads((tmp_path / "S" / "0" / "run.json").read_text())
    assert row["settings"]["model.theta"] == 0.5
    assert "1 runs" in done.stdout
