"""One round, the whole-image segmenter and the loop, with a network that counts."""

from dataclasses import replace

import pytest
import torch
from loop_parts import Brightness, add_click

from vfm_isrefiner.clicks import Clicks
from vfm_isrefiner.interaction import ImageFeatures, Interaction
from vfm_isrefiner.modulation import modulate_isrefiner, modulate_none
from vfm_isrefiner.rollout import Round, WholeImage, rollout

SIZE = (24, 32)


def clicks_at(*rows):
    """One click per object: (y, x, label)."""
    table = torch.tensor(rows, dtype=torch.float32)[:, None]
    return Clicks(table[..., :2], table[..., 2].to(torch.int8))


def pictures(batch=2, seed=0):
    return torch.randint(0, 256, (batch, 3, *SIZE), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def test_first_click_sees_zeros_for_blank_rows_only():
    network = Brightness()
    play = Round(network, add_click)
    prev = torch.zeros(2, 1, *SIZE)
    prev[1, 0, 3, 4] = 0.5
    play.logits(*play.encode(pictures()), clicks_at((2, 2, 1), (5, 5, 0)), prev)
    ((seen_prev, seen_mod),) = network.passes
    assert torch.equal(seen_prev, prev)
    assert seen_mod[0].eq(0).all()
    assert torch.equal(seen_mod[1], prev[1] + 0.25)


def test_modulation_that_is_no_number_on_a_blank_map_is_not_seen():
    network = Brightness()
    Round(network, lambda prob, clicks: prob / 0).logits(
        network.encode_image(torch.rand(1, 3, *SIZE)), None, clicks_at((2, 2, 1)), torch.zeros(1, 1, *SIZE)
    )
    assert network.passes[0][1].eq(0).all()


def test_two_passes_run_blank_rows_first_on_zeros():
    network = Brightness()
    play = Round(network, add_click, first_click_passes=2)
    prev = torch.zeros(3, 1, *SIZE)
    prev[1] = 0.5
    image = pictures(3)
    play.logits(*play.encode(image), clicks_at((2, 2, 1), (5, 5, 0), (9, 9, 1)), prev)
    first, second = network.passes
    assert len(first[0]) == 2
    assert first[0].eq(0).all()
    assert first[1].eq(0).all()
    bright = 8 * (image[[0, 2]].float().mean(1, keepdim=True) / 255 - 0.5)
    expected = bright.sigmoid()
    away = (slice(None), slice(None), slice(16, None), slice(16, None))  # from the click disks
    torch.testing.assert_close(second[0][[0, 2]][away], expected[away], atol=1e-6, rtol=1e-6)
    assert torch.equal(second[0][1], prev[1])
    assert torch.equal(second[1], second[0] + 0.25)
    network.passes.clear()
    play.logits(*play.encode(image), clicks_at((2, 2, 1), (5, 5, 0), (9, 9, 1)), prev + 0.1)
    assert len(network.passes) == 1


def test_flip_averages_logits_of_the_mirrored_image():
    class Ramp(Brightness):
        def __call__(self, features, click_maps, prev_prob, mod_prob):
            ramp = torch.arange(SIZE[1]).float()  # not symmetric, so the mirror counts
            return super().__call__(features, click_maps, prev_prob, mod_prob) + ramp

    play = Round(Ramp(), modulate_isrefiner, flip=True)
    image, clicks = pictures(), clicks_at((2.25, 2.5, 1), (5, 5, 0))
    prev = torch.rand(2, 1, *SIZE, generator=torch.Generator().manual_seed(1))
    got = play.logits(*play.encode(image), clicks, prev)
    plain = replace(play, flip=False)
    one = plain.logits(*plain.encode(image), clicks, prev)
    other = plain.logits(*plain.encode(image.flip(-1)), clicks.flipped(SIZE[1]), prev.flip(-1)).flip(-1)
    torch.testing.assert_close(got, (one + other) / 2)
    assert not torch.allclose(got, one)


def test_an_image_and_its_mirror_are_neighbours_in_the_batch():
    network = Brightness()
    play = Round(network, modulate_none, flip=True)
    prev = torch.rand(3, 1, *SIZE)
    play.logits(*play.encode(pictures(3)), clicks_at((2, 2, 1), (5, 5, 0), (9, 9, 1)), prev)
    seen = network.passes[0][0]
    assert torch.equal(seen[0::2], prev)
    assert torch.equal(seen[1::2], prev.flip(-1))


def test_encode_takes_bytes_and_floats_alike():
    play, image = Round(Brightness(), modulate_none), pictures()
    assert torch.equal(play.encode(image)[0].image, play.encode(image / 255)[0].image)


def test_gradients_reach_the_network_only_through_the_last_pass():
    class Scaled(Brightness):
        def __init__(self):
            super().__init__()
            self.weight = torch.ones((), requires_grad=True)

        def __call__(self, features, click_maps, prev_prob, mod_prob):
            assert not prev_prob.requires_grad
            return self.weight * super().__call__(features, click_maps, prev_prob, mod_prob)

    network = Scaled()
    play = Round(network, modulate_isrefiner, first_click_passes=2)
    play.logits(*play.encode(pictures()), clicks_at((2, 2, 1), (5, 5, 1)), torch.zeros(2, 1, *SIZE)).sum().backward()
    assert network.weight.grad != 0


def test_errors_of_a_round():
    with pytest.raises(ValueError, match="first_click_passes is 1"):
        Round(Brightness(), modulate_none, first_click_passes=3)
    play = Round(Brightness(), modulate_none, flip=True)
    with pytest.raises(ValueError, match="no features of the mirrored image"):
        play.logits(ImageFeatures(torch.rand(1, 3, *SIZE)), None, clicks_at((2, 2, 1)), torch.zeros(1, 1, *SIZE))


def test_whole_image_encodes_once():
    network = Brightness()
    segmenter = WholeImage(Round(network, modulate_isrefiner, flip=True))
    begin = segmenter.start(pictures())

    def click(interaction):
        number = float(interaction.clicks.label.shape[1])
        return torch.tensor([[number, 3.0], [7.0, number]]), torch.tensor([1, 0], dtype=torch.int8)

    history = list(rollout(segmenter, begin, click, 4))
    assert network.encoded == [2, 2]  # the image and its mirror
    assert [len(each.clicks.label[0]) for each in history] == [1, 2, 3, 4]
    assert begin.clicks.label.shape[1] == 0
    assert all(each.prob.shape == (2, 1, *SIZE) and each.prob.dtype == torch.float32 for each in history)
    # undo: the round from an earlier interaction is the same again
    again = next(rollout(segmenter, history[1], click, 1))
    assert torch.equal(again.prob, history[2].prob)


def test_rollout_is_lazy_and_goes_on_from_its_own_interaction():
    segmenter = WholeImage(Round(Brightness(), modulate_none))
    seen = []

    def click(interaction):
        seen.append(interaction.clicks.count.tolist())
        return torch.zeros(2, 2), torch.tensor([1, -1], dtype=torch.int8)  # the second object gets no click

    for interaction in rollout(segmenter, segmenter.start(pictures()), click, 10):
        if interaction.clicks.label.shape[1] == 2:
            break
    assert seen == [[0, 0], [1, 0]]


def test_whole_image_needs_an_interaction_of_its_own():
    segmenter = WholeImage(Round(Brightness(), modulate_none))
    with pytest.raises(ValueError, match=r"begin with WholeImage\.start"):
        segmenter.refine(Interaction.begin(pictures()), clicks_at((2, 2, 1), (5, 5, 0)))
