"""Broken and hostile files: a `DataError` that names the file, or a correct reading; no other error, no runaway memory."""

import json
import os
import resource
import struct
import sys
import zlib
from contextlib import contextmanager
from copy import deepcopy

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from pycocotools import mask as codec

from vfm_isrefiner.data.coco import CocoInstances
from vfm_isrefiner.data.coco_masks import counts_of
from vfm_isrefiner.data.errors import DataError
from vfm_isrefiner.data.folder import FolderInstances
from vfm_isrefiner.data.isaid import ISAID
from vfm_isrefiner.data.labelled_folder import LabelledFolder
from vfm_isrefiner.data.pictures import MAX_PIXELS, read_ids, read_picture, read_size

READERS = (read_picture, read_ids, read_size)
SUFFIX = {"PNG": ".png", "JPEG": ".jpg", "BMP": ".bmp", "TIFF": ".tif"}
FORMS = {
    "rgb.png": ("PNG", "RGB", {}),
    "grey.png": ("PNG", "L", {}),
    "palette.png": ("PNG", "P", {}),
    "deep.png": ("PNG", "I;16", {}),
    "rgb.jpg": ("JPEG", "RGB", {}),
    "rgb.bmp": ("BMP", "RGB", {}),
    "plain.tif": ("TIFF", "L", {}),
    "deflated.tif": ("TIFF", "RGB", {"compression": "tiff_adobe_deflate"}),
    "lzw.tif": ("TIFF", "I;16", {"compression": "tiff_lzw"}),
}
quick = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)


def drawn(mode):
    values = np.random.default_rng(1).integers(0, 256, (24, 31, 3)).astype(np.uint8)
    if mode == "I;16":
        return Image.fromarray(values[..., 0].astype(np.uint16) * 200)
    return Image.fromarray(values).convert(mode)


@contextmanager
def within(megabytes):
    """No more than that much further address space may be asked for."""
    if not sys.platform.startswith("linux"):
        pytest.skip("needs /proc and RLIMIT_AS")
    with open("/proc/self/statm") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + megabytes * 2**20, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def read_or_told(path):
    """What each reader gives; None where it says what is wrong with `path`."""
    found, told = [], []
    for read in READERS:
        try:
            found.append(read(path))
        except DataError as error:
            found.append(None)
            told.append(str(error))
    assert all(str(path) in message for message in told)
    return found


@pytest.mark.parametrize("form", FORMS)
@given(data=st.data())
@quick
def test_damaged_pictures(tmp_path, form, data):
    path = tmp_path / form
    kind, mode, options = FORMS[form]
    drawn(mode).save(path, format=kind, **options)
    content = bytearray(path.read_bytes())
    if data.draw(st.booleans(), "cut"):
        content = content[: data.draw(st.integers(0, len(content) - 1), "length")]
    for _ in range(data.draw(st.integers(0, 4), "changes") if content else 0):
        # headers are worth more tries than pixels
        place = data.draw(st.one_of(st.integers(0, min(80, len(content) - 1)), st.integers(0, len(content) - 1)))
        content[place] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    with within(500):
        picture, ids, size = read_or_told(path)
    if picture is not None and size is not None:
        assert tuple(picture.image.shape[1:]) == size
    assert ids is None or ids.ndim == 2


@pytest.mark.parametrize("form", FORMS)
def test_cut_off_pictures_are_never_read(tmp_path, form):
    path = tmp_path / form
    kind, mode, options = FORMS[form]
    drawn(mode).save(path, format=kind, **options)
    content = path.read_bytes()
    for part in (0, 0.02, 0.3, 0.6, 0.8):
        path.write_bytes(content[: int(part * len(content))])
        picture, ids, _ = read_or_told(path)
        assert picture is None, part
        assert ids is None, part


def png(width, height, pixels=b"", depth=8, colour=2):
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b"")


def tiff(width, height, bands=1):
    tags = [(256, width), (257, height), (258, 8), (259, 1), (262, 1), (273, 8), (277, bands), (278, height), (279, 16)]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + entries + struct.pack("<I", 0) + bytes(16)


# The rows per strip stay behind: GDAL takes the strips that are not there for empty ones.
@pytest.mark.parametrize("read", [read_picture, read_ids])
def test_strips_that_are_not_there_take_no_memory(tmp_path, read):
    path = tmp_path / "a.tif"
    drawn("L").save(path)
    content = path.read_bytes()
    for order in "<>":
        length = struct.pack(f"{order}HHI", 257, 4, 1)
        content = content.replace(length + struct.pack(f"{order}I", 24), length + struct.pack(f"{order}I", 8_000_000))
    path.write_bytes(content)
    assert read_size(path) == (8_000_000, 31)
    with pytest.raises(DataError, match=r"a\.tif cannot be read as an image .* bytes cannot hold 8000000×31 pixels"):
        read(path)


SIDES = ((2**31 - 1, 2**31 - 1), (65_000, 65_000), (2**31 - 1, 1), (16_384, 16_384), (16_000, 16_000))


@pytest.mark.parametrize("size", SIDES, ids=str)
@pytest.mark.parametrize("name", ["a.png", "deep.png", "a.tif", "bands.tif"])
def test_huge_declared_sizes_take_no_memory(tmp_path, name, size):
    path = tmp_path / name
    forms = {
        "a.png": png(*size),
        "deep.png": png(*size, depth=16, colour=0),
        "a.tif": tiff(*size),
        "bands.tif": tiff(*size, 60),
    }
    path.write_bytes(forms[name])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    picture, ids, _ = read_or_told(path)
    assert picture is ids is None
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 400 * 1024


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_limits_are_told(tmp_path):
    path = tmp_path / "a.png"
    for size, message in (
        (
            (20_000, 15_000),
            r"a\.png is too large to be decoded whole .15000×20000 pixels, height×width.; 268,435,456 pixels are",
        ),
        ((30_000, 20_000), r"a\.png is too large to be decoded whole .Image size"),
        ((16_000, 16_000), r"a\.png cannot be read as an image .* bytes cannot hold 16000×16000 pixels"),
    ):
        path.write_bytes(png(*size))
        with pytest.raises(DataError, match=message):
            read_picture(path)
    path.write_bytes(png(8_000, 13_000, bytes(13_000 * 1_001), depth=1, colour=0))  # as well packed as deflate can
    assert read_ids(path).shape == (13_000, 8_000)
    assert MAX_PIXELS > 13_000**2


def test_names_that_are_no_files(tmp_path):
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    (tmp_path / "a.tif").symlink_to(tmp_path / "b.tif")
    (tmp_path / "b.tif").symlink_to(tmp_path / "a.tif")
    for name in ("folder.png", "folder.tif"):
        (tmp_path / name).mkdir()
    for name in ("empty.png", "empty.tif", "empty.jpg"):
        (tmp_path / name).touch()
    for path in tmp_path.iterdir():
        assert read_or_told(path) == [None, None, None], path


@pytest.mark.parametrize("form", ["GIF", "WEBP", "TIFF", "BMP", "JPEG"])
def test_other_formats_under_the_name_of_png(tmp_path, form):
    image = drawn("RGB")
    image.save(tmp_path / "a.png", format=form)
    picture, _, size = read_or_told(tmp_path / "a.png")
    assert size == (24, 31)
    with Image.open(tmp_path / "a.png") as file:
        assert np.array_equal(picture.image.numpy(), np.array(file.convert("RGB")).transpose(2, 0, 1))


def test_formats_that_are_not_read_under_the_name_of_png(tmp_path):
    path = tmp_path / "a.png"
    heic = struct.pack(">I", 24) + b"ftypheic" + bytes(12)
    for content in (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", heic, b"<svg/>", b"P6 4 4 255 " + bytes(48)):
        path.write_bytes(content)
        assert read_or_told(path) == [None, None, None]


def folder_with(tmp_path, of):
    for name in ("images", "masks"):
        (tmp_path / name).mkdir(exist_ok=True)
    drawn("RGB").save(tmp_path / "images" / "a.png")
    Image.fromarray(np.eye(24, 31, dtype=np.uint8)).save(tmp_path / "masks" / "a.png")
    of(tmp_path)
    return FolderInstances(tmp_path / "images", tmp_path / "masks")


@pytest.mark.parametrize(
    "fault",
    [
        lambda at: (at / "images" / "b.png").symlink_to(at / "images" / "b.png"),
        lambda at: (at / "masks" / "b.png").mkdir(),
        lambda at: ((at / "images" / "b.png").touch(), (at / "masks" / "b.png").touch()),
        lambda at: (at / "masks" / "a.png").write_bytes(png(2**31 - 1, 2**31 - 1)),
    ],
)
def test_folders_with_odd_entries(tmp_path, fault):
    with pytest.raises(DataError, match=r"[ab]\.png"):
        folder_with(tmp_path, fault)


def test_symlink_loops_of_folders_end(tmp_path):
    images = tmp_path / "val" / "images"
    images.mkdir(parents=True)
    (images / "again").symlink_to(images)
    drawn("RGB").save(images / "P1.png")
    with pytest.raises(DataError, match=r"P1\.png has no P1_instance_id_RGB\.png"):
        ISAID(tmp_path)


def coco(width=40, height=32):
    square = [4.0, 4.0, 14.0, 4.0, 14.0, 12.0, 4.0, 12.0]
    common = {"image_id": 1, "category_id": 1, "iscrowd": 0}
    return {
        "images": [{"id": 1, "file_name": "a.png", "height": height, "width": width}],
        "categories": [{"id": 1, "name": "ship"}],
        "annotations": [
            {"id": 1, "segmentation": [square], "area": 80, "bbox": [4, 4, 10, 8], **common},
            {
                "id": 2,
                "segmentation": {"size": [32, 40], "counts": [100, 50, 1130]},
                "area": 50,
                "bbox": [3, 4, 2, 30],
                **common,
            },
            {"id": 3, "segmentation": [square], **common},
        ],
    }


def meta():
    box = {"id": 1, "cls": "ship", "area": 80, "bbox": [4, 4, 10, 8]}
    return {"a": {"h": 32, "w": 40, "ignore": 255, "instances": [box, {**box, "id": 2}]}}


@pytest.fixture
def opened(tmp_path):
    """Writes a JSON, opens its set and reads it: what each instance gave, None where a `DataError` said why not."""
    for folder in ("images", "s/f/images", "s/f/masks"):
        (tmp_path / folder).mkdir(parents=True)
    drawn("RGB").resize((40, 32)).save(tmp_path / "images" / "a.png")
    drawn("RGB").resize((40, 32)).save(tmp_path / "s/f/images" / "a.png")
    Image.fromarray(np.eye(32, 40, dtype=np.uint8)).save(tmp_path / "s/f/masks" / "a.png")

    def read(content, kind=CocoInstances):
        text = content if isinstance(content, str) else json.dumps(content)
        path = tmp_path / ("a.json" if kind is CocoInstances else "s/f/meta.json")
        path.write_text(text)
        try:
            of = CocoInstances(tmp_path / "images", path) if kind is CocoInstances else LabelledFolder(tmp_path, "s", "f")
        except DataError:
            return []
        found = []
        for index in range(len(of)):
            try:
                found.append(of[index])
            except DataError:
                found.append(None)
        of.fingerprint()
        of.where(categories=["ship"]) if any(record.category == "ship" for record in of.records) else None
        return found

    return read


WRONG = [
    *(None, True, "7", "", "a\0b", "x" * 5000, "\ud800", -1, 0, 7, 1.5, 2**40, 10**30, 1e308, float("nan"), float("inf")),
    *([], {}, [[]], [1], ["a"] * 4, [None] * 6, [float("nan")] * 8, [-(10**12), 10**12] * 4),
    *({"size": [32, 40]}, {"counts": "~~~"}),
]


def places(value, at=()):
    """Paths to everything below `value`."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield (*at, key)
        yield from places(child, (*at, key))


def changed(content, at, value):
    place = content
    for key in at[:-1]:
        place = place[key]
    place[at[-1]] = value
    return content


@pytest.mark.parametrize("kind", [CocoInstances, LabelledFolder])
def test_wrong_types_everywhere(opened, kind):
    original = coco() if kind is CocoInstances else meta()
    rng = np.random.default_rng(0)
    for at in places(original):
        for value in (WRONG[k] for k in rng.choice(len(WRONG), 9, replace=False)):
            with within(500):
                opened(changed(deepcopy(original), at, value), kind)


@pytest.mark.parametrize("kind", [CocoInstances, LabelledFolder])
@pytest.mark.parametrize("text", ["", "{", "null", "[" * 200_000, '{"images": ' * 50_000, "1" * 6_000, "\x00", '{"a": 1e999}'])
def test_broken_json(opened, kind, text):
    assert opened(text, kind) == []


LETTERS = "0123456789PQRSTUVWXYZ`abcdefghijklmno"  # some of those that run lengths are written in


@given(text=st.one_of(st.text(LETTERS, max_size=30), st.sampled_from(["", "o" * 40, "é", "\0", "  ", "~~~", "\ud800"])))
@settings(quick, max_examples=60)
def test_garbage_run_lengths(opened, text):
    content = coco()
    content["annotations"][1]["segmentation"] = {"size": [32, 40], "counts": text}
    with within(500):
        found = opened(content)
    if found and found[1] is not None:
        assert int(counts_of(text).sum()) == 32 * 40
        assert int(found[1].mask.sum()) == int(counts_of(text)[1::2].sum())


@given(counts=st.lists(st.one_of(st.integers(-(2**33), 2**33), st.sampled_from([0, 1280, 640, 1.0, "3", None])), max_size=5))
@quick
def test_garbage_counts(opened, counts):
    content = coco()
    content["annotations"][1]["segmentation"] = {"size": [32, 40], "counts": counts}
    with within(500):
        opened(content)


@given(mask=st.integers(0, 2**32 - 1), size=st.tuples(st.integers(1, 60), st.integers(1, 60)))
@quick
def test_run_lengths_are_read_as_pycocotools_writes_them(mask, size):
    rng = np.random.default_rng(mask)
    pixels = np.asfortranarray(rng.random(size) < rng.choice([0, 0.01, 0.5, 0.99, 1])).astype(np.uint8)
    counts = counts_of(codec.encode(np.asfortranarray(pixels))["counts"])
    values = np.repeat(np.arange(len(counts)) % 2, counts)
    assert np.array_equal(values.reshape(size, order="F"), pixels)


POLYGONS = {
    "a corner that is no finite number": [[1.0, 1.0, float("nan"), 5.0, 9.0, 9.0]],
    "a corner far outside": [[1.0, 1.0, 1e9, 5.0, 9.0, 9.0]],
    "an outline of": [[0.0, 0.0, 40.0, 32.0] * 40_000],
    "has no polygon of three points": [[1.0, 1.0, 5.0, 5.0, 9.0]],
    "could not convert": [["a"] * 6],
}


@pytest.mark.parametrize("told", POLYGONS)
def test_polygons_that_cannot_be_drawn(tmp_path, opened, told):
    content = coco()
    content["annotations"][2]["segmentation"] = POLYGONS[told]
    opened(content)
    with within(500), pytest.raises(DataError, match=f"annotation 3 .*{told}"):
        CocoInstances(tmp_path / "images", tmp_path / "a.json")


def test_polygons_partly_outside_are_cut(opened):
    content = coco()
    content["annotations"][2]["segmentation"] = [[-6.0, 4.0, 14.0, 4.0, 14.0, 40.0, -6.0, 40.0]]
    assert int(opened(content)[2].mask.sum()) == 14 * 28


@pytest.mark.parametrize(("width", "height"), [(10**6, 10**6), (-40, -32), (0, 32), (16_000, 16_000)])
def test_sizes_that_only_the_json_states(opened, width, height):
    content = coco(width, height)
    content["annotations"][1:2] = []
    with within(500):
        assert not any(opened(content))


def test_every_fault_of_opening_is_collected(tmp_path, opened):
    content = coco()
    content["images"] += [{"id": 2, "file_name": "b.png", "height": 9, "width": 9}]
    content["annotations"] += [
        {**content["annotations"][0], "id": 4, "image_id": 2},
        {**content["annotations"][0], "image_id": 9},
    ]
    content["annotations"][2]["segmentation"] = []
    opened(content)
    with pytest.raises(DataError, match=r"annotation 3 has no polygon.*2 more such faults; `isrefiner data check`") as caught:
        CocoInstances(tmp_path / "images", tmp_path / "a.json")
    assert [word in fault for word, fault in zip(("annotation 3", "b.png", "image 9"), caught.value.faults, strict=True)]
    (tmp_path / "s/f/meta.json").write_text(json.dumps({"a": {}, **meta(), "c": {}, "b": []}))
    with pytest.raises(DataError, match="the entry of image 'b'") as caught:
        LabelledFolder(tmp_path, "s", "f")
    assert len(caught.value.faults) == 4  # two entries, and two images that are not there
    assert os.listdir(tmp_path / "s/f/images") == ["a.png"]
