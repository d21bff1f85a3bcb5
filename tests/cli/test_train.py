"""`isrefiner train` end to end on drawn scenes, alone and as a multirun, and what it says of wrong input."""

import csv
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch
import wandb

import vfm_isrefiner
from vfm_isrefiner.cli.resuming import checkpoint_to_resume
from vfm_isrefiner.cli.settings import conf_folder
from vfm_isrefiner.models.checkpoints import load_network
from vfm_isrefiner.training.errors import TrainingError

QUICK = (
    "experiment=smoke",
    "data.samples_per_epoch=4",
    "callbacks.evaluate_noc.max_instances=1",
    "test_limit=1",
    "test_panels=1",
)


NO_GPU = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU, and it would be taken")


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


def test_a_trained_network_teaches_another(isrefiner, capsys):
    mfp = ("model=mfp", "modulation=mfp", "model.size=test", "pretrained=nowhere.pth")
    assert isrefiner("train", *QUICK, *mfp, "test=false", "paths.run=teacher") == 0
    assert "pretrained=nowhere.pth is not used" in capsys.readouterr().out
    lesson = ("distillation=teacher", "distillation.checkpoint=teacher/network.safetensors", "distillation.weight=0.7")
    assert isrefiner("train", *QUICK, *lesson, "test=false", "paths.run=student") == 0
    scores = json.loads(Path("student/run.json").read_text())["scores"]
    assert scores["train/divergence"] > 0
    assert load_network("student/network.safetensors").config["kind"] == "isrefiner"
    assert isrefiner("train", *QUICK, "distillation=teacher", "distillation.checkpoint=gone.safetensors") == 1
    assert "gone.safetensors" in capsys.readouterr().err
    assert isrefiner("train", *QUICK, "distillation=teacher") == 1
    assert "distillation.checkpoint" in capsys.readouterr().err


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
        ([*QUICK, f"ckpt_path={__file__}"], "cannot be read as a checkpoint"),
        pytest.param([*QUICK, "trainer=gpu"], "Take trainer=cpu here.", marks=NO_GPU),
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


def test_the_wheel_holds_the_settings(tmp_path):
    root = Path(__file__).resolve().parents[2]
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=root, check=True, capture_output=True)
    names = set(zipfile.ZipFile(next(tmp_path.glob("*.whl"))).namelist())
    settings = {path.relative_to(root).as_posix() for path in (root / "conf").rglob("*.yaml")}
    assert {f"vfm_isrefiner/{name}" for name in settings} <= names
    assert "vfm_isrefiner/cli/main.py" in names


def test_a_resumed_run_keeps_its_best_weights(isrefiner, capsys):
    quick = [*QUICK, "test=false", "callbacks.panels=null"]
    assert isrefiner("train", *quick) == 0
    folder = run_folder("train")
    last = folder / "checkpoints" / "last.ckpt"
    best = best_of(last)
    assert best["best_model_score"] is not None
    capsys.readouterr()
    assert isrefiner("train", *quick, f"ckpt_path={last}", "trainer.max_epochs=2", "optimizer.lr=0.0") == 0
    assert f"training in {folder.resolve()}, resumed from {last}" in capsys.readouterr().out
    again = best_of(last)  # an epoch without learning betters nothing
    assert again["best_model_score"] == best["best_model_score"]
    assert Path(again["best_model_path"]).samefile(best["best_model_path"])


def best_of(checkpoint):
    callbacks = torch.load(checkpoint, weights_only=True)["callbacks"]
    return next(state for state in callbacks.values() if str(state.get("monitor")) == "val/noc80")


def test_another_folder_for_a_resumed_run_is_told(isrefiner, capsys):
    quick = [*QUICK, "test=false", "callbacks=bare"]
    assert isrefiner("train", *quick) == 0
    last = run_folder("train") / "checkpoints" / "last.ckpt"
    assert isrefiner("train", *quick, f"ckpt_path={last}", "trainer.max_epochs=2", "paths.run=elsewhere") == 0
    assert "resumed into another folder: the best weights of" in capsys.readouterr().out
    assert (Path("elsewhere") / "checkpoints" / "last.ckpt").is_file()


@pytest.mark.slow
def test_two_processes_from_the_command_line(tmp_path):
    words = [*QUICK, "trainer=ddp_cpu", "test=false", "callbacks.panels=null", "paths.run=run", "hydra.run.dir=run"]
    command = [sys.executable, Path(sys.executable).with_name("isrefiner"), "train", *words]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=250, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "network.safetensors").is_file()
    assert done.stdout.count("epoch 1/1") == 1, "the first process speaks alone"


def test_wandb_offline_needs_no_account_and_is_finished(isrefiner, monkeypatch):
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("WANDB_SILENT", "true")
    assert isrefiner("train", *QUICK, "test=false", "callbacks.panels=null", "logger=wandb") == 0
    assert list(run_folder("train").glob("wandb/offline-run-*/*.wandb"))
    assert wandb.run is None
