"""Whole networks: shapes, the switches of Tables V-VII, frozen parts, independence of batch rows."""

import pytest
import torch

from vfm_isrefiner.models.build import BUILDERS, SIZES, build_from_config, build_isrefiner, build_mfp, build_simpleclick
from vfm_isrefiner.models.freeze import count_parameters, frozen_names, trainable_parameters
from vfm_isrefiner.models.normalise import Normalise

SIZE = 64


def _round(network: torch.nn.Module, image: torch.Tensor, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    auxiliary = torch.rand(len(image), 4, *image.shape[2:], generator=generator)
    return network(network.encode_image(image), auxiliary[:, 2:], auxiliary[:, :1], auxiliary[:, 1:2])


@pytest.mark.parametrize("kind", list(BUILDERS))
def test_logits_have_the_size_of_the_input(kind: str) -> None:
    network = BUILDERS[kind]("test", image_size=SIZE).eval()
    assert _round(network, torch.rand(2, 3, SIZE, SIZE)).shape == (2, 1, SIZE, SIZE)


@pytest.mark.parametrize("kind", list(BUILDERS))
def test_a_row_does_not_depend_on_its_neighbours(kind: str) -> None:
    network = BUILDERS[kind]("test", image_size=SIZE).eval()
    image = torch.rand(3, 3, SIZE, SIZE)
    together = _round(network, image)
    generator = torch.Generator().manual_seed(0)
    auxiliary = torch.rand(3, 4, SIZE, SIZE, generator=generator)[1:2]
    alone = network(network.encode_image(image[1:2]), auxiliary[:, 2:], auxiliary[:, :1], auxiliary[:, 1:2])
    torch.testing.assert_close(together[1:2], alone, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    "options",
    [
        {"use_vit": False},
        {"use_hq": False},
        {"use_vit": False, "use_hq": False},
        {"theta": 0.5},
        {"theta": 1.0},
        {"theta": "learnable_scalar"},
        {"early_fusion": "fixed"},
        {"early_fusion": "first"},
        {"early_fusion": "second"},
        {"attention": "windowed"},
        {"released": True},
        {"train_backbone": True},
    ],
)
def test_every_switch_builds_runs_and_reaches_all_it_trains(options: dict) -> None:
    torch.manual_seed(0)
    network = build_isrefiner("test", image_size=SIZE, **options).train()
    _round(network, torch.rand(2, 3, SIZE, SIZE)).square().mean().backward()
    idle = [n for n, p in network.named_parameters() if p.requires_grad and (p.grad is None or not p.grad.any())]
    # early fusion by one block never reads the other; everything else that trains must get a gradient
    assert not idle


def test_theta_choices() -> None:
    assert build_isrefiner("test", theta="learnable").feature_fusion.theta.shape == (1, 1, 64)
    assert build_isrefiner("test", theta="learnable_scalar").feature_fusion.theta.numel() == 1
    fixed = build_isrefiner("test", theta=0.5)
    assert "feature_fusion.theta" not in dict(fixed.named_parameters())
    assert fixed.feature_fusion.theta.item() == 0.5
    with pytest.raises(ValueError, match="theta is"):
        build_isrefiner("test", theta="half")


def test_frozen_backbone_stays_in_eval_and_without_gradient() -> None:
    network = build_isrefiner("test").train()
    assert not network.vit.training
    assert not network.fpn.training
    assert network.mask_decoder.training
    assert all(name.startswith(("vit.", "fpn.")) for name in frozen_names(network))
    assert {id(p) for p in trainable_parameters(network)} == {
        id(p) for n, p in network.named_parameters() if not n.startswith(("vit.", "fpn."))
    }


@pytest.mark.slow
def test_parameters_of_the_paper_size() -> None:
    """Table III: 40.11 M trainable of the paper's; MFP's 98.66 M and SimpleClick's 98.03 M less what never runs there."""
    total, trainable = count_parameters(build_isrefiner("paper"))[""]
    assert trainable == 41_487_927
    assert 38e6 < trainable < 43e6
    assert total > 130e6
    never_run = 956_776 + 768  # class token, classifier, unused upsampling, and the class token's position
    assert count_parameters(build_mfp("paper"))[""][0] == 98_659_753 - never_run
    assert count_parameters(build_simpleclick("paper"))[""][0] == 98_025_513 - never_run


def test_config_rebuilds_the_same_network() -> None:
    network = build_isrefiner("test", theta=0.5, early_fusion="first", image_size=SIZE)
    again = build_from_config(network.config)
    again.load_state_dict(network.state_dict())
    torch.manual_seed(3)
    image = torch.rand(1, 3, SIZE, SIZE)
    torch.testing.assert_close(_round(again.eval(), image), _round(network.eval(), image))


def test_config_keeps_the_calibration_of_scores() -> None:
    network = build_isrefiner("test", image_size=SIZE)
    network.config["score_calibration"] = [[0.0, 0.1], [1.0, 0.9]]
    assert build_from_config(network.config).config == network.config


def test_bgr_is_the_mirrored_channel_order() -> None:
    network = build_isrefiner("test", released=True)
    image = torch.rand(1, 3, SIZE, SIZE)
    plain = build_isrefiner("test").normalise(image.flip(1))
    torch.testing.assert_close(network.normalise(image), plain)


def test_released_reshape_scrambles_pairs_in_eval_mode_and_the_batch_in_training() -> None:
    torch.manual_seed(0)
    network = build_isrefiner("test", image_size=SIZE, released=True).eval()
    tokens = torch.randn(4, 16, 64)
    pairs = network._as_grid(tokens, torch.Size((4, 4)))
    torch.testing.assert_close(pairs[:2], tokens[:2].transpose(0, 1).reshape(2, 64, 4, 4))
    torch.testing.assert_close(network._as_grid(tokens[:1], torch.Size((4, 4)))[0], tokens[0].reshape(64, 4, 4))
    whole = network.train()._as_grid(tokens, torch.Size((4, 4)))
    torch.testing.assert_close(whole, tokens.transpose(0, 1).reshape(4, 64, 4, 4))


def test_errors_name_the_choices() -> None:
    with pytest.raises(ValueError, match=", ".join(SIZES)):
        build_isrefiner("huge")
    with pytest.raises(ValueError, match="gated, fixed, first, second"):
        build_isrefiner("test", early_fusion="mean")
    with pytest.raises(ValueError, match="network kind"):
        build_from_config({"kind": "ritm"})
    with pytest.raises(ValueError, match="float RGB"):
        build_isrefiner("test").encode_image(torch.zeros(1, 3, 64, 64, dtype=torch.uint8))
    with pytest.raises(ValueError, match="'rgb' or 'bgr'"):
        Normalise("hsv")
