import math

import pytest
import torch
from torch.nn import functional

from vfm_isrefiner.data.augment import NoAugmentation, PaperAugmentation
from vfm_isrefiner.instance import Instance, InstanceBatch

PLAIN_LIGHT = {"light_probability": 0.0, "rgb_probability": 0.0}
STILL = {"scale": (1.0, 1.0), "flip": 0.0, "rotation_probability": 0.0, **PLAIN_LIGHT}


def scene(rows=64, columns=80, box=(20, 20, 30, 40), gsd=0.5, seed=0):
    """The object is white, the rest darker noise, so that image and mask can be compared after any warp."""
    image = torch.randint(0, 100, (3, rows, columns), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)
    mask, ignore = torch.zeros(2, 1, rows, columns, dtype=torch.bool)
    top, left, bottom, right = box
    mask[:, top:bottom, left:right] = True
    image[:, mask[0]] = 255
    return Instance(image, mask, ignore, f"x{seed}", "s", "c", gsd)


def batch(count=16, **kwargs):
    return InstanceBatch.collate([scene(seed=k, **kwargs) for k in range(count)])


def test_shapes_types_and_names():
    out = PaperAugmentation(48)(batch(), 3)
    assert out.image.shape == (16, 3, 48, 48)
    assert out.mask.shape == out.ignore.shape == (16, 1, 48, 48)
    assert out.size.tolist() == [[48, 48]] * 16
    assert out.id == tuple(f"x{k}" for k in range(16))
    assert not (out.mask & out.ignore).any()


def test_the_seed_decides():
    source = batch()
    first, again, other = (PaperAugmentation(48)(source, seed) for seed in (1, 1, 2))
    assert torch.equal(first.image, again.image)
    assert torch.equal(first.mask, again.mask)
    assert not torch.equal(first.mask, other.mask)


def test_the_global_random_state_is_left_alone():
    before = torch.random.get_rng_state()
    PaperAugmentation(32)(batch(2), 1)
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize("seed", range(5))
def test_mask_follows_the_image(seed):
    out = PaperAugmentation(64, **PLAIN_LIGHT)(batch(), seed)
    white = out.image.amin(1, keepdim=True) > 177  # half way between noise and object
    wrong = (white ^ out.mask) & ~out.ignore
    inside, outside = (functional.max_pool2d(each.float(), 3, 1, 1) > 0 for each in (~out.mask, out.mask))
    assert not (wrong & ~(inside & outside)).any()  # they differ on the edge only
    assert out.mask.sum((1, 2, 3)).min() >= 64


def test_every_kind_of_change_happens():
    source = batch(64)
    for changed in (
        {"scale": (0.75, 1.25)},
        {"flip": 0.5},
        {"rotation_probability": 0.75},
        {"light_probability": 0.75},
        {"rgb_probability": 0.75},
    ):
        still, moved = (PaperAugmentation(64, **{**STILL, **extra})(source, 5) for extra in ({}, changed))
        assert not torch.equal(still.image, moved.image), changed
    # quarter turns need no switch: a row of an image that is not turned keeps the broad object broad
    boxes = still.mask[:, 0].any(2).sum(1), still.mask[:, 0].any(1).sum(1)
    assert (boxes[0] > boxes[1]).any()
    assert (boxes[0] < boxes[1]).any()


def test_scale_and_gsd():
    out = PaperAugmentation(64, scale=(0.5, 0.5), flip=0, rotation_probability=0, **PLAIN_LIGHT)(batch(), 0)
    assert out.gsd.tolist() == [1.0] * 16
    assert out.mask.sum((1, 2, 3)).float().mean().item() == pytest.approx(200 / 4, rel=0.05)


def test_turns_and_flips_alone_lose_no_pixel():
    source = InstanceBatch.collate([scene(64, 64, seed=k) for k in range(64)])
    out = PaperAugmentation(64, scale=(1, 1), flip=0.5, rotation_probability=0, **PLAIN_LIGHT)(source, 7)
    kinds = set()
    for row in range(64):
        forms = {
            (turn, flip): torch.rot90(source.image[row].flip(-1) if flip else source.image[row], turn, (1, 2))
            for turn in range(4)
            for flip in (False, True)
        }
        match = [kind for kind, image in forms.items() if torch.equal(image, out.image[row])]
        assert len(match) == 1
        kinds.add(match[0])
    assert len(kinds) == 8  # the whole group of the square
    assert not out.ignore.any()
    assert torch.equal(out.mask.sum((1, 2, 3)), source.mask.sum((1, 2, 3)))


def test_outside_of_the_image_is_ignored():
    out = PaperAugmentation(96, **STILL)(batch(), 0)
    known = ~out.ignore
    assert known.sum((1, 2, 3)).tolist() == [64 * 80] * 16
    assert not out.mask[out.ignore].any()


def test_crop_lies_inside_of_a_large_image():
    source = batch(rows=200, columns=220, box=(2, 3, 30, 40))
    assert not PaperAugmentation(64, shift=0.0, rotation=0.0)(source, 2).ignore.any()


def test_padding_of_smaller_images_is_not_cropped_into():
    small, large = scene(64, 64, seed=1), scene(200, 200, seed=2)
    out = PaperAugmentation(64, **STILL)(InstanceBatch.collate([small, large]), 0)
    assert not out.ignore.any()


def test_row_that_would_lose_its_object_gets_the_plain_crop():
    # A turn by 45 degrees moves the corner of the image, where the object lies, out of the crop.
    source = batch(rows=64, columns=64, box=(0, 0, 6, 12))
    out = PaperAugmentation(64, rotation=45, shift=0.0, rotation_probability=1.0, scale=(1, 1), **PLAIN_LIGHT)(source, 1)
    plain = NoAugmentation(64)(source)
    taken = [torch.equal(out.image[row], plain.image[row]) for row in range(16)]
    assert any(taken)
    assert out.mask.sum((1, 2, 3)).min() >= 36


def test_light():
    image = torch.full((3, 32, 32), 100, dtype=torch.uint8)
    mask, ignore = torch.ones(1, 32, 32, dtype=torch.bool), torch.zeros(1, 32, 32, dtype=torch.bool)
    grey = InstanceBatch.collate([Instance(image, mask, ignore, str(k), "s") for k in range(256)])
    recipe = PaperAugmentation(32, rgb_probability=0.0, scale=(1, 1), rotation_probability=0.0)
    value = recipe(grey, 0).image[:, :, 16, 16].float()
    assert torch.equal(value[:, 0], value[:, 2])
    assert 0.15 < (value[:, 0] == 100).float().mean() < 0.35  # a quarter is left as it is
    assert value.min() >= 100 * 0.85 - 0.25 * 255 - 1
    assert value.max() <= 100 * 1.4 + 0.25 * 255 + 1
    assert value.max() - value.min() > 120
    recipe = PaperAugmentation(32, light_probability=0.0, scale=(1, 1), rotation_probability=0.0)
    change = recipe(grey, 0).image[:, :, 16, 16].float() - 100
    assert change.abs().max() <= 10
    assert (change[:, 0] != change[:, 1]).any()


def test_no_augmentation_is_a_copy_of_pixels():
    source = batch(4)
    out = NoAugmentation(32)(source)
    # The middle pixel of the object is row 25; its column 20 + 0: the crop is moved into the image.
    found = [
        (top, left)
        for top in range(33)
        for left in range(49)
        if torch.equal(source.image[0, :, top : top + 32, left : left + 32], out.image[0])
    ]
    assert len(found) == 1
    top, left = found[0]
    assert torch.equal(out.mask[0], source.mask[0, :, top : top + 32, left : left + 32])
    assert not out.ignore.any()
    assert out.mask.any()
    odd = NoAugmentation(33)(source)
    assert odd.image.shape[-1] == 33


def test_empty_mask_is_no_fault():
    source = batch(2, box=(0, 0, 0, 0))
    assert not PaperAugmentation(32)(source, 0).mask.any()
    assert not NoAugmentation(32)(source).mask.any()


def test_source_size_covers_the_crop():
    assert PaperAugmentation(448).source_size >= 448 / 0.75 * (math.cos(math.radians(3)) + math.sin(math.radians(3)))
    assert NoAugmentation(64).source_size == 64


def test_faults():
    for kind in (PaperAugmentation, NoAugmentation):
        with pytest.raises(ValueError, match="crop_size must be at least 1 pixel, got 0"):
            kind(0)
    with pytest.raises(ValueError, match="scale must be two positive numbers in order"):
        PaperAugmentation(32, scale=(1.25, 0.75))
