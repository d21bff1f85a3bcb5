import json
import pickle

import numpy as np
import pyarrow as pa
import pytest
import torch
from data.painted import Painted, random_ids

from vfm_isrefiner.data.errors import DataError
from vfm_isrefiner.data.index import read_index
from vfm_isrefiner.data.prepare import prepare
from vfm_isrefiner.data.prepared import PreparedPatches
from vfm_isrefiner.data.scenes import scenes_of
from vfm_isrefiner.data.selection import image_split


@pytest.fixture
def out(tmp_path):
    rng = np.random.default_rng(3)
    scenes = [Painted(name, random_ids(rng, (30, 44), (4, 1, -1, 9)), split=split) for name, split in (("b", "x"), ("a", "y"))]
    prepare(scenes, tmp_path / "out", "mine", patch_size=16, overlap=4, workers=1)
    return tmp_path / "out", {scene.name: scene for scene in scenes}


def test_records_and_pixels(out):
    folder, scenes = out
    of = PreparedPatches(folder)
    assert of.source == "mine"
    places = {row["image"]: row for row in read_index(folder / "index.parquet").to_pylist()}
    for index, record in enumerate(of.records):
        place, instance = places[record.image], of[index]
        scene = scenes[place["scene"]]
        window = slice(place["row"], place["row"] + 16), slice(place["column"], place["column"] + 16)
        assert torch.equal(instance.image, scene.image[:, *window])
        assert np.array_equal(instance.mask[0].numpy(), scene.ids[window] == record.instance)
        assert np.array_equal(instance.ignore[0].numpy(), scene.ids[window] == -1)
        x, y, width, height = record.bbox
        assert int(instance.mask[0, y : y + height, x : x + width].sum()) == int(instance.mask.sum()) == record.area
        assert (record.id, record.size) == (f"{record.image}/{record.instance}", (16, 16))
        assert (record.category, record.split, record.gsd) == ("odd" if record.instance % 2 else "even", scene.split, 0.5)
    assert {record.instance for record in of.records} == {1, 4, 9}


def test_id_maps_say_what_the_masks_say(out):
    of = PreparedPatches(out[0])
    for record in of.records:
        mask, ignore = of.read_mask(record)
        ids = of.read_id_map(record)
        assert torch.equal(ids.mask(record.instance), mask)
        assert torch.equal(ids.ignore(), ignore)


def test_objects_that_overlap_have_no_id_map(blocks, tmp_path):
    prepare(scenes_of(blocks(2)), tmp_path, "set", patch_size=64, overlap=0, workers=1)
    of = PreparedPatches(tmp_path)
    assert of.read_id_map(of.records[0]) is None
    assert of.read_id_map(of.records[1]) is None
    assert torch.equal(of[1].mask, blocks(2)[1].mask)


def test_numbers_past_31_bits(tmp_path):
    ids = np.zeros((9, 9), np.int64)
    ids[2:4] = 2**40
    prepare([Painted("s", ids)], tmp_path, "set", workers=1)
    of = PreparedPatches(tmp_path)
    assert of.records[0].instance == 2**40
    assert of.read_id_map(of.records[0]) is None


def test_number_0_is_an_object_too(blocks, tmp_path):
    first = blocks(1).subset([0])
    assert first.records[0].instance == 0
    prepare(scenes_of(first), tmp_path, "set", patch_size=64, overlap=0, workers=1)
    of = PreparedPatches(tmp_path)
    assert of.read_id_map(of.records[0]) is None
    assert torch.equal(of[0].mask, first[0].mask)


def test_a_split_parts_no_scene(out):
    of = PreparedPatches(out[0])
    parts = [image_split(of, part, 0.5) for part in ("train", "val")]
    scenes = [{part.scene(record) for record in part.records} for part in parts]
    assert sorted(map(len, scenes)) == [1, 1]
    assert scenes[0] | scenes[1] == {"a", "b"}
    assert sum(len(part) for part in parts) == len(of)


def test_split_source_and_pickling(out):
    folder, _ = out
    of = PreparedPatches(folder, split="y", source="other")
    assert of.source == "other"
    assert {record.image[0] for record in of.records} == {"a"}
    copy = pickle.loads(pickle.dumps(of))
    assert torch.equal(copy[len(of) - 1].mask, of[len(of) - 1].mask)
    with pytest.raises(DataError, match=r"has no split 'z'; it has 'x', 'y'. Choose one"):
        PreparedPatches(folder, split="z")


def test_opening_decodes_no_image(out):
    folder, _ = out
    for path in (folder / "patches").iterdir():
        path.write_bytes(b"")
    of = PreparedPatches(folder)
    assert int(of.read_mask(of.records[0])[0].sum()) == of.records[0].area
    with pytest.raises(DataError, match=r"_0_\d+\.png cannot be read"):
        of[0]


def test_what_is_no_prepared_set(out, tmp_path):
    folder, _ = out
    with pytest.raises(DataError, match=r"nowhere has no readable prepare\.json"):
        PreparedPatches(tmp_path / "nowhere")
    about = json.loads((folder / "prepare.json").read_text())
    for change, told in (({"complete": False}, "is unfinished. Run the same"), ({"format": 99}, "prepared in format 99; this")):
        (folder / "prepare.json").write_text(json.dumps({**about, **change}))
        with pytest.raises(DataError, match=told):
            PreparedPatches(folder)
    (folder / "prepare.json").write_text(json.dumps(about))
    (folder / "index.parquet").unlink()
    with pytest.raises(DataError, match="There is no index"):
        PreparedPatches(folder)


def test_run_lengths_of_another_size(out):
    of = PreparedPatches(out[0])
    for text in (b"04", b"\xff", b"0O"):
        of._masks = pa.array([text] * len(of))
        for read in (of.read_mask, of.read_id_map):
            with pytest.raises(DataError, match=r"index\.parquet: annotation .*_0_\d+/\d+ cannot be drawn"):
                read(of.records[0])
