"""`isrefiner checkpoints`: the list, what a file holds, conversion."""

import torch

from vfm_isrefiner.models.build import build_mfp
from vfm_isrefiner.models.checkpoints import load_network
from vfm_isrefiner.models.known_files import terms_of
from vfm_isrefiner.models.published_names import published_name


def published(folder):
    """A file as MFP's authors write it."""
    torch.manual_seed(0)
    network = build_mfp("test", image_size=64)
    state = {published_name("mfp", name): value for name, value in network.state_dict().items()}
    width = network.vit.width
    state["backbone.pos_embed"] = torch.cat([torch.ones(1, 1, width), state["backbone.pos_embed"]], 1)
    torch.save({"state_dict": state}, folder / "mfp.pth")
    return network


def test_list(isrefiner, capsys):
    assert isrefiner("checkpoints") == 0
    out = capsys.readouterr().out
    assert out.index("default_stage1") < out.index("Published by others") < out.index("MFP_vit_base_cocolvis.pth")
    assert out.count("for non-commercial use") == 2
    assert "isrefiner train model.backbone_checkpoint=FILE" in out, "a bare ViT is nothing to evaluate"
    assert isrefiner("checkpoints", "list") == 0
    assert capsys.readouterr().out == out


def test_terms_are_said_of_what_ships(isrefiner, capsys, tmp_path):
    assert isrefiner("checkpoints", "show", "default") == 0
    assert "The weights default_stage1 are CC BY-NC 4.0, for non-commercial use" in capsys.readouterr().out
    assert terms_of("default_stage2").startswith("The weights default_stage2 are CC BY-NC 4.0")
    assert terms_of(tmp_path / "own.safetensors") is None


def test_convert_and_show(isrefiner, capsys, tmp_path):
    network = published(tmp_path)
    assert isrefiner("checkpoints", "show", "mfp.pth") == 0
    out = capsys.readouterr().out
    assert "kind: mfp" in out
    assert "sha256" in out
    assert isrefiner("checkpoints", "convert", "mfp.pth", "mfp.safetensors", "--half") == 0
    assert "terms of mfp.pth hold for it too" in capsys.readouterr().out
    again = load_network(tmp_path / "mfp.safetensors")
    assert torch.allclose(again.classify.weight, network.classify.weight, atol=1e-3)
    assert isrefiner("checkpoints", "show", "mfp.safetensors") == 0
    assert "image_size: 64" in capsys.readouterr().out


def test_wrong_words(isrefiner, capsys, tmp_path):
    published(tmp_path)
    assert isrefiner("checkpoints", "show", "none.pth") == 1
    assert "none.pth is not a file" in capsys.readouterr().err
    assert isrefiner("checkpoints", "convert", "mfp.pth", "out.pth") == 1
    assert "our files end in .safetensors" in capsys.readouterr().err
    (tmp_path / "there.safetensors").write_bytes(b"")
    assert isrefiner("checkpoints", "convert", "mfp.pth", "there.safetensors") == 1
    assert "is there already" in capsys.readouterr().err
    assert isrefiner("checkpoints", "drop") == 2
