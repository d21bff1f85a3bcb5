"""The rounds before the training step: how many, where the clicks fall, what they leave behind."""

from collections import Counter

import pytest
import torch
from training.blobs import Blobs, module

from vfm_isrefiner.instance import InstanceBatch
from vfm_isrefiner.training.simulate_clicks import SimulateClicks, generator_of, in_eval_mode


def batch_of(count=3):
    blobs = Blobs(count)
    return InstanceBatch.collate([blobs[index] for index in range(count)])


def test_rounds_follow_the_decay_and_not_the_rank():
    drawn = Counter(SimulateClicks(seed=1).rounds(number) for number in range(2000))
    assert set(drawn) == {1, 2, 3}
    for rounds, share in {1: 0.41, 2: 0.328, 3: 0.262}.items():
        assert drawn[rounds] / 2000 == pytest.approx(share, abs=0.04)
    assert [SimulateClicks(seed=1).rounds(n) for n in range(20)] == [SimulateClicks(seed=1).rounds(n) for n in range(20)]


@pytest.mark.parametrize("rounds", [1, 2, 3])
def test_play_leaves_one_click_for_each_round(rounds):
    model, batch = module(), batch_of()
    with torch.no_grad():
        interaction = SimulateClicks().play(model.segmenter, batch, rounds, generator_of(0))
    assert interaction.clicks.label.shape == (3, rounds)
    assert (interaction.clicks.label[:, 0] == 1).all()
    first = interaction.clicks.yx[:, 0].long()
    assert batch.mask[torch.arange(3), 0, first[:, 0], first[:, 1]].all()
    assert bool(interaction.prob.any()) == (rounds > 1), "the previous probability is that of the round before"


def test_object_without_pixels_gets_no_click_and_keeps_its_place():
    batch = batch_of()
    batch.mask[1] = False
    interaction = SimulateClicks().play(module().segmenter, batch, 1, generator_of(0))
    assert interaction.clicks.label[:, 0].tolist() == [1, -1, 1]


def test_same_seed_same_clicks_other_rank_others():
    model, batch = module(), batch_of()
    clicks = [SimulateClicks().play(model.segmenter, batch, 1, generator_of(0, 5, rank)).clicks.yx for rank in (0, 0, 1)]
    assert torch.equal(clicks[0], clicks[1])
    assert not torch.equal(clicks[0], clicks[2])


def test_modes_are_as_before():
    network = module().network.train()
    network.mask_encoder.eval()
    before = [part.training for part in network.modules()]
    with in_eval_mode(network):
        assert not any(part.training for part in network.modules())
    assert [part.training for part in network.modules()] == before


@pytest.mark.parametrize("wrong", [{"max_rounds": 0}, {"decay": 0.0}, {"decay": 1.5}])
def test_settings_out_of_range_are_told(wrong):
    with pytest.raises(ValueError, match="max_rounds must be at least 1 and decay in"):
        SimulateClicks(**wrong)
