"""Published files by their key layouts, our own files, and every way in which one does not fit."""

import errno
import os
import sys
import types
from pathlib import Path

import pytest
import torch

from vfm_isrefiner import files
from vfm_isrefiner.models.build import BUILDERS, build_isrefiner, build_mfp, build_simpleclick
from vfm_isrefiner.models.checkpoints import CheckpointError, load_any, load_backbone, load_network, save_network
from vfm_isrefiner.models.freeze import fingerprint
from vfm_isrefiner.models.published_names import published_name
from vfm_isrefiner.models.restricted_unpickler import Inert, read_tensors

SIZE = 64


def _published(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    """A state dict as the original code bases save it, with the entries that they never run."""
    kind = network.config["kind"]
    state = {published_name(kind, name): value for name, value in network.state_dict().items()}
    width = network.vit.width
    positions = state["backbone.pos_embed"]
    state["backbone.pos_embed"] = torch.cat([torch.ones(1, 1, width), positions], 1)
    state["backbone.cls_token"] = torch.zeros(1, 1, width)
    state["backbone.head.weight"] = torch.zeros(1000, width)
    if kind != "isrefiner":
        state["head.up_conv1.0.weight"] = torch.zeros(32, 16, 2, 2)
    return state


def _random(network: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    generator = torch.Generator().manual_seed(seed)
    for tensor in network.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(torch.rand(tensor.shape, generator=generator))
    return network


@pytest.fixture
def foreign_class(monkeypatch: pytest.MonkeyPatch) -> type:
    """A class that exists when a file is written and is gone when it is read, as RITM's pickled loss object is."""
    module = types.ModuleType("isegm_of_someone_else")
    ran: list[str] = []

    class CrossEntropyLoss(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.ones(3)

        def __setstate__(self, state: dict) -> None:
            ran.append("code of the file")

    CrossEntropyLoss.__module__, CrossEntropyLoss.__qualname__ = module.__name__, "CrossEntropyLoss"
    module.CrossEntropyLoss = CrossEntropyLoss
    CrossEntropyLoss.ran = ran
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return CrossEntropyLoss


@pytest.mark.filterwarnings("ignore:Couldn't retrieve source code:UserWarning")  # torch, saving a class made in a test
@pytest.mark.parametrize("kind", list(BUILDERS))
@pytest.mark.parametrize("legacy", [False, True])
def test_a_published_file_with_a_pickled_object_loads_and_runs_none_of_its_code(
    kind: str, legacy: bool, tmp_path: Path, foreign_class: type
) -> None:
    network = _random(BUILDERS[kind]("test", image_size=SIZE))
    config = {"class": "isegm.model", "params": {"head_params": {"value": {"loss_decode": foreign_class()}}}}
    path = tmp_path / "published.pth"
    torch.save({"state_dict": _published(network), "config": config}, path, _use_new_zipfile_serialization=not legacy)
    del sys.modules["isegm_of_someone_else"]
    loaded = load_any(path)
    assert not foreign_class.ran
    assert loaded.config["kind"] == kind
    assert loaded.config["size"]["width"] == 64
    for name, value in network.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value), name


def test_unpickler_makes_dangerous_calls_inert(tmp_path: Path) -> None:
    class Attack:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path / 'owned'}",)

    torch.save({"state_dict": {"a": torch.ones(2)}, "config": Attack()}, tmp_path / "attack.pth")
    content = read_tensors(tmp_path / "attack.pth")
    assert isinstance(content["config"], Inert)
    assert not (tmp_path / "owned").exists()
    assert torch.equal(content["state_dict"]["a"], torch.ones(2))


def test_released_file_needs_no_dense_fusion_but_the_paper_does(tmp_path: Path) -> None:
    state = _published(_random(build_isrefiner("test", image_size=SIZE)))
    torch.save({"state_dict": state}, path := tmp_path / "authors.pth")
    released = load_any(path, released=True)
    assert released.mask_decoder.dense_fusion is None
    assert released.normalise.channel_order == "bgr"
    assert load_any(path).mask_decoder.dense_fusion is not None


def test_error_names_missing_extra_and_reshaped(tmp_path: Path) -> None:
    state = _published(build_mfp("test", image_size=SIZE))
    del state["backbone.blocks.1.attn.qkv.bias"]
    state["head.surprise"] = torch.ones(1)
    state["neck.down_16.1.bias"] = torch.ones(5)
    torch.save({"state_dict": state}, path := tmp_path / "odd.pth")
    with pytest.raises(CheckpointError) as error:
        load_any(path)
    text = str(error.value)
    assert "missing: vit.vit.blocks.1.attn.qkv.bias" in text
    assert "extra: head.surprise" in text
    assert "fpn.scale_16.1.bias (5,) instead of (64,)" in text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"state_dict": {}}, "no tensors"),
        ({"state_dict": {"something": torch.ones(1)}}, "keys of none of"),
        ({"model": {"patch_embed.proj.weight": torch.ones(1)}}, "bare ViT"),
        ("text", "holds a str"),
    ],
)
def test_other_files_are_refused(content: object, message: str, tmp_path: Path) -> None:
    torch.save(content, path := tmp_path / "other.pth")
    with pytest.raises(ValueError, match=message):
        load_any(path)


def test_absent_and_damaged_files(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="is not a file"):
        load_any(tmp_path / "absent.pth")
    (tmp_path / "damaged.pth").write_bytes(b"not a checkpoint at all")
    with pytest.raises(ValueError, match="cannot be read as a PyTorch checkpoint"):
        load_any(tmp_path / "damaged.pth")
    (tmp_path / "damaged.safetensors").write_bytes(b"x" * 100)
    with pytest.raises(CheckpointError, match="cannot be read as safetensors"):
        load_any(tmp_path / "damaged.safetensors")


def test_backbone_from_mfp_simpleclick_and_mae(tmp_path: Path) -> None:
    mfp = _random(build_mfp("test", image_size=SIZE))
    torch.save({"state_dict": _published(mfp)}, tmp_path / "mfp.pth")
    network = build_isrefiner("test", image_size=SIZE, backbone_checkpoint=tmp_path / "mfp.pth")
    for name, value in network.state_dict().items():
        if name.startswith(("vit.", "fpn.")):
            assert torch.equal(value, mfp.state_dict()[name]), name

    simpleclick = _random(build_simpleclick("test", image_size=SIZE))
    torch.save({"state_dict": _published(simpleclick)}, tmp_path / "sc.pth")
    weight = build_isrefiner("test", image_size=SIZE, backbone_checkpoint=tmp_path / "sc.pth").vit.click_embed.weight
    assert torch.equal(weight[:, [0, 2, 3]], simpleclick.vit.click_embed.weight)
    assert not weight[:, 1].any()

    bare = {name.removeprefix("backbone."): value for name, value in _published(mfp).items() if name.startswith("backbone.")}
    bare["pos_embed"] = torch.randn(1, 1 + 2 * 2, 64)  # a smaller grid, as MAE's 14x14 is
    torch.save({"model": bare}, tmp_path / "mae.pth")
    mae = build_isrefiner("test", image_size=SIZE, backbone_checkpoint=tmp_path / "mae.pth")
    assert mae.vit.vit.pos_embed.shape == (1, 16, 64)
    assert torch.equal(mae.vit.vit.blocks[0].attn.qkv.weight, mfp.vit.vit.blocks[0].attn.qkv.weight)


def test_backbone_takes_the_place_of_that_of_a_whole_checkpoint(tmp_path: Path) -> None:
    foundation, whole = _random(build_mfp("test", image_size=SIZE)), _random(build_isrefiner("test", image_size=SIZE), seed=1)
    files = save_network(foundation, tmp_path / "mfp.safetensors"), save_network(whole, tmp_path / "whole.safetensors")
    both = build_isrefiner("test", image_size=SIZE, backbone_checkpoint=files[0], checkpoint=files[1])
    for name, value in both.state_dict().items():
        of = foundation if name.startswith(("vit.", "fpn.")) else whole
        assert torch.equal(value, of.state_dict()[name]), name

    trained = build_mfp("test", image_size=SIZE, backbone_checkpoint=files[1], checkpoint=files[0])
    assert torch.equal(trained.vit.click_embed.weight, foundation.vit.click_embed.weight), (
        "trained with the rest: the newer one"
    )


def test_own_whole_file_round_trip(tmp_path: Path) -> None:
    network = _random(build_isrefiner("test", image_size=SIZE, theta=0.5, early_fusion="second"))
    loaded = load_network(save_network(network, tmp_path / "whole.safetensors"))
    assert loaded.config == network.config
    for name, value in network.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value), name


def test_trained_part_goes_with_its_own_backbone_only(tmp_path: Path) -> None:
    network = _random(build_isrefiner("test", image_size=SIZE))
    whole = save_network(network, tmp_path / "whole.safetensors")
    part = save_network(network, tmp_path / "part.safetensors", only_trained=True)
    assert part.stat().st_size < 0.7 * whole.stat().st_size
    with pytest.raises(CheckpointError, match="only the trained part"):
        load_network(part)
    loaded = load_network(part, backbone_checkpoint=whole)
    assert fingerprint(loaded) == fingerprint(network)
    for name, value in network.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value), name

    other = save_network(_random(build_isrefiner("test", image_size=SIZE), seed=1), tmp_path / "other.safetensors")
    with pytest.raises(CheckpointError, match="same backbone checkpoint"):
        load_network(part, backbone_checkpoint=other)
    with pytest.raises(CheckpointError, match="holds no backbone"):
        load_backbone(build_isrefiner("test", image_size=SIZE), part)
    with pytest.raises(CheckpointError, match="needs a network with a frozen part"):
        save_network(build_mfp("test"), tmp_path / "none.safetensors", only_trained=True)


def test_checkpoint_of_another_kind_is_refused(tmp_path: Path) -> None:
    torch.save({"state_dict": _published(build_mfp("test", image_size=SIZE))}, path := tmp_path / "mfp.pth")
    with pytest.raises(CheckpointError, match="choose model=mfp"):
        build_simpleclick("test", image_size=SIZE, checkpoint=path)


def test_full_disk_leaves_nothing_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = build_isrefiner("test", image_size=SIZE)
    path = save_network(network, tmp_path / "kept.safetensors")
    before = path.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match="No space left on device"):
        save_network(_random(network), path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["kept.safetensors"]


def test_a_file_of_another_program_is_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"a": torch.ones(1)}, tmp_path / "foreign.safetensors")
    with pytest.raises(CheckpointError, match="another program"):
        load_network(tmp_path / "foreign.safetensors")
