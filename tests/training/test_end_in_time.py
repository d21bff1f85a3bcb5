import itertools
import time

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from torch.utils.data import DataLoader
from training.blobs import data, module, trainer
from training.processes import in_ranks

from vfm_isrefiner.training import end_in_time
from vfm_isrefiner.training.end_in_time import EndInTime


class Line(LightningModule):
    """One weight; keeps the learning rate of every step."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.rates = []

    def training_step(self, batch, batch_idx):
        self.rates.append(self.optimizers().param_groups[0]["lr"])
        return (self.weight - batch).square().mean()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.5)


def trained(minutes, end=None, **kwargs):
    line = Line()
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}
    end = end or EndInTime(minutes, warmup_steps=0)
    run = Trainer(accelerator="cpu", max_epochs=-1, callbacks=[end], **quiet)
    run.fit(line, DataLoader(torch.ones(64), batch_size=8), **kwargs)
    return line, run, end


@pytest.fixture
def clock(monkeypatch):
    """Every look at it takes a second."""
    seconds = itertools.count(100)
    monkeypatch.setattr(end_in_time, "monotonic", lambda: float(next(seconds)))


def test_ends_in_time_with_no_rate_left(clock):
    line, run, _ = trained(1.0)
    assert run.global_step == len(line.rates) == 60  # in the middle of the eighth epoch of 8 steps
    rates = torch.tensor(line.rates)
    assert rates[1] == pytest.approx(0.5, rel=1e-3)  # two of a hundred: the second step
    assert (rates[1:].diff() < 0).all()
    assert rates[-1] == 0
    assert rates[30] == pytest.approx(0.25, rel=0.05)


def test_rate_by_share_and_by_steps():
    end = EndInTime(1.0, warmup=0.1, warmup_steps=10)
    assert [end.rate(share, 10) for share in (0.0, 0.05, 0.1, 0.55, 1.0, 2.0)] == pytest.approx([0, 0.5, 1, 0.5, 0, 0])
    assert [end.rate(0.1, steps) for steps in (0, 5, 10, 20)] == pytest.approx([0, 0.5, 1, 1])
    assert end.rate(0.05, 2) == pytest.approx(0.2)
    assert EndInTime(1.0, warmup=0.0, warmup_steps=0).rate(0.0, 0) == 1.0


def test_a_slow_first_step_leaves_the_rise(monkeypatch):
    seconds = itertools.chain([0.0, 0.0], itertools.count(15.0))  # kernels are built for 15 of the 60
    monkeypatch.setattr(end_in_time, "monotonic", lambda: next(seconds))
    line, _, _ = trained(1.0, end=EndInTime(1.0, warmup_steps=20))
    assert line.rates[:3] == pytest.approx([0, 0.5 * 0.05, 0.5 * 0.1], rel=0.2)
    assert max(line.rates) == pytest.approx(line.rates[20], rel=0.05)


def test_resumed_run_has_what_was_left(clock, tmp_path):
    line, run, end = trained(1.0)
    assert end.state_dict() == {"spent": 60.0, "rates": [0.5]}
    end.load_state_dict({"spent": 50.0, "rates": [0.5]})
    run.save_checkpoint(tmp_path / "last.ckpt")
    resumed, _, _ = trained(1.0, ckpt_path=tmp_path / "last.ckpt")
    assert len(resumed.rates) == 10
    assert resumed.rates[0] == pytest.approx(line.rates[50])


def test_a_run_that_is_over_makes_no_step_more(clock, tmp_path):
    _, run, _ = trained(1.0)
    run.save_checkpoint(tmp_path / "last.ckpt")
    resumed, _, _ = trained(1.0, ckpt_path=tmp_path / "last.ckpt")
    assert resumed.rates == []


@pytest.mark.parametrize("wrong", [(0, 0.1), (-1, 0.1), (1, 1.0), (1, -0.1), (float("nan"), 0.1), (1, 0.1, -1)])
def test_no_time_is_refused(wrong):
    with pytest.raises(ValueError, match="EndInTime needs minutes above 0, a warmup in"):
        EndInTime(*wrong)


def skewed(rank, folder):
    """The clock of the second process is ten times as fast."""
    end_in_time.monotonic = lambda: time.monotonic() * (1 + 9 * rank)
    run = trainer(folder, [EndInTime(0.02)], devices=2, strategy="ddp", max_epochs=-1)
    run.fit(module(), datamodule=data(4 * 2))
    (folder / f"{rank}.txt").write_text(f"{run.global_step} {run.optimizers[0].param_groups[0]['lr']}")


def test_processes_go_by_the_first_ones_clock(tmp_path):
    assert in_ranks(skewed, tmp_path) == [0, 0]
    steps, rate = (tmp_path / "0.txt").read_text().split()
    assert (int(steps) > 0, float(rate)) == (True, 0.0)
    assert (tmp_path / "1.txt").read_text() == f"{steps} {rate}"
