"""Our own file read tensor by tensor."""

import os
import weakref
from pathlib import Path

import pytest
import torch

from vfm_isrefiner.models.build import build_isrefiner
from vfm_isrefiner.models.checkpoints import load_network
from vfm_isrefiner.models.network_file import CheckpointError, FileTensors, read_file, save_network


@pytest.fixture
def network():
    torch.manual_seed(0)
    return build_isrefiner("test", image_size=64).eval()


def test_tensors_are_those_of_the_network(network, tmp_path: Path) -> None:
    header, tensors = read_file(save_network(network, tmp_path / "network.safetensors"))
    own = network.state_dict()
    assert header["content"] == "full"
    assert set(tensors) == set(own)
    assert len(tensors) == len(own)
    assert all(torch.equal(tensors[name], own[name]) for name in own)
    with pytest.raises(KeyError):
        tensors["other"]


def test_a_network_and_its_file_are_not_in_memory_together(network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save_network(network, tmp_path / "network.safetensors")
    given, held, read = [], [], FileTensors.__getitem__

    def counted(self, name):
        tensor = read(self, name)
        given.append(weakref.ref(tensor))
        held.append(sum(one() is not None for one in given))
        return tensor

    monkeypatch.setattr(FileTensors, "__getitem__", counted)
    loaded = load_network(path)
    assert len(given) > 100
    assert max(held) <= 4
    assert all(torch.equal(loaded.state_dict()[name], value) for name, value in network.state_dict().items())


def test_a_file_that_changes_while_it_is_read_is_told(network, tmp_path: Path) -> None:
    path = save_network(network, tmp_path / "network.safetensors")
    _, tensors = read_file(path)
    name = next(iter(tensors))
    save_network(network, tmp_path / "other.safetensors")
    os.replace(tmp_path / "other.safetensors", path)
    with pytest.raises(CheckpointError, match=r"network\.safetensors was written while it was read; load it again"):
        tensors[name]
