import itertools

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from torch.utils.data import DataLoader

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


def trained(minutes, **kwargs):
    module = Line()
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}
    end = EndInTime(minutes)
    trainer = Trainer(accelerator="cpu", max_epochs=-1, callbacks=[end], **quiet)
    trainer.fit(module, DataLoader(torch.ones(64), batch_size=8), **kwargs)
    return module, trainer, end


@pytest.fixture
def clock(monkeypatch):
    """Every look at it takes a second."""
    seconds = itertools.count(100)
    monkeypatch.setattr(end_in_time.time, "monotonic", lambda: float(next(seconds)))


def test_ends_in_time_with_no_rate_left(clock):
    module, trainer, _ = trained(1.0)
    assert trainer.global_step == len(module.rates) == 60  # in the middle of the eighth epoch of 8 steps
    rates = torch.tensor(module.rates)
    assert rates[1] == pytest.approx(0.5, rel=1e-3)  # two of a hundred: the second step
    assert (rates[1:].diff() < 0).all()
    assert rates[-1] == 0
    assert rates[30] == pytest.approx(0.25, rel=0.05)


def test_rate_by_share():
    end = EndInTime(1.0, warmup=0.1)
    assert [end.rate(share) for share in (0.0, 0.05, 0.1, 1.0, 2.0)] == pytest.approx([0, 0.5, 1, 0, 0])
    assert end.rate(0.55) == pytest.approx(0.5)
    assert EndInTime(1.0, warmup=0.0).rate(0.0) == 1.0


def test_resumed_run_has_what_was_left(clock, tmp_path):
    module, trainer, end = trained(1.0)
    assert end.state_dict() == {"spent": 60.0, "rates": [0.5]}
    end.load_state_dict({"spent": 50.0, "rates": [0.5]})
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    resumed, trainer, _ = trained(1.0, ckpt_path=tmp_path / "last.ckpt")
    assert len(resumed.rates) == 10
    assert resumed.rates[0] == pytest.approx(module.rates[50])


@pytest.mark.parametrize(("minutes", "warmup"), [(0, 0.1), (-1, 0.1), (1, 1.0), (1, -0.1), (float("nan"), 0.1)])
def test_no_time_is_refused(minutes, warmup):
    with pytest.raises(ValueError, match="minutes above 0 and a warmup in"):
        EndInTime(minutes, warmup)
