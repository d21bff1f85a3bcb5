from dataclasses import replace

import pytest
import torch

from vfm_isrefiner.clicks import Clicks
from vfm_isrefiner.interaction import ImageFeatures, Interaction


def features(batch, value):
    return ImageFeatures(torch.full((batch, 3, 4, 4), value), patches=torch.full((batch, 2, 5), value))


def test_begin_has_no_click_and_zero_probability():
    state = Interaction.begin(torch.zeros(2, 3, 8, 6, dtype=torch.uint8))
    assert len(state) == 2
    assert state.size.tolist() == [[8, 6], [8, 6]]
    assert state.clicks.count.tolist() == [0, 0]
    assert state.prob.shape == (2, 1, 8, 6)
    assert not state.prob.any()
    assert state.roi is None


def test_rows_select_every_part():
    begun = Interaction.begin(torch.arange(2 * 3 * 16).view(2, 3, 4, 4).to(torch.uint8), torch.tensor([[4, 4], [3, 2]]))
    state = replace(
        begun,
        clicks=begun.clicks.append(torch.tensor([[0.0, 0.0], [1.0, 1.0]]), torch.tensor([1, 0])),
        roi=torch.tensor([[0, 3, 0, 3], [0, 2, 0, 1]]),
        features=ImageFeatures.stack([features(1, 1.0), features(1, 2.0)]),
        flipped=features(2, 3.0),
    )
    second = state.rows(torch.tensor([False, True]))
    assert len(second) == 1
    assert torch.equal(second.image[0], state.image[1])
    assert second.size.tolist() == [[3, 2]]
    assert second.clicks.label.tolist() == [[0]]
    assert second.roi.tolist() == [[0, 2, 0, 1]]
    assert second.features.patches.unique().tolist() == [2.0]
    assert second.features.ife is None
    assert second.flipped.image.unique().tolist() == [3.0]
    assert begun.rows(torch.tensor([0])).features is None


def test_updated_replaces_only_the_chosen_rows():
    old = features(3, 0.0)
    new = old.updated(torch.tensor([True, False, True]), features(2, 5.0))
    assert new.image.amax((1, 2, 3)).tolist() == [5.0, 0.0, 5.0]
    assert new.patches.amax((1, 2)).tolist() == [5.0, 0.0, 5.0]
    assert new.ife is None
    assert not old.image.any()


def test_with_prob_keeps_the_rest():
    state = Interaction.begin(torch.zeros(1, 3, 4, 4, dtype=torch.uint8))
    edited = state.with_prob(torch.ones(1, 1, 4, 4))
    assert edited.prob.all()
    assert edited.image is state.image


def test_sizes_that_disagree_are_refused():
    state = Interaction.begin(torch.zeros(2, 3, 4, 4, dtype=torch.uint8))
    with pytest.raises(ValueError, match=r"Interaction.prob must be \(2, 1, 4, 4\)"):
        state.with_prob(torch.zeros(2, 1, 4, 5))
    with pytest.raises(ValueError, match="2 images got clicks of 3 objects"):
        replace(state, clicks=Clicks.empty(3))
