"""Checkpoints are whole or not there."""

import errno

import pytest
import torch

from vfm_isrefiner.training.checkpoint_io import AtomicCheckpointIO
from vfm_isrefiner.training.errors import SaveError


def full_disk(*args, **kwargs):
    raise OSError(errno.ENOSPC, "No space left on device")


def full_disk_inside_zip_writer(checkpoint, file):
    file.write(b"half of it")
    try:
        full_disk()
    except OSError:
        raise RuntimeError("PytorchStreamWriter failed writing file") from None


def test_round_trip(tmp_path):
    path = tmp_path / "checkpoints" / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint({"state_dict": {"weight": torch.arange(3)}}, path)
    assert AtomicCheckpointIO().load_checkpoint(path)["state_dict"]["weight"].tolist() == [0, 1, 2]
    assert [file.name for file in path.parent.iterdir()] == ["last.ckpt"]


@pytest.mark.parametrize("failure", [full_disk, full_disk_inside_zip_writer])
def test_full_disk_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, failure):
    path = tmp_path / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint({"step": 1}, path)
    monkeypatch.setattr(torch, "save", failure)
    with pytest.raises(SaveError, match=r"last\.ckpt.*The disk is full.*paths\.outputs"):
        AtomicCheckpointIO().save_checkpoint({"step": 2}, path)
    assert [file.name for file in tmp_path.iterdir()] == ["last.ckpt"]
    assert AtomicCheckpointIO().load_checkpoint(path)["step"] == 1


def test_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(SaveError, match="Check that the folder exists"):
        AtomicCheckpointIO().save_checkpoint({}, tmp_path / "file" / "last.ckpt")
