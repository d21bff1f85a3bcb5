"""A stopped and resumed run ends where the uninterrupted one ends, bit for bit."""

import os
import signal

import pytest
import torch
from lightning.pytorch import Callback
from training.blobs import data, module, trainer

from vfm_isrefiner.training.errors import StoppedBySignal
from vfm_isrefiner.training.stop_on_signal import StopOnSignal


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


def straight(folder, **changes):
    model, losses = module(), Losses()
    trainer(folder, [losses]).fit(model, datamodule=data(**changes))
    return model.network.state_dict(), losses.values


# an epoch is 4 steps, a run 8: stops in the middle of an epoch, at its end, and in the second one
@pytest.mark.parametrize(("step", "signum"), [(3, signal.SIGTERM), (4, signal.SIGTERM), (6, signal.SIGUSR1)])
def test_resumed_run_is_the_straight_one(tmp_path, step, signum):
    state, losses = straight(tmp_path)
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
    assert first.values + second.values == losses
    resumed = model.network.state_dict()
    assert [name for name in state if not torch.equal(state[name], resumed[name])] == []


class SignalInEvaluation(Callback):
    """Sends a signal after the last batch of epoch `epoch`, as while a long evaluation runs."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_train_epoch_end(self, trainer, pl_module):
        if trainer.current_epoch == self.epoch:
            os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize("epoch", [0, 1])
def test_a_signal_between_epochs_is_not_lost(tmp_path, epoch):
    state, losses = straight(tmp_path)
    first, second = Losses(), Losses()
    with pytest.raises(StoppedBySignal):
        trainer(tmp_path, [first, SignalInEvaluation(epoch), StopOnSignal(tmp_path)]).fit(module(), datamodule=data())
    assert len(first.values) == 4 * (epoch + 1), "no batch of the next epoch is begun"
    model = module()
    trainer(tmp_path, [second, StopOnSignal(tmp_path)]).fit(model, datamodule=data(), ckpt_path=tmp_path / "last.ckpt")
    assert first.values + second.values == losses
    resumed = model.network.state_dict()
    assert [name for name in state if not torch.equal(state[name], resumed[name])] == []


def test_handlers_are_put_back(tmp_path):
    before = [signal.getsignal(signum) for signum in (signal.SIGTERM, signal.SIGUSR1)]
    trainer(tmp_path, [StopOnSignal(tmp_path)], max_steps=1).fit(module(), datamodule=data())
    assert [signal.getsignal(signum) for signum in (signal.SIGTERM, signal.SIGUSR1)] == before


def test_message_says_how_to_go_on(tmp_path):
    stop = StoppedBySignal(signal.SIGTERM, "runs/last.ckpt")
    assert stop.exit_code == 143
    assert "Stopped by SIGTERM; saved runs/last.ckpt. Resume with ckpt_path=runs/last.ckpt" in str(stop)
