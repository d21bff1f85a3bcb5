import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vfm_isrefiner.data.id_map import IdMap
from vfm_isrefiner.data.layers import Layers, object_pixels


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sets(st.integers(0, 29)), max_size=12), st.integers(1, 4))
def test_layers_lose_and_invent_no_pixel(objects, numbers):
    layers = Layers(30, numbers)
    places = [layers.add(np.array(sorted(pixels), int)) for pixels in objects]
    assert len(set(places)) == len(objects)
    for pixels, (layer, number) in zip(objects, places, strict=True):
        assert 1 <= number <= numbers
        assert set(np.flatnonzero(layers.maps[layer] == number)) == pixels


def test_objects_apart_share_a_layer():
    layers = Layers(10, 253)
    found = [layers.add(np.array(pixels)) for pixels in ([0, 1], [2], [1, 2], [3], [0, 9])]
    assert found == [(0, 1), (0, 2), (1, 1), (0, 3), (1, 2)]


def test_pixels_of_masks_and_of_id_maps(blocks):
    of = blocks(1)
    record = of.records[1]
    mask, ignore = of.read_mask(record)
    pixels, ignored = object_pixels(of, 1)
    assert np.array_equal(pixels, np.flatnonzero((mask & ~ignore).numpy()))
    assert np.array_equal(ignored, np.flatnonzero(ignore.numpy()))
    ids = torch.where(ignore[0], 9, mask[0].long() * record.instance)
    of.read_id_map = lambda record: IdMap(ids, 9)
    for one, other in zip(object_pixels(of, 1), (pixels, ignored), strict=True):
        assert np.array_equal(one, other)
