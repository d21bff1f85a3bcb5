import json
import re

import numpy as np
import pytest

from vfm_isrefiner.data.errors import DataError
from vfm_isrefiner.data.labelled_folder import LabelledFolder


@pytest.fixture
def folder(tmp_path, written, picture, ids):
    ids[0] = 255
    written("train/fields/images/a.png", picture)
    written("train/fields/masks/a.png", ids)
    boxes = {1: [3, 2, 12, 8], 7: [10, 20, 6, 10]}
    instances = [{"id": k, "cls": "field", "area": b[2] * b[3], "bbox": b} for k, b in boxes.items()]
    meta = {"a": {"h": 32, "w": 40, "ignore": 255, "instances": instances}}
    (tmp_path / "train/fields/meta.json").write_text(json.dumps(meta))
    return tmp_path


def test_reads(folder, picture, ids):
    of = LabelledFolder(folder, "train", "fields")
    assert [(it.id, it.category, it.area, it.split) for it in of.records] == [
        ("a/1", "field", 96, "train"),
        ("a/7", "field", 60, "train"),
    ]
    assert np.array_equal(of[1].mask[0].numpy(), ids == 7)
    assert np.array_equal(of[1].ignore[0].numpy(), ids == 255)
    assert np.array_equal(of[0].image.numpy(), picture.transpose(2, 0, 1))
    assert np.isnan(of[0].gsd)


def test_without_ignore_value(folder, ids):
    meta = folder / "train/fields/meta.json"
    meta.write_text(meta.read_text().replace('"ignore": 255', '"ignore": null'))
    assert not LabelledFolder(folder, "train", "fields")[0].ignore.any()


def test_faults(folder):
    with pytest.raises(DataError, match=r"There is no .*nothing/meta\.json. Expected <root>/<split>/<source>"):
        LabelledFolder(folder, "train", "nothing")
    (folder / "train/fields/images/a.png").rename(folder / "b.png")
    with pytest.raises(DataError, match="images lacks 1 of 1 images, such as 'a'"):
        LabelledFolder(folder, "train", "fields")
    for text, message in (
        ("{", "is no readable JSON"),
        ("[]", "holds a list; an object with one entry per image"),
        ('{"a": {"h": 3}}', "the entry of image 'a' is not {h, w, ignore"),
    ):
        (folder / "train/fields/meta.json").write_text(text)
        with pytest.raises(DataError, match=message):
            LabelledFolder(folder, "train", "fields")


def test_missing_and_broken_masks(folder):
    of = LabelledFolder(folder, "train", "fields")
    mask = folder / "train/fields/masks/a.png"
    mask.write_bytes(mask.read_bytes()[:60])
    with pytest.raises(DataError, match=r"masks/a\.png cannot be read"):
        of[0]
    mask.unlink()
    with pytest.raises(DataError, match=r"There is no file .*masks/a\.png"):
        of[0]


ROW = re.compile(r"^\| (train|val)/([\w, ]+) \| ([\d, ]+) \| ([\d, ]+)", re.MULTILINE)


def listed(readme):
    """(split, source) -> (images, instances) of the folder's README; large numbers have a thousands comma."""
    for split, sources, images, instances in ROW.findall(readme):
        names = sources.split(", ")
        counts = [[int(n.replace(",", "")) for n in re.split(r", ", column.strip())] for column in (images, instances)]
        yield from zip([(split, name.strip()) for name in names], *counts, strict=True)


def test_counts_are_those_of_the_readme(shared):
    readme = shared / "data" / "README.md"
    if not readme.is_file():
        pytest.skip(f"no {readme}")
    rows = list(listed(readme.read_text()))
    assert len(rows) == 17
    for (split, source), images, instances in rows:
        of = LabelledFolder(shared / "data", split, source)
        assert (len({record.image for record in of.records}), len(of)) == (images, instances), (split, source)
        record = of.records[-1]
        instance = of[len(of) - 1]
        assert int(instance.mask.sum()) == record.area
        columns, rows_ = instance.mask[0].any(0).nonzero(), instance.mask[0].any(1).nonzero()
        assert (int(columns[0]), int(rows_[0])) == record.bbox[:2]
