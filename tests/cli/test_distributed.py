"""The commands in two processes, numbered as torchrun numbers them; and torchrun itself."""

import os
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
from omegaconf import OmegaConf
from torch.distributed import TCPStore
from training.processes import in_ranks

from vfm_isrefiner.cli.one_folder import OneFolder, agree, common
from vfm_isrefiner.evaluation.ranks import ALONE, Ranks

DRAWN = ("data.augmentation.crop_size=64", "input_size=64", "panels=1", "limit=3")
QUICK = (
    "experiment=smoke",
    "trainer=ddp_cpu",
    "callbacks.panels=null",
    "callbacks.evaluate_noc.max_instances=1",
    "test_limit=3",
)


@pytest.fixture
def in_two(isrefiner, tmp_path):
    """`in_two("evaluate", ...)` runs the command in two processes as torchrun does, which keeps a store; their exit codes."""

    def run(*words):
        store = TCPStore("127.0.0.1", 0, is_master=True, timeout=timedelta(seconds=240), wait_for_workers=False)
        environment = {"MASTER_PORT": str(store.port), "TORCHELASTIC_USE_AGENT_STORE": "True", "TORCHELASTIC_RUN_ID": "test"}
        return in_ranks(_command, isrefiner, words, **environment)

    return run


def _command(rank, isrefiner, words):
    sys.exit(isrefiner(*words))


def rows(file):
    return pq.read_table(file).drop_columns(["seconds_network", "seconds_rest"])


def test_an_evaluation_is_shared_out_and_gives_the_same_rows(isrefiner, in_two, capfd):
    # two instances for the first process and one for the other
    words = ("evaluate", "model.size=test", "model.image_size=64", *DRAWN, "batch_size=2")
    assert isrefiner(*words, "hydra.run.dir=alone") == 0
    capfd.readouterr()
    assert in_two(*words) == [0, 0]
    assert capfd.readouterr().out.count("NoC80") == 1, "the first process speaks alone"
    (folder,) = Path("outputs").glob("*/*-evaluate")
    assert rows(folder / "instances.parquet").equals(rows("alone/instances.parquet"))
    tables = [Path(place, "table.md").read_text().splitlines() for place in ("alone", folder)]
    first, second = ([line.split("|")[:-2] for line in table] for table in tables)  # but for the seconds
    assert first == second


def test_a_training_leaves_one_folder_and_a_shared_out_test(in_two, isrefiner, capfd):
    assert in_two("train", *QUICK) == [0, 0]
    assert capfd.readouterr().out.count("training in") == 1
    (folder,) = Path("outputs").glob("*/*-train")
    assert {"network.safetensors", "run.json", "test", "checkpoints"} <= {path.name for path in folder.iterdir()}
    same = ("split=test", "data.test.synthetic.count=2", *DRAWN)
    assert isrefiner("evaluate", f"checkpoint={folder}/network.safetensors", *same) == 0
    (again,) = Path("outputs").glob("*/*-evaluate")
    assert rows(folder / "test" / "instances.parquet").equals(rows(again / "instances.parquet"))


@pytest.mark.slow
def test_torchrun_hands_a_signal_on_and_everything_is_saved(tmp_path):
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    words = [
        "-m",
        "vfm_isrefiner.cli.train",
        *QUICK,
        "callbacks.evaluate_noc=null",
        "callbacks.best=null",
        "trainer.max_epochs=999",
    ]
    with subprocess.Popen([*torchrun, *words], cwd=tmp_path, stderr=subprocess.PIPE, text=True) as run:
        until(lambda: list(tmp_path.glob("outputs/*/*/checkpoints/last.ckpt")))
        run.send_signal(signal.SIGTERM)
        _, told = run.communicate(timeout=120)
    assert run.returncode != 0
    assert "Stopped by SIGTERM; saved" in told
    (last,) = tmp_path.glob("outputs/*/*/checkpoints/last.ckpt")
    assert torch.load(last, weights_only=True)["global_step"] > 0
    assert len(list(tmp_path.glob("outputs/*/*"))) == 1


def until(found, seconds=240):
    end = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.2)


def settings(*overrides):
    return OmegaConf.create(
        {
            "paths": {"outputs": "outputs"},
            "hydra": {
                "run": {"dir": "outputs/mine"},
                "sweep": {"dir": "outputs/swept"},
                "overrides": {"hydra": list(overrides)},
            },
        }
    )


def test_a_slurm_step_has_a_folder_that_a_requeued_one_finds_again(monkeypatch):
    step = {"SLURM_JOB_ID": "77", "SLURM_STEP_ID": "0"}
    assert common("outputs/mine", Path("outputs"), step) == "outputs/slurm-77-0"
    assert common("outputs/mine", Path("outputs"), {}) == "outputs/mine"
    for name, value in {**step, "SLURM_PROCID": "1", "SLURM_STEP_NUM_TASKS": "2", "SLURM_LOCALID": "1"}.items():
        monkeypatch.setenv(name, value)
    cfg = settings()
    OneFolder().on_run_start(cfg)
    OneFolder().on_multirun_start(cfg)
    assert (cfg.hydra.run.dir, cfg.hydra.sweep.dir) == ("outputs/slurm-77-0", "outputs/slurm-77-0")


def test_a_named_folder_and_a_single_process_are_left_alone(monkeypatch):
    monkeypatch.setitem(os.environ, "SLURM_STEP_ID", "0")
    monkeypatch.setitem(os.environ, "SLURM_JOB_ID", "77")
    for cfg, ranks in ((settings("hydra.run.dir=here"), Ranks(0, 2)), (settings(), ALONE)):
        agree(cfg, "run", ranks)
        assert cfg.hydra.run.dir == "outputs/mine"
