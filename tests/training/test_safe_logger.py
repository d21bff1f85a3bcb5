"""A logger that fails anywhere in a training leaves the training as it is; a checkpoint that fails does not."""

import errno
from pathlib import Path

import pytest
import torch
from lightning.pytorch.callbacks import LearningRateMonitor, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger
from training.blobs import data, module, trainer

from vfm_isrefiner.training.dashboard import Dashboard
from vfm_isrefiner.training.errors import SaveError
from vfm_isrefiner.training.panels import Panels
from vfm_isrefiner.training.safe_logger import SafeLogger, safe


class Broken(Logger):
    """Fails at everything that it is asked for."""

    def __init__(self):
        super().__init__()
        self.asked = []

    def __getattribute__(self, name):
        if name in ("name", "version", "save_dir", "experiment", "log_metrics", "log_hyperparams", "save", "finalize"):
            self.asked.append(name)
            raise ConnectionResetError("Connection lost")
        return super().__getattribute__(name)

    name = version = None

    def log_metrics(self, metrics, step=None):
        pass

    def log_hyperparams(self, params):
        pass


def weights(folder, **changes):
    network = module()
    trainer(folder, max_epochs=2, **changes).fit(network, datamodule=data(4))
    return network.network.state_dict()


def assert_same(first, second):
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    return weights(tmp_path_factory.mktemp("undisturbed"))


def full_disk(*args, **kwargs):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_logger_that_fails_at_everything_changes_no_weight(tmp_path, undisturbed, capsys):
    broken, whole = Broken(), CSVLogger(tmp_path, name="log")
    callbacks = [LearningRateMonitor(logging_interval="epoch")]
    assert_same(weights(tmp_path, callbacks=callbacks, logger=safe([broken, whole])), undisturbed)
    assert {"log_metrics", "save", "finalize"} <= set(broken.asked), "it is tried again"
    err = capsys.readouterr().err
    assert err.count("Broken failed (ConnectionResetError: Connection lost)") == 1
    assert "times in all" in err
    header = (tmp_path / "log" / "version_0" / "metrics.csv").read_text().splitlines()[0]
    assert {"train/loss", "lr-Adam"} <= set(header.split(",")), "the other logger has everything"


def test_entries_of_a_full_disk_are_written_when_there_is_room_again(tmp_path, undisturbed, monkeypatch, capsys):
    logger = CSVLogger(tmp_path, name="log")
    save, calls = type(logger.experiment).save, []

    def full_at_first(writer):
        calls.append(None)
        return full_disk() if len(calls) < 4 else save(writer)

    monkeypatch.setattr(type(logger.experiment), "save", full_at_first)
    assert_same(weights(tmp_path, logger=safe([logger])), undisturbed)
    lines = (tmp_path / "log" / "version_0" / "metrics.csv").read_text().splitlines()
    assert len(lines) == 1 + len([line for line in lines[1:] if line.strip(",")]), "no half line"
    steps = [dict(zip(lines[0].split(","), line.split(","), strict=True))["step"] for line in lines[1:]]
    # an epoch of two steps has an entry of its own at its end
    assert steps == ["0", "1", "1", "2", "3", "3"], "the entries of the full time too"
    assert "CSVLogger failed (OSError: [Errno 28] No space left on device)" in capsys.readouterr().err


def test_tensorboard_whose_writer_died(tmp_path, undisturbed, monkeypatch, capsys):
    logger = TensorBoardLogger(tmp_path, name="", version="tb")
    monkeypatch.setattr(type(logger.experiment), "add_scalar", full_disk)
    monkeypatch.setattr(type(logger.experiment), "flush", full_disk)
    assert_same(weights(tmp_path, logger=safe([logger])), undisturbed)
    monkeypatch.undo()
    logger.experiment.close()
    assert "TensorBoardLogger failed (OSError: [Errno 28]" in capsys.readouterr().err


def test_pictures_that_cannot_be_written_are_told_once(tmp_path, undisturbed, capsys):
    panels = Panels(tmp_path / "panels", full_disk, input_size=64, every_n_epochs=1, instances=2)
    assert_same(weights(tmp_path, callbacks=[panels]), undisturbed)
    assert capsys.readouterr().err.count("Drawing pictures failed (OSError: [Errno 28]") == 1


def test_a_checkpoint_that_cannot_be_written_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(torch, "save", full_disk)
    keep = ModelCheckpoint(dirpath=tmp_path / "checkpoints", save_on_train_epoch_end=True)
    with pytest.raises(SaveError, match="disk is full"):
        weights(tmp_path, callbacks=[keep], enable_checkpointing=True, logger=safe([CSVLogger(tmp_path)]))


def test_it_hands_on_what_the_logger_has(tmp_path):
    logger = CSVLogger(tmp_path, name="log")
    wrapped = SafeLogger(logger)
    assert (wrapped.name, wrapped.version, wrapped.save_dir) == ("log", 0, str(tmp_path))
    assert wrapped.experiment is logger.experiment
    wrapped.log_hyperparams({"seed": 3})
    wrapped.save()
    assert "seed: 3" in (tmp_path / "log" / "version_0" / "hparams.yaml").read_text()


def test_a_logger_without_an_experiment_gets_one_that_swallows():
    class Plain(Logger):
        name, version = "plain", 1

        def log_metrics(self, metrics, step=None):
            pass

        def log_hyperparams(self, params):
            pass

    assert SafeLogger(Plain()).experiment.anything() is None


class Board(Dashboard):
    """Remembers what it was asked to show."""

    name, version = "board", "1"

    def __init__(self):
        super().__init__()
        self.shown = []

    def log_metrics(self, metrics, step=None):
        pass

    def log_hyperparams(self, params):
        pass

    def describe(self, **labels):
        self.shown.append(("describe", labels))

    def log_pictures(self, name, files, step):
        self.shown.append((name, [file.name for file in files], step))

    def log_run(self, folder, pictures):
        full_disk()

    def finish(self):
        self.shown.append(("finish",))


def test_a_dashboard_is_shown_pictures_and_other_loggers_are_not(tmp_path, capsys):
    def draw(instance, history, file):
        Path(file).write_bytes(b"")

    board, plain = Board(), SafeLogger(CSVLogger(tmp_path))
    wrapped = SafeLogger(board)
    labels = {"name": "a", "experiment": None, "job_type": "train", "settings": {}}
    for logger in (wrapped, plain):
        logger.describe(**labels)
    panels = Panels(tmp_path / "panels", draw, input_size=64, every_n_epochs=1, instances=1)
    trainer(tmp_path, [panels], max_epochs=1, logger=[wrapped, plain]).fit(module(), datamodule=data(4))
    for logger in (wrapped, plain):
        logger.log_run(tmp_path, [])
        logger.finish()
    assert board.shown == [("describe", labels), ("panels", ["blobs-0_1.png"], 2), ("finish",)]
    assert "Board failed (OSError: [Errno 28]" in capsys.readouterr().err
