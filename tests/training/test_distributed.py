"""Two processes on the CPU: one is killed or told to stop, the run is resumed, and ends where the undisturbed one ends."""

import os
import signal
from dataclasses import replace

import pytest
import torch
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import ModelCheckpoint
from training.blobs import data, module, trainer
from training.processes import in_ranks

from vfm_isrefiner.evaluation import protocol
from vfm_isrefiner.training.evaluate_noc import EvaluateNoC
from vfm_isrefiner.training.stop_on_signal import StopOnSignal

STEPS = 3  # of an epoch: 12 samples in batches of 2 on 2 processes
QUICK = replace(protocol("simpleclick").resized((64, 64)), max_clicks=2)

pytestmark = pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty")  # of the run that is resumed


class Send(Callback):
    """The process `rank` sends itself `signum` while step `step` runs, or at the start of the evaluation after it."""

    def __init__(self, rank, step, signum, evaluating=False):
        self.rank, self.step, self.signum, self.evaluating = rank, step, signum, evaluating

    def on_before_zero_grad(self, trainer, pl_module, optimizer):
        if not self.evaluating and trainer.global_step == self.step - 1:
            self.send(trainer)

    def on_train_epoch_end(self, trainer, pl_module):
        if self.evaluating and trainer.global_step == self.step:
            self.send(trainer)

    def send(self, trainer):
        if trainer.global_rank == self.rank:
            os.kill(os.getpid(), self.signum)


def fit(rank, folder, name, send=None, every_minutes=10.0, resume=False):
    """A run of two epochs; the first process leaves `name`.ckpt at its end."""
    last = ModelCheckpoint(folder, "last", save_on_train_epoch_end=True, enable_version_counter=False)
    first = [] if send is None else [send]
    evaluate, stop = EvaluateNoC(QUICK, max_instances=1), StopOnSignal(folder, every_minutes)
    callbacks = [*first, evaluate, last, stop]
    run = trainer(folder, callbacks, devices=2, strategy="ddp", enable_checkpointing=True)
    run.fit(module(), datamodule=data(4 * STEPS), ckpt_path=folder / "last.ckpt" if resume else None)
    run.save_checkpoint(folder / f"{name}.ckpt")
    if rank == 0:
        (folder / f"{name}.txt").write_text(str(float(run.callback_metrics["val/noc80"])))


def weights(folder, name):
    return torch.load(folder / f"{name}.ckpt", weights_only=True)["state_dict"]


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    folder = tmp_path_factory.mktemp("straight")
    assert in_ranks(fit, folder, "straight") == [0, 0]
    return folder


# one process is killed in the middle of the second epoch, with what the first one's end left or with every step saved; one is
# told to stop in the middle of the first; one while both evaluate
@pytest.mark.parametrize(
    ("send", "every_minutes", "codes", "stands_at"),
    [
        (Send(1, STEPS + 2, signal.SIGKILL), 10.0, [1, -9], STEPS),
        (Send(1, STEPS + 2, signal.SIGKILL), 0.0, [1, -9], STEPS + 1),
        (Send(1, 1, signal.SIGUSR1), 10.0, [138, 138], 1),
        (Send(0, STEPS, signal.SIGTERM, evaluating=True), 10.0, [143, 1], STEPS - 1),
    ],
    ids=["killed", "killed-saved-often", "stopped", "stopped-in-evaluation"],
)
def test_a_disturbed_run_ends_as_the_straight_one(tmp_path, straight, send, every_minutes, codes, stands_at):
    assert in_ranks(fit, tmp_path, "disturbed", send, every_minutes) == codes, "both processes end, each with its status"
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["global_step"] == stands_at
    assert in_ranks(fit, tmp_path, "resumed", None, every_minutes, True) == [0, 0]
    state, resumed = weights(straight, "straight"), weights(tmp_path, "resumed")
    assert [name for name in state if not torch.equal(state[name], resumed[name])] == []
    assert (tmp_path / "resumed.txt").read_text() == (straight / "straight.txt").read_text()
