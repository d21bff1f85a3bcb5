import json
import re
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from vfm_isrefiner.data.check import by_image, check, drawn_images, open_or_report
from vfm_isrefiner.data.check_image import examine
from vfm_isrefiner.data.check_report import KINDS, Problem, Report, area_bins, gsd_counts, markdown, problem_lines
from vfm_isrefiner.data.coco import CocoInstances
from vfm_isrefiner.data.errors import DataError
from vfm_isrefiner.data.id_map import IdMap
from vfm_isrefiner.data.instance_set import InstanceRecord, InstanceSet
from vfm_isrefiner.data.labelled_folder import LabelledFolder

SIZE = (32, 40)


class Drawn(InstanceSet):
    """Masks by instance id, drawn one by one; images by name; a fault where there is none."""

    def __init__(self, images, masks, records, ignore=None):
        self.images, self.masks, self.ignored = images, masks, ignore
        super().__init__("drawn", records)

    def read_image(self, record):
        if record.image not in self.images:
            raise DataError(f"{record.image}.png cannot be read")
        return torch.from_numpy(self.images[record.image].transpose(2, 0, 1).copy())

    def read_mask(self, record):
        if record.id not in self.masks:
            raise DataError(f"{record.image}_mask.png cannot be read")
        mask = torch.from_numpy(self.masks[record.id])[None]
        return mask, torch.zeros_like(mask) if self.ignored is None else torch.from_numpy(self.ignored)[None]

    def unlabelled_images(self):
        return ("bare",)


def block(top=4, left=6, height=10, width=12, size=SIZE):
    mask = np.zeros(size, bool)
    mask[top : top + height, left : left + width] = True
    return mask


def record(number=1, image="a", area=120, bbox=(6, 4, 12, 10), size=SIZE, gsd=0.5):
    return InstanceRecord(image, number, f"{image}/{number}", "pond", area, bbox, size, gsd=gsd)


def of(masks=None, records=None, images=None, ignore=None):
    images = {"a": np.full((*SIZE, 3), 7, np.uint8)} if images is None else images
    return Drawn(images, {"a/1": block()} if masks is None else masks, records or [record()], ignore)


def kinds(report):
    return [problem.kind for problem in report.problems]


def test_a_good_set_is_counted():
    records = [record(), record(2, area=4, bbox=(0, 0, 2, 2)), record(3, "b", gsd=float("nan"))]
    images = {"a": np.full((*SIZE, 3), 7, np.uint8), "b": np.full((*SIZE, 3), 8, np.uint8)}
    ignore = np.zeros(SIZE, bool)
    ignore[20:] = True
    masks = {"a/1": block(), "a/2": block(0, 0, 2, 2), "b/3": block()}
    seen = []
    report = check(of(masks, records, images, ignore), "ponds", workers=0, progress=lambda done, all: seen.append((done, all)))
    assert seen == [(1, 2), (2, 2)]
    assert (report.name, report.images, report.instances, report.checked) == ("ponds", 2, 3, 2)
    assert report.sizes == {"32×40": 2}
    assert report.categories == {"pond": 3}
    assert report.areas == {4: 1, 64: 2}
    assert report.gsd == {"0.5": 1, "unknown": 1}
    assert report.ignored == pytest.approx(12 / 32)
    assert kinds(report) == ["unlabelled_image"]
    assert not report.errors


BAD = {
    "unreadable": [
        ({"images": {}}, r"a\.png cannot be read"),
        ({"masks": {}}, r"a_mask\.png cannot be read"),
    ],
    "size_mismatch": [
        ({"masks": {"a/1": block(size=(32, 41))}}, r"sizes differ .its image 32×40, its mask 32×41, its index 32×40"),
        ({"records": [record(size=(30, 40))]}, "its index 30×40"),
    ],
    "empty_instance": [
        ({"masks": {"a/1": np.zeros(SIZE, bool)}}, "a/1: its mask has no pixel. Remove it"),
        ({"ignore": np.ones(SIZE, bool)}, "a/1: every pixel is ignored"),
    ],
    "wrong_area": [({"records": [record(area=300)]}, "its area is given as 300 and its mask has 120 pixels")],
    "wrong_box": [
        ({"records": [record(bbox=(6, 4, 12, 15))]}, r"given as \[6, 4, 12, 15\] and its mask lies in \[6, 4, 12, 10\]")
    ],
    "id_out_of_range": [
        ({"records": [record(-3)], "masks": {"a/-3": block()}}, "its number -3 is not from 0 to 2147483647"),
        ({"records": [record(2**31)], "masks": {f"a/{2**31}": block()}}, "its number 2147483648"),
    ],
    "outside_image": [
        (
            {"records": [record(bbox=(35, 4, 12, 10))], "masks": {"a/1": block(left=35, width=5)}},
            "reaches out of its image of 32×40",
        )
    ],
    "duplicate_instance": [
        ({"records": [record(), record(2)], "masks": {"a/1": block(), "a/2": block()}}, "a/1 and a/2 have the same mask")
    ],
    "whole_image": [
        (
            {"records": [record(bbox=(0, 0, 40, 32), area=1280)], "masks": {"a/1": np.ones(SIZE, bool)}},
            "it covers the whole image",
        )
    ],
}


@pytest.mark.parametrize(("kind", "case"), [(kind, case) for kind, cases in BAD.items() for case in cases])
def test_every_problem_is_found(kind, case):
    settings, message = case
    found = [problem for problem in check(of(**settings), workers=0).problems if problem.kind != "unlabelled_image"]
    assert kind in {problem.kind for problem in found}
    problem = next(problem for problem in found if problem.kind == kind)
    assert problem.image == "a"
    assert re.search(message, problem.message)
    assert {problem.kind for problem in found} <= {kind, "wrong_area"}


def test_outlines_may_be_rounded_and_no_more():
    near = [record(area=120 + 30, bbox=(5, 3, 13, 11)), record(2, area=4, bbox=(0, 0, 2, 2))]
    masks = {"a/1": block(), "a/2": block(0, 0, 2, 2)}
    assert not check(of(masks, near), workers=0).errors
    near[0] = record(area=120 + 41)  # the outline touches 40 pixels
    assert [problem.kind for problem in check(of(masks, near), workers=0).errors] == ["wrong_area"]


def test_a_fault_of_a_file_ends_nothing_and_is_told_once():
    records = [record(), record(2), record(3, "b"), record(4, "c")]
    images = {name: np.full((*SIZE, 3), ord(name), np.uint8) for name in "ac"}
    report = check(of({"c/4": block()}, records, images), workers=0)
    assert kinds(report) == ["unreadable", "unreadable", "unreadable", "unlabelled_image"]
    assert [problem.message for problem in report.errors] == [
        f"{it} cannot be read" for it in ("a_mask.png", "b.png", "b_mask.png")
    ]
    assert (report.checked, report.sizes) == (3, {"32×40": 2})


def test_images_with_the_same_pixels():
    images = {name: np.full((*SIZE, 3), 7, np.uint8) for name in "ab"}
    report = check(of({"a/1": block(), "b/1": block()}, [record(), record(image="b")], images), workers=0)
    assert [problem.message for problem in report.errors] == [
        "drawn: the images 'a' and 'b' have the same pixels. Remove one of them."
    ]


@pytest.fixture
def labelled(tmp_path, ids):
    """`LabelledFolder`s of images a, b, … with instances 1 and 7; `change` gets the entry of a in meta.json."""

    def make(count=2, change=lambda entry: None, extra=None):
        for folder in ("images", "masks"):
            (tmp_path / "s/f" / folder).mkdir(parents=True, exist_ok=True)
        mask = ids.copy()
        mask[0] = 255
        if extra is not None:
            mask[15, :5] = extra
        meta = {}
        for k in range(count):
            name = chr(ord("a") + k)
            Image.fromarray(np.full((*SIZE, 3), k, np.uint8)).save(tmp_path / f"s/f/images/{name}.png")
            Image.fromarray(mask).save(tmp_path / f"s/f/masks/{name}.png")
            boxes = {1: [3, 2, 12, 8], 7: [10, 20, 6, 10]}
            instances = [{"id": i, "cls": "field", "area": b[2] * b[3], "bbox": b} for i, b in boxes.items()]
            meta[name] = {"h": 32, "w": 40, "ignore": 255, "instances": instances}
        change(meta["a"])
        (tmp_path / "s/f/meta.json").write_text(json.dumps(meta))
        return LabelledFolder(tmp_path, "s", "f")

    return make


def test_id_maps_are_counted_exactly(labelled):
    report = check(labelled(), workers=0)
    assert not report.problems
    assert report.ignored == pytest.approx(40 / 1280)
    report = check(labelled(change=lambda entry: entry["instances"][0].update(area=97)), workers=0)
    assert [(problem.kind, problem.instance) for problem in report.problems] == [("wrong_area", "a/1")]
    report = check(labelled(change=lambda entry: entry["instances"][1].update(id=300)), workers=0)
    assert kinds(report) == ["empty_instance", "unlisted_id"]
    report = check(labelled(extra=9), workers=0)
    assert {problem.message.split(":")[1] for problem in report.warnings} == {
        " its mask holds 5 pixels of 9, which its index does not list"
    }
    assert not report.errors
    assert not check(labelled(extra=9).where(min_area=90), workers=0).problems  # a view leaves instances out


def test_id_maps_of_another_size_and_missing_ones(labelled, tmp_path):
    labelled()
    Image.fromarray(np.zeros((32, 41), np.uint8)).save(tmp_path / "s/f/masks/a.png")
    (tmp_path / "s/f/masks/b.png").unlink()
    shutil.copy(tmp_path / "s/f/images/a.png", tmp_path / "s/f/images/z.png")
    report = check(LabelledFolder(tmp_path, "s", "f"), workers=0)
    assert kinds(report) == ["size_mismatch", "unreadable", "unlabelled_image"]
    assert str(tmp_path / "s/f/masks/b.png") in report.errors[1].message


def test_nodata_counts_as_ignored(ids):
    class Mapped(Drawn):
        def read_id_map(self, record):
            nodata = torch.zeros(1, *SIZE, dtype=torch.bool)
            nodata[:, 20:] = True
            return IdMap(torch.from_numpy(ids), None, nodata)

    image = {"a": np.zeros((*SIZE, 3), np.uint8)}
    records = [record(1, area=96, bbox=(3, 2, 12, 8)), record(7, area=60, bbox=(10, 20, 6, 10))]
    found = examine(Mapped(image, {}, records), records)
    assert [(problem.kind, problem.instance) for problem in found.problems] == [("empty_instance", "a/7")]
    assert found.ignored == 12 * 40


def test_limit_draws_images_by_seed(labelled):
    of = labelled(12)
    assert check(of, limit=5, workers=0).checked == 5
    groups = by_image(of)
    drawn = [[records[0].image for records in drawn_images(groups, 5, seed)] for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert drawn[0] == sorted(drawn[0])
    assert drawn_images(groups, 99, 0) == groups
    with pytest.raises(ValueError, match="limit=0 leaves no image to check"):
        check(of, limit=0)


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_worker_processes_find_the_same(labelled, tmp_path):
    before = torch.random.get_rng_state()
    of = labelled(5, lambda entry: entry["instances"][0].update(area=97))
    (tmp_path / "s/f/images/c.png").write_bytes(b"no")
    assert check(of, workers=2) == check(of, workers=0)
    assert torch.equal(before, torch.random.get_rng_state())


def test_polygons_outside_and_twice(tmp_path, written):
    written("images/a.png", np.zeros((*SIZE, 3), np.uint8))
    written("images/b.png", np.ones((*SIZE, 3), np.uint8))
    shapes = [[4, 4, 14, 4, 14, 12, 4, 12], [4, 4, 14, 4, 14, 12, 4, 12], [30, 4, 50, 4, 50, 12, 30, 12], [50, 4, 60, 4, 60, 9]]
    annotations = [{"id": k, "image_id": 1, "category_id": 1, "segmentation": [shape]} for k, shape in enumerate(shapes)]
    images = [{"id": k, "file_name": f"{name}.png", "height": 32, "width": 40} for k, name in enumerate("ba")]
    (tmp_path / "a.json").write_text(json.dumps({"images": images, "annotations": annotations, "categories": []}))
    found = check(CocoInstances(tmp_path / "images", tmp_path / "a.json"), workers=0).problems
    assert [(problem.kind, problem.instance) for problem in found] == [
        ("duplicate_instance", "a.png/1"),
        ("empty_instance", "a.png/3"),
        ("outside_image", "a.png/2"),
        ("outside_image", "a.png/3"),
        ("unlabelled_image", ""),
    ]


def test_a_set_that_cannot_be_opened_tells_every_fault():
    def opening():
        raise DataError("first", "second")

    of, report = open_or_report("ponds", opening)
    assert of is None
    assert [(problem.kind, problem.message) for problem in report.errors] == [
        ("cannot_open", "first"),
        ("cannot_open", "second"),
    ]


def test_bins():
    assert area_bins([0, 1, 3, 4, 15, 16, 255, 256, 10**8]) == {0: 1, 1: 2, 4: 2, 16: 1, 64: 1, 256: 1, 4**13: 1}
    assert gsd_counts([0.5, float("nan"), 0.50001, 0.05]) == {"0.05": 1, "0.5": 2, "unknown": 1}


def test_texts():
    problems = (*(Problem("wrong_area", f"instance {k}") for k in range(5)), Problem("whole_image", "all of it"))
    lines = problem_lines(problems, 3)
    assert lines[0] == "error wrong_area (5): an instance's area is not that of its mask"
    assert lines[4] == "  and 2 more; all in report.json"
    assert lines[5:] == ["warning whole_image (1): an instance covers its whole image", "  all of it"]
    sizes = {f"{k}×{k}": 1 for k in range(1, 20)}
    report = Report("a|b", 30, 9, 20, sizes, {"": 9}, {0: 1, 4: 8}, {"unknown": 30}, 0.25, problems)
    text = markdown([report, Report("good")])
    for part in (
        "a\\|b | 30 | 9 | 25.00 % | 5 | 1",
        "20 of 30 images",
        "| other | 7 |",
        "(no class)",
        "| 4 to 15 | 8 |",
        "No problem.",
    ):
        assert part in text
    values = report.as_dict()
    assert json.loads(json.dumps(values))["problems"][0] == {
        "level": "error",
        "kind": "wrong_area",
        "message": "instance 0",
        "image": "",
        "instance": "",
    }
    assert (values["errors"], values["warnings"]) == (5, 1)
    assert set(BAD) | {"cannot_open", "duplicate_image", "unlabelled_image", "unlisted_id"} == set(KINDS)
