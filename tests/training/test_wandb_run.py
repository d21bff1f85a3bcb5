"""A W&B run written offline, with the real library; its service killed in the middle; W&B out of reach."""

import gc
import os
import signal
import subprocess
import time
import warnings
from dataclasses import replace
from pathlib import Path

import cv2
import pytest
import torch
import wandb
from lightning.pytorch.callbacks import Callback, LearningRateMonitor
from lightning.pytorch.loggers.logger import DummyExperiment
from training import wandb_file
from training.blobs import data, module, trainer
from training.test_wandb_report import folder, played  # noqa: F401  # fixtures

from vfm_isrefiner.training.evaluate_noc import EvaluateNoC, named
from vfm_isrefiner.training.panels import Panels
from vfm_isrefiner.training.safe_logger import SafeLogger
from vfm_isrefiner.training.wandb_report import picture_of
from vfm_isrefiner.training.wandb_run import WandbRun, last_id

LABELS = {"name": "small", "experiment": "table5", "job_type": "train", "settings": {"size": "tiny", "modulation": "mfp"}}


@pytest.fixture(autouse=True)
def no_account(monkeypatch, tmp_path):
    # not the service's address: given back after this module, it would be that of a service which is gone
    for name in [name for name in os.environ if name.startswith("WANDB_") and name != "WANDB_SERVICE"]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


@pytest.fixture
def own_service(no_account):
    """A service for this test alone: one that reads its environment, or that may be killed."""
    wandb.teardown()
    yield
    with warnings.catch_warnings():  # W&B forgets its dead child and that one's folder rather than close them
        warnings.simplefilter("ignore", ResourceWarning)
        wandb.teardown()
        gc.collect()


def run_in(tmp_path, **changes):
    return WandbRun(project="tests", save_dir=tmp_path, **changes)


def service():
    """The process of W&B's service."""
    out = subprocess.run(["pgrep", "-P", str(os.getpid()), "wandb-core"], capture_output=True, text=True, check=True).stdout
    return int(out.split()[-1])


def kill_service():
    pid = service()
    os.kill(pid, signal.SIGKILL)
    until = time.monotonic() + 20
    while time.monotonic() < until and Path(f"/proc/{pid}/status").exists():
        if "zombie" in Path(f"/proc/{pid}/status").read_text():
            break
        time.sleep(0.02)
    time.sleep(0.2)  # its socket is closed by now


def draw(instance, history, file):
    cv2.imwrite(str(file), instance.image.permute(1, 2, 0).numpy())


def test_a_training_and_its_evaluation(tmp_path, folder, played, capsys):  # noqa: F811
    logger = SafeLogger(run_in(tmp_path, tags=["mine"]))
    logger.describe(**LABELS)
    logger.log_hyperparams({"seed": 3, "model": {"theta": "learnable"}})
    rule = replace(named("simpleclick", 64), max_clicks=2)
    callbacks = [
        EvaluateNoC(rule, max_instances=1),
        LearningRateMonitor(logging_interval="epoch"),
        Panels(tmp_path / "panels", draw, rule, every_n_epochs=2, instances=1),
    ]
    trainer(tmp_path, callbacks, logger=[logger]).fit(module(), datamodule=data(4))
    logger.log_run(folder, [picture_of(*played[1:])])
    logger.finish()
    assert wandb.run is None
    found = wandb_file.only(tmp_path)
    begun = wandb_file.run(found)
    assert (begun.project, begun.display_name, begun.run_group, begun.job_type) == ("tests", "small", "table5", "train")
    assert list(begun.tags) == ["mine", "tiny", "modulation=mfp"]
    assert wandb_file.config(found)["model"] == {"theta": "learnable"}
    entries = wandb_file.history(found)
    steps = {name: [entry["trainer/global_step"] for entry in entries if name in entry] for name in named_in(entries)}
    assert steps["train/loss"] == [0, 1, 2, 3]
    assert steps["val/noc80"] == steps["val/miou@1"] == [1, 3], "after each epoch of two steps"
    assert steps["lr-Adam"] == [0, 2]
    assert steps["panels"] == [4]
    assert {"instances/blobs", "panels/blobs"} <= set(steps)
    assert wandb_file.summary(found)["blobs/instances"] == 1
    assert wandb_file.files(found)[-3:] == ["isrefiner-run.json", "test/blobs/summary.json", "test/blobs/instances.parquet"]
    (files,) = tmp_path.glob("wandb/offline-run-*/files")
    assert (files / "test/blobs/instances.parquet").read_bytes() == (folder / "test/blobs/instances.parquet").read_bytes()
    assert len(list(tmp_path.rglob("run.json"))) == 1, "a search for runs finds this one once"
    assert len(list(files.glob("media/images/mask/panels/*.png"))) == 4
    assert f"wandb sync {files.parent}" in capsys.readouterr().out


def named_in(entries):
    return {name for entry in entries for name in entry}


def test_each_run_of_a_process_is_its_own(tmp_path):
    for group in (None, "sweep"):
        logger = run_in(tmp_path, group=group)
        logger.describe(name=None, experiment=None, job_type="evaluate", settings={})
        logger.log_metrics({"a": 1.0})
        logger.finish()
    runs = [wandb_file.run(wandb_file.finished(path)) for path in sorted(tmp_path.glob("wandb/offline-run-*/*.wandb"))]
    assert {run.run_group for run in runs} == {"", "sweep"}
    assert len({run.run_id for run in runs}) == 2


# W&B forgets its dead service and that one's folder rather than close them
FORGOTTEN = ("ignore:subprocess .* is still running:ResourceWarning", "ignore:Implicitly cleaning up:ResourceWarning")


class KillInTheMiddle(Callback):
    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if trainer.global_step == 2:
            kill_service()


@pytest.mark.filterwarnings(*FORGOTTEN)
def test_a_service_that_dies_in_the_middle_changes_no_weight(tmp_path, own_service, folder, capsys):  # noqa: F811
    plain, watched = module(), module()
    trainer(tmp_path / "plain").fit(plain, datamodule=data(6))
    logger = SafeLogger(run_in(tmp_path))
    trainer(tmp_path, [KillInTheMiddle()], logger=[logger]).fit(watched, datamodule=data(6))
    for name, value in plain.network.state_dict().items():
        assert torch.equal(value, watched.network.state_dict()[name])
    assert capsys.readouterr().err.count("WandbRun failed (ConnectionResetError: Connection lost)") == 1
    logger.log_run(folder, [])  # the results are worth a new beginning
    logger.finish()
    assert "W&B goes on as run" in capsys.readouterr().err
    _, second = sorted(tmp_path.glob("wandb/offline-run-*/*.wandb"), key=lambda path: path.stat().st_ctime)
    found = wandb_file.finished(second)
    assert "instances/blobs" in named_in(wandb_file.history(found))
    assert wandb_file.summary(found)["theta"] == "learnable"


def test_a_lost_run_waits_longer_each_time(tmp_path, monkeypatch):
    logger, now, tried = run_in(tmp_path), [100.0], []

    def refuse(**given):
        tried.append(now[0])
        raise TimeoutError("no answer")

    monkeypatch.setattr("vfm_isrefiner.training.wandb_run.time.monotonic", lambda: now[0])
    monkeypatch.setattr(wandb, "init", refuse)
    for _ in range(40):
        now[0] += 1
        try:
            logger.log_metrics({"a": 1.0}, 1)
        except TimeoutError:
            assert isinstance(logger.experiment, DummyExperiment)
    assert tried == [101, 106, 116, 136]
    assert logger.version is None


def test_an_online_run_out_of_reach_is_written_offline(tmp_path, own_service, monkeypatch, capsys):
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    logger = run_in(tmp_path, offline=False, init_timeout=1.0)
    logger.log_metrics({"a": 1.0}, 4)
    logger.finish()
    assert "This run is written offline instead." in capsys.readouterr().err
    assert wandb_file.history(wandb_file.only(tmp_path))[0]["a"] == 1.0


def test_without_a_login_an_online_run_is_written_offline(tmp_path, own_service, capsys):
    logger = run_in(tmp_path, offline=False)
    logger.log_metrics({"a": 1.0}, 4)
    logger.finish()
    assert "No API key configured" in capsys.readouterr().err
    assert list(tmp_path.glob("wandb/offline-run-*"))


def test_a_run_resumed_in_its_folder_finds_its_id(tmp_path):
    assert last_id(tmp_path) is None
    for name in ("run-20260101_000000-aaaa", "run-20260102_000000-bbbb", "offline-run-20260103_000000-cccc"):
        (tmp_path / "wandb" / name).mkdir(parents=True)
    assert last_id(tmp_path) == "bbbb"


def test_a_run_that_never_began_has_nothing_to_finish(tmp_path):
    logger = run_in(tmp_path, id="given")
    logger.finish()
    assert (logger.name, logger.version, logger.save_dir) == ("tests", "given", str(tmp_path))
    assert list(tmp_path.glob("wandb/*")) == []


def test_other_ranks_begin_no_run(tmp_path, monkeypatch):
    from lightning.pytorch.utilities import rank_zero_only

    monkeypatch.setattr(rank_zero_only, "rank", 1)
    logger = run_in(tmp_path)
    logger.log_hyperparams({"seed": 1})
    logger.log_metrics({"a": 1.0}, 1)
    logger.log_pictures("panels", [], 1)
    logger.log_run(tmp_path, [])
    logger.finish()
    assert isinstance(logger.experiment, DummyExperiment)
    assert not (tmp_path / "wandb").exists()
