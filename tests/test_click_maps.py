import pytest
import torch

from vfm_isrefiner.click_maps import click_maps
from vfm_isrefiner.clicks import Clicks


def drawn_one_by_one(clicks, size, radius):
    """The definition, pixel by pixel."""
    maps = torch.zeros(len(clicks.label), 2, *size)
    for b, (positions, labels) in enumerate(zip(clicks.yx, clicks.label, strict=True)):
        for (y, x), label in zip(positions, labels.tolist(), strict=True):
            if label == -1 or (y < 0 and x < 0):
                continue
            for row in range(size[0]):
                for col in range(size[1]):
                    if (row - y) ** 2 + (col - x) ** 2 <= radius**2:
                        maps[b, 1 - label, row, col] = 1
    return maps


@pytest.mark.parametrize("radius", [0.0, 2.5, 5.0])
def test_equals_the_definition_for_any_position(generator, radius):
    yx = torch.rand(3, 6, 2, generator=generator) * 60 - 12
    yx[:, ::2] = yx[:, ::2].round()
    label = torch.randint(-1, 2, (3, 6), generator=generator).to(torch.int8)
    clicks = Clicks(yx, label)
    got = click_maps(clicks, (32, 40), radius)
    assert got.dtype == torch.float32
    assert torch.equal(got, drawn_one_by_one(clicks, (32, 40), radius))


def test_a_disk_of_radius_five_has_81_pixels():
    maps = click_maps(Clicks(torch.tensor([[[16.0, 16.0]]]), torch.ones(1, 1, dtype=torch.int8)), (32, 32))
    assert maps[0, 0].sum() == 81
    assert not maps[0, 1].any()


def test_no_click_gives_empty_maps():
    assert not click_maps(Clicks.empty(2), (8, 8)).any()


def test_far_and_undefined_positions_draw_nothing():
    yx = torch.tensor([[[float("nan"), 3.0], [1e30, 2.0], [2.0, float("inf")]]])
    assert not click_maps(Clicks(yx, torch.ones(1, 3, dtype=torch.int8)), (8, 8)).any()


@pytest.mark.parametrize(("size", "radius"), [((0, 8), 5.0), ((8, 8), -1.0)])
def test_bad_arguments_are_refused(size, radius):
    with pytest.raises(ValueError, match="click_maps needs a size"):
        click_maps(Clicks.empty(1), size, radius)


@pytest.mark.parametrize(("yx", "drawn"), [((-1.0, 3.0), True), ((3.0, -0.5), True), ((-1.0, -0.5), False), ((9.0, 9.0), True)])
def test_a_disk_reaches_in_from_outside_but_not_from_above_and_left(yx, drawn):
    maps = click_maps(Clicks(torch.tensor([[yx]]), torch.zeros(1, 1, dtype=torch.int8)), (8, 8))
    assert maps[0, 1].any() == drawn
    assert not maps[0, 0].any()
