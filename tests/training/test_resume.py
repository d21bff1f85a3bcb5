"""A stopped and resumed run ends where the uninterrupted one ends, bit for bit."""

import os
import signal
import time
from contextlib import suppress

import pytest
import torch
from lightning.pytorch import Callback
from training.blobs import data, module, trainer

from vfm_isrefiner.training.errors import StoppedBySignal
from vfm_isrefiner.training.stop_on_signal import StopOnSignal, last_step_but_one


class Losses(Callback):
    def __init__(self):
        self.values = []

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.values.append((trainer.global_step, float(outputs["loss"]), batch.id))


class Signal(Callback):
    """Sends `signum` to this process while step `step` runs."""

    def __init__(self, step, signum):
        self.step, self.signum = step, signum

    def on_before_zero_grad(self, trainer, pl_module, optimizer):
        if trainer.global_step == self.step - 1:
            os.kill(os.getpid(), self.signum)


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    model, losses = module(), Losses()
    trainer(tmp_path_factory.mktemp("straight"), [losses]).fit(model, datamodule=data())
    return model.network.state_dict(), losses.values


# an epoch is 4 steps, a run 8: stops in the middle of an epoch, in its last step (made again), and in the second one
@pytest.mark.parametrize(("step", "signum"), [(2, signal.SIGTERM), (4, signal.SIGTERM), (6, signal.SIGUSR1)])
def test_resumed_run_is_the_straight_one(tmp_path, straight, step, signum):
    state, losses = straight
    assert len(losses) == 8
    first, second = Losses(), Losses()
    with pytest.raises(StoppedBySignal) as stop:
        trainer(tmp_path, [first, Signal(step, signum), StopOnSignal(tmp_path)]).fit(module(), datamodule=data())
    assert stop.value.exit_code == 128 + signum
    assert len(first.values) == step, "the batch that ran when the signal came is finished"
    assert sorted(file.name for file in tmp_path.glob("*.ckpt")) == ["last.ckpt"]
    torch.manual_seed(12345)  # whatever the process drew before must not matter
    model = module()
    torch.manual_seed(54321)
    trainer(tmp_path, [second, StopOnSignal(tmp_path)]).fit(model, datamodule=data(), ckpt_path=tmp_path / "last.ckpt")
    assert first.values[: step - (step % 4 == 0)] + second.values == losses
    resumed = model.network.state_dict()
    assert [name for name in state if not torch.equal(state[name], resumed[name])] == []


class SignalInEvaluation(Callback):
    """Sends a signal after the last batch of epoch `epoch`, as while a long evaluation runs, and counts the evaluations."""

    def __init__(self, epoch=None):
        self.epoch, self.begun, self.ended = epoch, [], []

    def on_train_epoch_end(self, trainer, pl_module):
        self.begun.append(trainer.current_epoch)
        if trainer.current_epoch == self.epoch:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(60)  # the rest of the evaluation: nobody waits for it
        self.ended.append(trainer.current_epoch)


@pytest.mark.timeout(50)
@pytest.mark.parametrize("epoch", [0, 1])
def test_a_signal_in_the_evaluation_stops_at_once_and_it_is_made_again(tmp_path, straight, epoch):
    state, losses = straight
    first, second, evaluation, again = Losses(), Losses(), SignalInEvaluation(epoch), SignalInEvaluation()
    with pytest.raises(StoppedBySignal):
        trainer(tmp_path, [first, evaluation, StopOnSignal(tmp_path)]).fit(module(), datamodule=data())
    assert len(first.values) == 4 * (epoch + 1), "no batch of the next epoch is begun"
    model = module()
    trainer(tmp_path, [second, again, StopOnSignal(tmp_path)]).fit(model, datamodule=data(), ckpt_path=tmp_path / "last.ckpt")
    assert first.values[:-1] + second.values == losses, "the last step is made again"
    assert evaluation.ended + again.ended == [0, 1], "every epoch is evaluated to its end"
    resumed = model.network.state_dict()
    assert [name for name in state if not torch.equal(state[name], resumed[name])] == []


class StopAfter(Callback):
    """As a clock does, in the middle of an epoch."""

    def on_train_batch_end(self, trainer, *_):
        trainer.should_stop = trainer.global_step == 2


@pytest.mark.timeout(50)
def test_a_signal_in_the_evaluation_behind_a_clocks_end_stops_at_once(tmp_path):
    evaluation = SignalInEvaluation(0)
    with pytest.raises(StoppedBySignal):
        trainer(tmp_path, [StopAfter(), evaluation, StopOnSignal(tmp_path)]).fit(module(), datamodule=data())
    assert evaluation.ended == []
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["global_step"] == 2, "with the last step in it"


def test_no_exception_handler_on_the_way_keeps_the_stop(tmp_path):
    class Swallows(Callback):
        def on_train_epoch_end(self, trainer, pl_module):
            with suppress(Exception):
                os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(StoppedBySignal):
        trainer(tmp_path, [Swallows(), StopOnSignal(tmp_path)], max_epochs=1).fit(module(), datamodule=data())


def test_accumulated_gradients_are_not_cut_in_two(tmp_path):
    undisturbed, model = module(), module()
    accumulate = {"accumulate_grad_batches": 3, "max_epochs": 1}  # steps after batches 3, 6 and 8
    trainer(tmp_path, **accumulate).fit(undisturbed, datamodule=data(16))
    stop = [SignalInBatch(4), StopOnSignal(tmp_path)]
    with pytest.raises(StoppedBySignal):
        trainer(tmp_path, stop, **accumulate).fit(module(), datamodule=data(16))
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["global_step"] == 2, "the step that batch 5 belongs to is made"
    trainer(tmp_path, **accumulate).fit(model, datamodule=data(16), ckpt_path=tmp_path / "last.ckpt")
    state, resumed = undisturbed.network.state_dict(), model.network.state_dict()
    assert [name for name in state if not torch.equal(state[name], resumed[name])] == []


class SignalInBatch(Callback):
    def __init__(self, batch):
        self.batch = batch

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if batch_idx == self.batch:
            os.kill(os.getpid(), signal.SIGUSR1)


@pytest.mark.parametrize(
    ("batches", "of_a_step", "number"), [(4, 1, 2), (2, 1, 0), (1, 1, 0), (8, 3, 5), (9, 3, 5), (3, 3, 2), (2, 3, 1)]
)
def test_the_last_step_but_one_of_an_epoch(batches, of_a_step, number):
    assert last_step_but_one(batches, of_a_step) == number


def test_minutes_without_a_save_end_with_one(tmp_path):
    saved = []

    class Watch(Callback):
        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
            saved.append((tmp_path / "last.ckpt").is_file())

    trainer(tmp_path, [Watch(), StopOnSignal(tmp_path, every_minutes=0.0)], max_epochs=1).fit(module(), datamodule=data())
    assert saved == [False, True, True, True]
    with pytest.raises(ValueError, match="every_minutes must be 0 or more, got -1"):
        StopOnSignal(tmp_path, every_minutes=-1)


def test_slurm_is_not_asked_to_requeue_by_lightning(tmp_path, monkeypatch):
    for name, value in {"NTASKS": 1, "NTASKS_PER_NODE": 1, "PROCID": 0, "LOCALID": 0, "NODEID": 0, "JOB_ID": 7}.items():
        monkeypatch.setenv(f"SLURM_{name}", str(value))
    run = trainer(tmp_path, strategy="ddp")
    environment = run.strategy.cluster_environment
    assert (type(environment).__name__, environment.auto_requeue) == ("SLURMEnvironment", True)
    StopOnSignal(tmp_path).setup(run, module(), "fit")
    assert environment.auto_requeue is False


def test_handlers_are_put_back(tmp_path):
    before = [signal.getsignal(signum) for signum in (signal.SIGTERM, signal.SIGUSR1)]
    trainer(tmp_path, [StopOnSignal(tmp_path)], max_steps=1).fit(module(), datamodule=data())
    assert [signal.getsignal(signum) for signum in (signal.SIGTERM, signal.SIGUSR1)] == before


def test_message_says_how_to_go_on(tmp_path):
    stop = StoppedBySignal(signal.SIGTERM, "runs/last.ckpt")
    assert stop.exit_code == 143
    assert "Stopped by SIGTERM; saved runs/last.ckpt. Resume with ckpt_path=runs/last.ckpt" in str(stop)
