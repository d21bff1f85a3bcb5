import pickle
from dataclasses import replace

import pytest
import torch

from vfm_isrefiner.data.errors import DataError
from vfm_isrefiner.data.instance_set import InstanceSet


def test_items_are_instances_and_images_are_decoded_once(blocks):
    of = blocks(4)
    instances = [of[index] for index in range(len(of))]
    assert [item.id for item in instances] == [record.id for record in of.records]
    assert of.decoded == 4
    first = instances[0]
    assert (first.source, first.category, first.gsd) == ("blocks", "square", 0.5)
    assert first.image.shape == (3, 40, 48)
    assert int(first.mask.sum()) == 400
    assert not (first.mask & first.ignore).any()


def test_ignored_pixels_are_no_object(blocks):
    of = blocks(1)
    of.records = (replace(of.records[0], bbox=(2, 0, 20, 20)),)
    assert int(of[0].mask.sum()) == 380  # row 0 is ignored


def test_subset_and_where_are_sets_again(blocks):
    of = blocks(10)
    view = of.subset([5, 3])
    assert isinstance(view, InstanceSet)
    assert [record.id for record in view.records] == ["im1/2", "im1/0"]
    assert torch.equal(view[0].mask, of[5].mask)
    assert view.subset([1])[0].id == "im1/0"
    assert of.decoded == 1  # views share the cache
    drawn = of.where(limit=7, seed=1)
    places = [of.records.index(record) for record in drawn.records]
    assert len(places) == 7
    assert places == sorted(places)
    assert drawn.records == of.where(limit=7, seed=1).records != of.where(limit=7, seed=2).records
    assert len(of.where(limit=1000)) == len(of)
    of.records = tuple(replace(record, area=k, category="ab"[k % 2]) for k, record in enumerate(of.records))
    assert [record.area for record in of.where(min_area=27).records] == [27, 28, 29]
    assert [record.area for record in of.where(max_area=4, categories=["b"]).records] == [1, 3]


def test_where_with_nothing_left(blocks):
    with pytest.raises(DataError, match=r"'blocks' has no instance. Check its folder, its split and the filters"):
        blocks(2).where(min_area=401)


def test_ids_must_be_unique(blocks):
    with pytest.raises(DataError, match="two instances of id 'im0/1'"):
        blocks(1).subset([0, 1, 1])


def test_sizes_must_agree(blocks):
    of = blocks(1)
    of.read_mask = lambda record: tuple(torch.zeros(2, 1, 40, 47, dtype=torch.bool))
    with pytest.raises(
        DataError, match=r"image 'im0', instance 0: sizes differ .its image 40×48, its mask 40×47, its index 40×48"
    ):
        of[0]
    of = blocks(1)
    of.records = (replace(of.records[0], size=(40, 49)),)
    of.read_image = lambda record: torch.zeros(3, 40, 48, dtype=torch.uint8)
    with pytest.raises(DataError, match="its index 40×49"):
        of[0]


def test_fingerprint_sees_records_order_and_source(blocks):
    prints = [
        blocks(3).fingerprint(),
        blocks(3, source="other").fingerprint(),
        blocks(4).fingerprint(),
        blocks(3).subset([1, 0, 2]).fingerprint(),
    ]
    assert len(set(prints)) == 4
    assert blocks(3).fingerprint() == prints[0]
    assert len(prints[0]) == 16


def test_pickled_set_reads_the_same(blocks):
    of = blocks(2)
    copy = pickle.loads(pickle.dumps(of))
    assert torch.equal(copy[4].mask, of[4].mask)
