"""The step that is measured is the one that is compared with: same clicks, loss and parameters; its memory, counted."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import nn

from vfm_isrefiner.benchmark.train_memory import REST, projected_memory
from vfm_isrefiner.benchmark.train_speed import (
    CARELESS,
    FAST,
    PLAIN,
    Setup,
    compared,
    growth,
    odds,
    steps_of,
    synthetic_batch,
)
from vfm_isrefiner.models.build import Dimensions, build_isrefiner
from vfm_isrefiner.models.freeze import freeze, frozen_names
from vfm_isrefiner.modulation import modulate_isrefiner
from vfm_isrefiner.training.simulate_clicks import SimulateClicks

SIDE = 64
SMALL = Dimensions(32, 3, 2, (8, 16, 16, 16), (8, 8, 16, 16), (8, 8, 16, 16), 2)


def setup(**changes):
    torch.manual_seed(0)
    parts = {"network": build_isrefiner(SMALL, image_size=SIDE), "modulation": modulate_isrefiner, "clicks": SimulateClicks()}
    return Setup(**parts | {"learning_rate": 1e-3} | changes)


def network_of(step):
    return step.module.network if hasattr(step, "module") else step.network


@pytest.mark.parametrize("rounds", [1, 3])
def test_all_steps_are_the_same_mathematics(rounds):
    made, batch = setup(), synthetic_batch(3, SIDE)
    steps = steps_of(made)
    losses = {name: [step(batch, rounds, seed).item() for seed in (5, 6)] for name, step in steps.items()}
    assert losses[FAST][0] != losses[FAST][1]
    before = made.network.state_dict()
    after = {name: network_of(step).state_dict() for name, step in steps.items()}
    for name in (PLAIN, CARELESS):
        assert losses[name] == pytest.approx(losses[FAST], abs=1e-6)
        for key, value in after[name].items():
            torch.testing.assert_close(value, after[FAST][key], rtol=0, atol=1e-5)
    moved = {key for key in before if not torch.equal(before[key], after[FAST][key])}
    assert moved
    assert not moved & frozen_names(made.network)


@contextmanager
def watched(network: nn.Module) -> Iterator[list]:
    """How often the images are encoded, and whether the frozen part is differentiated meanwhile."""
    seen, encode = [], network.encode_image

    def watching(image):
        seen.append((torch.is_grad_enabled(), next(network.vit.parameters()).requires_grad))
        return encode(image)

    network.encode_image = watching
    yield seen
    del network.encode_image


def test_the_plain_loop_encodes_in_every_round_and_ours_does_not():
    steps, batch = steps_of(setup()), synthetic_batch(2, SIDE)
    found = {}
    for name, step in steps.items():
        with watched(network_of(step)) as seen:
            step(batch, 3, 0)
        found[name] = seen
    assert found[FAST] == [(False, False), (True, False)]
    assert found[PLAIN] == [(False, False), (False, False), (True, False)]
    assert found[CARELESS][-1] == (True, True)
    assert all(each.grad is None for each in network_of(steps[CARELESS]).vit.parameters())
    assert not any(each.requires_grad for each in network_of(steps[CARELESS]).vit.parameters())


def test_bfloat16_is_used_where_it_is_asked_for():
    batch = synthetic_batch(2, SIDE)
    exact, rounded = (setup(bf16=bf16).fast()(batch, 1, 0).item() for bf16 in (False, True))
    assert exact != rounded
    assert rounded == pytest.approx(exact, rel=0.05)


def test_rounds_weigh_as_often_as_they_come(monkeypatch):
    clicks, seconds = SimulateClicks(max_rounds=2, decay=0.5), iter([1.0, 1.0, 4.0, 4.0])
    monkeypatch.setattr("vfm_isrefiner.benchmark.timing.once", lambda work, device: work() or next(seconds))
    played = []
    step = lambda batch, rounds, seed: played.append(rounds)  # noqa: E731
    average, curves = compared({"a": step}, synthetic_batch(1, SIDE), clicks, repeats=2, warm_up=0)
    assert played == [1, 1, 2, 2]
    assert average["a"].seconds == pytest.approx((2.0, 2.0))
    assert curves == {"a": [(1.0, 1.0), (2.0, 4.0)]}
    assert odds(SimulateClicks()) == pytest.approx([0.4098, 0.3279, 0.2623], abs=1e-4)


def test_growth_has_a_point_for_each_size():
    found = growth(setup(), [1, 2], [32, 64], batch=1, side=32, repeats=1)
    assert [size for size, _ in found["batch"]] == [1, 2]
    assert [size for size, _ in found["side"]] == [32, 64]
    assert all(seconds > 0 for curve in found.values() for _, seconds in curve)


def test_a_network_with_nothing_to_train_is_told():
    network = build_isrefiner(SMALL, image_size=SIDE)
    freeze(network)
    with pytest.raises(ValueError, match="nothing to train"):
        setup(network=network)


def test_memory_grows_with_the_batch_and_only_trained_parts_save():
    network = build_isrefiner(SMALL, image_size=SIDE)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    one, three = (projected_memory(network, SIDE, batch) for batch in (1, 3))
    assert one.parameters == three.parameters
    assert not {"vit", "fpn"} & set(three.saved)
    assert {"image_extractor", "feature_fusion", "mask_decoder", REST} <= set(three.saved)
    for part in ("image_extractor", "mask_encoder"):
        assert three.saved[part] == pytest.approx(3 * one.saved[part], rel=0.01)
    assert three.total == three.parameters + 3 * three.gradients + sum(three.saved.values())
    assert three.shares().startswith("image_extractor")
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
