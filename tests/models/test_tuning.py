"""Table II's ways to tune MFP: what learns, what stays bit-equal, and that both survive a file."""

import sys

import pytest
import torch

from vfm_isrefiner.models.build import build_mfp, build_simpleclick
from vfm_isrefiner.models.checkpoints import load_network, save_network
from vfm_isrefiner.models.freeze import count_parameters, frozen_names, trainable_parameters

SIZE = 64


def _logits(network):
    generator = torch.Generator().manual_seed(0)
    image, auxiliary = (torch.rand(2, channels, SIZE, SIZE, generator=generator) for channels in (3, 4))
    return network(network.encode_image(image), auxiliary[:, 2:], auxiliary[:, :1], auxiliary[:, 1:2])


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    torch.manual_seed(0)
    network = build_mfp("test", image_size=SIZE).eval()
    return network, save_network(network, tmp_path_factory.mktemp("base") / "mfp.safetensors")


def test_low_rank_matrices_begin_as_no_change_and_are_all_that_learns(base):
    network, file = base
    tuned = build_mfp("test", image_size=SIZE, checkpoint=file, tuning="lora", lora_rank=4)
    torch.testing.assert_close(_logits(tuned.eval()), _logits(network))
    # A and B of qkv (64 -> 192) and proj (64 -> 64) in each of four blocks
    assert count_parameters(tuned)[""][1] == 4 * 4 * ((64 + 192) + (64 + 64))
    assert all("lora_" in name for name, parameter in tuned.named_parameters() if parameter.requires_grad)


def test_a_step_moves_the_low_rank_matrices_and_nothing_else(base):
    tuned = build_mfp("test", image_size=SIZE, checkpoint=base[1], tuning="lora", lora_rank=4).train()
    before = {name: value.clone() for name, value in tuned.state_dict().items()}
    optimizer = torch.optim.Adam(trainable_parameters(tuned), lr=0.01)
    for _ in range(2):  # B is zero at first, so that A has no gradient in the first step
        optimizer.zero_grad()
        _logits(tuned).square().mean().backward()
        optimizer.step()
    moved = {name for name, value in tuned.state_dict().items() if not torch.equal(value, before[name])}
    assert moved == {name for name in before if "lora_" in name}
    assert moved.isdisjoint(frozen_names(tuned))  # buffers of batch norms included


def test_a_tuned_network_survives_its_file(base, tmp_path):
    torch.manual_seed(1)
    tuned = build_mfp("test", image_size=SIZE, checkpoint=base[1], tuning="lora").eval()
    for parameter in trainable_parameters(tuned):
        torch.nn.init.normal_(parameter, std=0.1)
    again = load_network(save_network(tuned, tmp_path / "tuned.safetensors"))
    torch.testing.assert_close(_logits(again), _logits(tuned))
    assert not torch.allclose(_logits(again), _logits(base[0]))


@pytest.mark.parametrize("build", [build_mfp, build_simpleclick])
def test_nothing_learns_of_a_network_taken_as_it_is(build):
    network = build("test", image_size=SIZE, tuning="none").train()
    assert trainable_parameters(network) == []
    assert network.training
    assert not any(child.training for child in network.children())


def test_wrong_words_are_told(monkeypatch):
    with pytest.raises(ValueError, match="tuning 'some' is unknown; known are full, lora, none"):
        build_mfp("test", tuning="some")
    with pytest.raises(ValueError, match="lora_rank must be at least 1"):
        build_mfp("test", tuning="lora", lora_rank=0)
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(ImportError, match=r"pip install 'vfm-isrefiner\[lora\]'"):
        build_mfp("test", tuning="lora")


def test_a_backbone_of_mfp_without_the_modulated_map_serves_simpleclick(base):
    network = build_simpleclick("test", image_size=SIZE, backbone_checkpoint=base[1])
    weight = base[0].vit.click_embed.weight
    torch.testing.assert_close(network.vit.click_embed.weight, weight[:, [0, 2, 3]])
