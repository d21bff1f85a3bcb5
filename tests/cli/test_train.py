"""`isrefiner train` end to end on drawn scenes, alone and as a multirun, and what it says of wrong input."""

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import wandb

import vfm_isrefiner
from vfm_isrefiner.cli.settings import conf_folder
from vfm_isrefiner.cli.train import checkpoint_to_resume
from vfm_isrefiner.models.checkpoints import load_network
from vfm_isrefiner.training.errors import TrainingError

QUICK = (
    "experiment=smoke",
    "data.samples_per_epoch=4",
    "callbacks.evaluate_noc.max_instances=1",
    "test_limit=1",
    "test_panels=1",
)


def run_folder(kind):
    return next(Path("outputs").glob(f"*/*-{kind}"))


def test_a_run_leaves_everything_in_its_folder(isrefiner, capsys):
    assert isrefiner("train", *QUICK, "logger=tensorboard") == 0
    folder = run_folder("train")
    assert str(folder) in capsys.readouterr().out
    present = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert present >= {
        "network.safetensors",
        "checkpoints/last.ckpt",
        "checkpoints/best.ckpt",
        "log/version_0/metrics.csv",
        "run.json",
        "test/table.md",
        "test/summary.json",
        "test/instances.parquet",
        ".hydra/config.yaml",
    }
    scores = json.loads((folder / "run.json").read_text())["scores"]
    assert {"train/loss", "val/noc80"} <= set(scores)
    assert any(name.startswith("test/") for name in scores)
    assert load_network(folder / "network.safetensors").config["size"] == "test"
    assert isrefiner("evaluate", f"checkpoint={folder}/checkpoints/last.ckpt", "limit=1", "input_size=64", "panels=1") == 0
    assert (run_folder("evaluate") / "summary.json").is_file()


def test_multirun_leaves_one_row_a_run(isrefiner, capsys):
    assert isrefiner("train", "-m", *QUICK, "test=false", "callbacks.panels=null", "model.theta=0.5,learnable") == 0
    folder = run_folder("train-sweep")
    with (folder / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2
    assert "model.theta=0.5" in rows[0]["name"]
    assert "model.theta=learnable" in rows[1]["name"]
    assert all(1 <= float(row["val/noc80"]) <= 20 for row in rows)
    assert "2 runs" in capsys.readouterr().out


def test_last_resumes_the_newest_run(isrefiner, capsys):
    assert isrefiner("train", *QUICK, "test=false", "callbacks=bare") == 0
    assert isrefiner("train", *QUICK, "test=false", "callbacks=bare", "ckpt_path=last", "trainer.max_epochs=2") == 0
    assert "resumed from" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["experiment=nope"], "Could not find 'experiment/nope'"),
        (["modle.size=test"], "modle"),
        ([*QUICK, "protocol=cvpr"], "no evaluation protocol 'cvpr'"),
        ([*QUICK, "ckpt_path=none.ckpt"], "there is no such file"),
        ([*QUICK, "ckpt_path=last"], "there is no checkpoints/last.ckpt"),
        ([*QUICK, "model.size=huge"], "'huge' is unknown"),
        (["experiment=paper", "trainer=cpu"], "MFP_vit_base_cocolvis.pth"),
    ],
)
def test_wrong_input_ends_with_a_line_and_status_1(isrefiner, capsys, words, told):
    assert isrefiner("train", *words) == 1
    error = capsys.readouterr().err
    assert told in error
    assert "Traceback" not in error


def test_help_lists_groups_and_examples(isrefiner, capsys):
    assert isrefiner("train", "--help") == 0
    out = capsys.readouterr().out
    for word in ("isrefiner train experiment=smoke", "model: isrefiner, mfp, simpleclick", "experiment:", "trainer:"):
        assert word in out


def test_last_prefers_its_own_folder(tmp_path):
    for run in ("other", "own"):
        (tmp_path / run / "checkpoints").mkdir(parents=True)
        (tmp_path / run / "checkpoints" / "last.ckpt").touch()
    os.utime(tmp_path / "own" / "checkpoints" / "last.ckpt", (0, 0))
    assert checkpoint_to_resume(None, tmp_path / "own", tmp_path) is None
    assert checkpoint_to_resume("last", tmp_path / "own", tmp_path) == str(tmp_path / "own" / "checkpoints" / "last.ckpt")
    assert checkpoint_to_resume("last", tmp_path / "new", tmp_path) == str(tmp_path / "other" / "checkpoints" / "last.ckpt")
    with pytest.raises(TrainingError, match="there is no such file"):
        checkpoint_to_resume(str(tmp_path / "none.ckpt"), tmp_path, tmp_path)


def test_an_installed_package_brings_its_conf(tmp_path):
    package = tmp_path / "site" / "vfm_isrefiner"
    shutil.copytree(Path(vfm_isrefiner.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(conf_folder(), package / "conf", dirs_exist_ok=True)  # as the wheel does
    command = [sys.executable, "-c", "from vfm_isrefiner.cli.settings import conf_folder; print(conf_folder())"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    done = subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True, text=True)
    assert Path(done.stdout.strip()) == (package / "conf").resolve()


def test_wandb_offline_needs_no_account_and_is_finished(isrefiner, monkeypatch):
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("WANDB_SILENT", "true")
    assert isrefiner("train", *QUICK, "test=false", "callbacks.panels=null", "logger=wandb") == 0
    assert list(run_folder("train").glob("wandb/offline-run-*/*.wandb"))
    assert wandb.run is None
