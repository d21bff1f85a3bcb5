import math
from dataclasses import replace

import pytest
import torch

from vfm_isrefiner.instance import Instance, InstanceBatch


def instance(height=8, width=6, name="a/1"):
    mask = torch.zeros(1, height, width, dtype=torch.bool)
    mask[:, 2:4, 1:3] = True
    image = torch.full((3, height, width), 7, dtype=torch.uint8)
    return Instance(image, mask, torch.zeros_like(mask), id=name, source="made", category="square", gsd=0.5)


def test_collate_pads_and_ignores_the_padding():
    batch = InstanceBatch.collate([instance(8, 6, "a"), replace(instance(5, 9, "b"), gsd=float("nan"))])
    assert len(batch) == 2
    assert batch.image.shape == (2, 3, 8, 9)
    assert batch.size.tolist() == [[8, 6], [5, 9]]
    assert batch.id == ("a", "b")
    assert not batch.ignore[0, 0, :, :6].any()
    assert batch.ignore[0, 0, :, 6:].all()
    assert batch.ignore[1, 0, 5:].all()
    assert not batch.mask[batch.ignore].any()
    assert not batch.image[:, :1][batch.ignore].any()
    assert batch.gsd[0] == 0.5
    assert math.isnan(batch.gsd[1])


def test_to_keeps_everything():
    batch = InstanceBatch.collate([instance()])
    moved = batch.to("cpu")
    assert torch.equal(moved.image, batch.image)
    assert moved.category == ("square",)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="page-locked memory needs CUDA")
def test_pin_memory():
    assert InstanceBatch.collate([instance()]).pin_memory().image.is_pinned()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image": torch.zeros(3, 8, 6)}, r"image of made 'a/1' must be uint8"),
        ({"image": torch.zeros(1, 8, 6, dtype=torch.uint8)}, r"got torch.uint8 \(1, 8, 6\)"),
        ({"mask": torch.zeros(1, 8, 6)}, r"Instance.mask .* must be bool \(1, 8, 6\)"),
        ({"ignore": torch.zeros(1, 8, 5, dtype=torch.bool)}, r"Instance.ignore .* got torch.bool \(1, 8, 5\)"),
    ],
)
def test_bad_instance_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        replace(instance(), **change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image": torch.zeros(1, 3, 8, 6)}, "InstanceBatch.image must be uint8"),
        ({"mask": torch.zeros(1, 1, 8, 7, dtype=torch.bool)}, r"InstanceBatch.mask must be bool \(1, 1, 8, 6\)"),
        ({"id": ("a", "b")}, "InstanceBatch of 1 images needs 1 ids"),
    ],
)
def test_bad_batch_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        replace(InstanceBatch.collate([instance()]), **change)
