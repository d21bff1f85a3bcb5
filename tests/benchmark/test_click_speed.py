"""What the click benchmark plays, and the rows and pictures that it makes of times."""

import matplotlib.image
import pytest
import torch

from vfm_isrefiner.benchmark import forms_speed
from vfm_isrefiner.benchmark.click_growth import growth
from vfm_isrefiner.benchmark.click_speed import Played, Scene, beside_plain, measures, plain_vit, roofline
from vfm_isrefiner.benchmark.drawing import draw_growth, draw_profile
from vfm_isrefiner.benchmark.machine import Peaks
from vfm_isrefiner.benchmark.profile import profiled
from vfm_isrefiner.benchmark.timing import Timing
from vfm_isrefiner.models.build import build_isrefiner, build_mfp
from vfm_isrefiner.models.forms import fast
from vfm_isrefiner.modulation import modulate_isrefiner, modulate_mfp

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return build_isrefiner("test", image_size=64).eval()


def test_the_plain_vit_has_the_size_of_ours(network) -> None:
    plain = plain_vit(network)
    ours = sum(value.numel() for value in network.vit.vit.blocks.parameters())
    assert sum(value.numel() for value in plain.blocks.parameters()) == ours
    assert plain(torch.zeros(1, 3, 64, 64)).shape == (1, 64)


def test_scenes_have_clicks_of_both_signs_inside() -> None:
    scene = Scene.made(64, batch=2, clicks=5)
    assert scene.clicks.label.tolist() == [[1, 0, 1, 0, 1]] * 2
    assert ((scene.clicks.yx >= 0) & (scene.clicks.yx < 64)).all()
    assert scene.mask.any()


@torch.no_grad()
def test_a_later_click_is_a_whole_round(network) -> None:
    played = Played(network, modulate_isrefiner, Scene.made(64))
    prob = played.later()
    assert prob.shape == (1, 1, 64, 64)
    features = played.features
    played.encode()
    assert played.features is not features
    torch.testing.assert_close(played.later(), prob)
    assert not torch.equal(played.modulate(), played.scene.prob)
    assert played.simulate()[1].shape == (1,)


@torch.no_grad()
def test_everything_is_timed_in_turn_and_told(network) -> None:
    networks = {"isrefiner": (network, modulate_isrefiner), "mfp": (build_mfp("test", image_size=64).eval(), modulate_mfp)}
    taken = beside_plain(networks, plain_vit(network), 64, CPU, repeats=2, warm_up=0)
    assert {len(timing.seconds) for timing in taken.values()} == {2}
    rows = {row.what: row for row in measures(taken, list(networks), CPU, bf16=False, compiled=False, targets=False)}
    assert all(row.target is None for row in rows.values())
    assert {"plain ViT", "isrefiner, first click", "plain forms, later click", "mfp, first click"} <= set(rows)


def test_rows_are_quotients_of_the_same_turn() -> None:
    seconds = {"plain": 1.0, "net later": 1.4, "net encode": 0.4, "plain forms later": 2.0, "plain forms encode": 1.0}
    taken = {name: Timing((value, 2 * value)) for name, value in {**seconds, "modulate": 0.007, "simulate": 0.007}.items()}
    rows = measures(taken, ["net"], CPU, bf16=False, compiled=False, targets=True)
    found = {(row.what, row.unit): row for row in rows}
    later, first = found["net, later click", "× plain ViT"], found["net, first click", "× plain ViT"]
    assert (later.value, later.met) == (pytest.approx(1.4), True)
    assert (first.value, first.met) == (pytest.approx(1.8), True)
    assert found["plain forms, first click", "× plain ViT"].value == pytest.approx(3.0)
    share = found["modulation and click simulation", "% of a later click"]
    assert (share.value, share.met) == (pytest.approx(1.0), True)
    slow = {
        (row.what, row.unit): row
        for row in measures(taken, ["net"], torch.device("cuda"), bf16=True, compiled=True, targets=True)
    }
    assert slow["net, later click", "× plain ViT"].target is None, "that is a CPU's"
    assert slow["net, later click", "ms"].met is False
    emulated = {(row.what, row.unit): row for row in measures(taken, ["net"], CPU, bf16=True, compiled=False, targets=True)}
    assert emulated["net, later click", "× plain ViT"].met is False


def test_the_roofline_counts_the_weights_once() -> None:
    floor, share = roofline(flops=200.0, parameters=10.0, seconds=8.0, peaks=Peaks(100.0, 10.0), width=4)
    assert floor.value == pytest.approx(4000.0)
    assert share.value == pytest.approx(50.0)


def test_every_fast_form_stands_beside_its_plain_one(network) -> None:
    seen = []

    def extract_seen(*_):
        seen.append(fast())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(forms_speed, "extract", extract_seen)
        rows = forms_speed.forms(network, 64, CPU, repeats=1, warm_up=0)
    assert seen == [False, True]
    assert [row.what.partition(",")[0] for row in rows] == [
        "image extractor",
        "mask decoder",
        "pyramid fusion",
        "upsampling and dynamic convolution",
    ]
    without = forms_speed.forms(build_isrefiner("test", image_size=64, use_hq=False).eval(), 64, CPU, repeats=1, warm_up=0)
    assert len(without) == 3


def test_growth_over_clicks_batches_and_sides(network) -> None:
    curves = growth(network, modulate_isrefiner, 64, CPU, clicks=[1, 3], batches=[1, 2], sides=[32, 64], repeats=1)
    assert {name: [x for x, _ in curve] for name, curve in curves.items()} == {
        "clicks before it": [1, 3],
        "objects in a batch": [1, 2],
        "side of the input in px": [32, 64],
    }
    assert all(seconds > 0 for curve in curves.values() for _, seconds in curve)
    with pytest.raises(ValueError, match="batches needs numbers of 1 or more"):
        growth(network, modulate_isrefiner, 64, CPU, clicks=[1], batches=[0], sides=[64], repeats=1)


@torch.no_grad()
def test_the_profile_names_the_parts_and_leaves_the_network_as_it_was(network) -> None:
    played = Played(network, modulate_isrefiner, Scene.made(64))
    before = played.later()
    parts = profiled(played, network, CPU, repeats=1)
    assert {"ViT", "pyramid", "mask decoder", "feature fusion", "modulation", "rest"} <= set(parts["click"])
    assert {"patch embedding", "image extractor and rest"} <= set(parts["image"])
    assert "forward" not in vars(network.vit)
    torch.testing.assert_close(played.later(), before)


def test_pictures(tmp_path) -> None:
    curves = {
        "clicks before it": [(1.0, 0.1), (20.0, 0.1)],
        "side of the input in px": [(32.0, 0.1), (64.0, 0.3)],
        "one": [(1.0, 1.0)],
    }
    draw_growth(curves, tmp_path / "growth.png", "title")
    draw_profile({"image": {"a": 0.1}, "click": {"a": 0.2, "b": 0.1}}, tmp_path / "profile.png", "title")
    for name in ("growth", "profile"):
        assert matplotlib.image.imread(tmp_path / f"{name}.png").std() > 0.01
    draw_growth({"one": [(1.0, 1.0)]}, tmp_path / "none.png", "title")
    assert not (tmp_path / "none.png").exists()
