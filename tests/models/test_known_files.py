"""Shipped weights by name, their checksums, and files in half precision."""

from pathlib import Path

import pytest
import torch

from vfm_isrefiner.files import sha256
from vfm_isrefiner.models import known_files
from vfm_isrefiner.models.build import build_isrefiner
from vfm_isrefiner.models.checkpoints import CheckpointError, load_any, load_backbone, load_network, save_network
from vfm_isrefiner.models.known_files import PUBLISHED, SHIPPED, located

FILE = "default_stage1.safetensors"
DOCS = Path(__file__).parents[2] / "docs/checkpoints.md"


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """A package whose weights "default" are a small network of known values."""
    torch.manual_seed(0)
    network = build_isrefiner("test", image_size=64).eval()
    file = save_network(network, tmp_path / FILE, half=True)
    (tmp_path / "SHA256SUMS").write_text(f"{sha256(file)}  {FILE}\n")
    monkeypatch.setattr(known_files, "FOLDER", tmp_path)
    return network


def test_a_name_stands_for_its_file(shipped, tmp_path):
    assert located("default") == located("default_stage1") == tmp_path / FILE
    for load in (load_any, load_network):
        network = load("default")
        weight = network.mask_decoder.state_dict()
        for name, value in shipped.mask_decoder.state_dict().items():
            assert weight[name].dtype == value.dtype
            assert torch.allclose(weight[name].float(), value.float(), atol=1e-3), name
    other = build_isrefiner("test", image_size=64)
    load_backbone(other, Path("default"))
    assert torch.allclose(other.vit.click_embed.weight, shipped.vit.click_embed.weight, atol=1e-3)


def test_changed_weights_are_refused(shipped, tmp_path):
    file = tmp_path / FILE
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"is not what was shipped.*install the package again"):
        load_any("default")


def test_missing_weights_are_told(shipped, tmp_path):
    (tmp_path / FILE).unlink()
    with pytest.raises(CheckpointError, match=r"'default_stage1' are not in .*installation is incomplete"):
        located("default")


def test_other_names_are_paths(shipped):
    with pytest.raises(CheckpointError, match="defaults is not a file"):
        located("defaults")


def test_half_is_half_the_size_and_keeps_statistics(tmp_path):
    torch.manual_seed(1)
    network = build_isrefiner("test", image_size=64).eval()
    norm = next(module for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d))
    norm.running_var.fill_(1 / 3)
    whole, half = (save_network(network, tmp_path / f"{half}.safetensors", half=half) for half in (False, True))
    assert half.stat().st_size < 0.6 * whole.stat().st_size
    again = load_network(half)
    assert torch.equal(next(m for m in again.modules() if isinstance(m, torch.nn.BatchNorm2d)).running_var, norm.running_var)
    assert {p.dtype for p in again.parameters()} == {torch.float32}
    with pytest.raises(CheckpointError, match="half=True is for a whole network"):
        save_network(network, tmp_path / "part.safetensors", only_trained=True, half=True)


def test_the_page_tells_of_every_known_file():
    page = DOCS.read_text()
    for known in (*SHIPPED, *PUBLISHED):
        assert known.name in page
