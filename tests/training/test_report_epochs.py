"""One line an epoch, with what this epoch measured."""

import pytest
from lightning.pytorch import Callback
from training.blobs import data, module, trainer

from vfm_isrefiner.training.evaluate_noc import EvaluateNoC
from vfm_isrefiner.training.report_epochs import ReportEpochs, _duration


def test_a_line_for_each_epoch(tmp_path, capsys):
    noc = EvaluateNoC("simpleclick", input_size=64, every_n_epochs=2, max_instances=1)
    trainer(tmp_path, [noc, ReportEpochs()], max_epochs=3).fit(module(), datamodule=data(count=4))
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("epoch ")]
    assert [line.split("  ")[0] for line in lines] == ["epoch 1/3", "epoch 2/3", "epoch 3/3"]
    assert all("loss " in line and "IoU " in line for line in lines)
    assert ["NoC@80" in line for line in lines] == [False, True, False]
    assert ["left" in line for line in lines] == [True, True, False]


class Losses(Callback):
    def __init__(self):
        self.seen = []

    def on_train_batch_end(self, trainer, pl_module, outputs, *_):
        self.seen.append(float(outputs["loss"]))


def test_the_loss_of_an_epoch_is_that_of_all_its_batches(tmp_path, capsys):
    losses = Losses()
    trainer(tmp_path, [losses, ReportEpochs()], max_epochs=2).fit(module(), datamodule=data(count=4))
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("epoch ")]
    halves = losses.seen[: len(losses.seen) // 2], losses.seen[len(losses.seen) // 2 :]
    assert len(halves[0]) > 1
    assert [float(line.split("loss ")[1].split()[0]) for line in lines] == pytest.approx(
        [sum(half) / len(half) for half in halves], abs=1e-4
    )


def test_an_unchanged_score_is_shown_again(tmp_path, capsys):
    noc = EvaluateNoC("simpleclick", input_size=64, max_instances=1)
    trainer(tmp_path, [noc, ReportEpochs()], max_epochs=2).fit(module(optimizer_lr=0.0), datamodule=data(count=4))
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("epoch ")]
    assert ["NoC@80" in line for line in lines] == [True, True]


class SaveAfterOneStep(Callback):
    def __init__(self, path):
        self.path = path

    def on_train_batch_end(self, trainer, *_):
        if trainer.global_step == 1:
            trainer.save_checkpoint(self.path)


def test_times_of_an_epoch_that_is_resumed_in_its_middle(tmp_path, capsys):
    trainer(tmp_path, [SaveAfterOneStep(tmp_path / "middle.ckpt")], max_epochs=1).fit(module(), datamodule=data(count=4))
    trainer(tmp_path, [ReportEpochs()]).fit(module(), datamodule=data(count=4), ckpt_path=tmp_path / "middle.ckpt")
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("epoch 1/2"))
    assert int(line.rpartition(" s")[0].split()[-1]) < 100


def test_durations_are_readable():
    assert [_duration(seconds) for seconds in (12, 300, 3 * 3600)] == ["12 s", "5 min", "3.0 h"]
