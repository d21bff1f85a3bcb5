"""Miniatures of the published sets: the same folders, names, formats and colours, 32 to 64 pixels a side.

    python tests/miniatures.py DIR

writes all of them below DIR. Each function writes one set to `root` and gives what is true of it: `Truth` by (split, image,
instance), with images and instances named as the readers name them. The same bytes whenever it runs.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import rasterio
from numpy.typing import NDArray
from PIL import Image
from rasterio import Affine


@dataclass(frozen=True)
class Truth:
    """Pixels and class of one instance."""

    area: int
    category: str


Truths = dict[tuple[str, str, int], Truth]


@dataclass(frozen=True)
class Block:
    """A rectangle of pixels: rows and columns `stop` exclusive. Of blocks that overlap, the later one is seen."""

    rows: tuple[int, int]
    columns: tuple[int, int]

    def draw(self, on: NDArray, value: object) -> None:
        on[slice(*self.rows), slice(*self.columns)] = value

    @property
    def area(self) -> int:
        return (self.rows[1] - self.rows[0]) * (self.columns[1] - self.columns[0])


def write_all(folder: Path) -> None:
    """Every set in a folder of its name."""
    for make in (isaid, isaid_coco, potsdam, loveda, nwpu, whu, whu_satellite, sandbar, authors_patches):
        make(Path(folder) / make.__name__)


def isaid(root: Path) -> Truths:
    """iSAID as its archives unpack: `images/images`, `Instance_masks/images`, `Semantic_masks/images`."""
    truths: Truths = {}
    for split, name, size, objects in ISAID_IMAGES:
        instance, semantic = _isaid_masks(size, objects)
        _png(root / split / "images" / "images" / f"{name}.png", _photo(size, name))
        _png(root / split / "Instance_masks" / "images" / f"{name}_instance_id_RGB.png", instance)
        _png(root / split / "Semantic_masks" / "images" / f"{name}_instance_color_RGB.png", semantic)
        truths |= {(split, name, number): Truth(block.area, category) for number, category, _, block in objects}
    return truths


def isaid_coco(root: Path) -> Truths:
    """Patches as the official devkit cuts them, masks beside the images, with its COCO files of contours."""
    truths: Truths = {}
    for split in ("train", "val"):
        images, annotations = [], []
        for _, scene, size, objects in (each for each in ISAID_IMAGES if each[0] == split):
            name = f"{scene}_0_{size[0]}_0_{size[1]}"
            instance, semantic = _isaid_masks(size, objects)
            for suffix, pixels in (
                ("", _photo(size, name)),
                ("_instance_id_RGB", instance),
                ("_instance_color_RGB", semantic),
            ):
                _png(root / split / "images" / f"{name}{suffix}.png", pixels)
            images.append({"id": len(images), "file_name": f"{name}.png", "height": size[0], "width": size[1]})
            for _, category, _, block in objects:
                annotation = _contour(len(annotations), images[-1]["id"], block)
                annotations.append(annotation | {"category_id": ISAID_COCO.index(category) + 1, "category_name": category})
                truths[split, f"{name}.png", annotation["id"]] = Truth(block.area, category)
        categories = [{"id": number, "name": name} for number, name in enumerate(ISAID_COCO, 1)]
        content = {"images": images, "categories": categories, "annotations": annotations}
        _json(root / split / f"instancesonly_filtered_{split}.json", content)
    return truths


def potsdam(root: Path) -> Truths:
    """All 38 tiles in the three band combinations, labels with and without boundaries. Tiles 4_12 and 6_7 have the faults of
    the published ones: the first was compressed with losses, the second has its cars in another yellow."""
    truths: Truths = {}
    size = (32, 40)
    for split, tiles in POTSDAM_TILES.items():
        for tile in tiles:
            name = f"top_potsdam_{tile}"
            shift = sum(map(int, tile.split("_"))) % 5
            blocks = {
                1: ("building", Block((2, 10 + shift), (3, 13))),
                2: ("building", Block((18, 30), (20, 36 - shift))),
                3: ("car", Block((4, 8), (24, 30 + shift))),
            }
            label = np.full((*size, 3), POTSDAM["impervious"], np.uint8)
            label[12:16, :20] = POTSDAM["low_vegetation"]
            label[20:28, :10] = POTSDAM["tree"]
            label[30:, :6] = POTSDAM["clutter"]
            inner = label.copy()
            for category, block in blocks.values():
                block.draw(label, POTSDAM[category])
                block.draw(inner, POTSDAM[category])
                edge = _edge(block, size)
                inner[edge] = 0
            truths |= {(split, name, number): Truth(block.area, category) for number, (category, block) in blocks.items()}
            if tile == "6_7":
                label[(label == POTSDAM["car"]).all(-1)] = (252, 255, 0)
            if tile == "4_12":
                noise = np.random.default_rng(412).integers(0, 35, label.shape)
                label = np.where(label > 127, 255 - noise, noise).astype(np.uint8)
            red, green, blue, infrared = (_photo(size, f"{name}{band}")[..., 0] for band in "rgbi")
            for folder, suffix, bands in (
                ("2_Ortho_RGB", "RGB", (red, green, blue)),
                ("3_Ortho_IRRG", "IRRG", (infrared, red, green)),
                ("4_Ortho_RGBIR", "RGBIR", (red, green, blue, infrared)),
            ):
                _geotiff(root / folder / f"{name}_{suffix}.tif", np.stack(bands), 0.05)
            _geotiff(root / "5_Labels_all" / f"{name}_label.tif", label.transpose(2, 0, 1), 0.05)
            _geotiff(root / "5_Labels_all_noBoundary" / f"{name}_label_noBoundary.tif", inner.transpose(2, 0, 1), 0.05)
    return truths


def loveda(root: Path) -> Truths:
    """`Train|Val|Test/Urban|Rural/images_png`, `masks_png` (none in Test); 0 is no-data, 2 is building."""
    truths: Truths = {}
    size = (48, 48)
    for split, scene, number in LOVEDA_IMAGES:
        folder = root / split.capitalize() / scene
        _png(folder / "images_png" / f"{number}.png", _photo(size, f"loveda{number}"))
        if split == "test":
            continue
        mask = np.ones(size, np.uint8)
        mask[:, 40:] = 3  # road
        mask[30:, :12] = 7  # agriculture
        mask[:6] = 0  # no-data
        first, second = Block((8, 20), (4, 16 + number % 3)), Block((24, 40), (20, 34))
        for block in (first, second):
            block.draw(mask, 2)
        mask[20, 16 + number % 3] = 2  # touches the first by a corner: one region
        _png(folder / "masks_png" / f"{number}.png", mask)
        name = f"{scene}/{number}"
        truths[split, name, 1] = Truth(first.area + 1, "building")
        truths[split, name, 2] = Truth(second.area, "building")
    return truths


def nwpu(root: Path) -> Truths:
    """NWPU VHR-10 with the annotations of all positive images and with a train/val split of them."""
    truths: Truths = {}
    folder, size = root / "NWPU VHR-10 dataset", (40, 48)
    images, annotations = [], []
    for number in range(1, 5):
        name = f"{number:03d}.jpg"
        _jpeg(folder / "positive image set" / name, _photo(size, f"nwpu{number}"))
        images.append({"id": number - 1, "file_name": name, "height": size[0], "width": size[1]})
        for category, block in ((1, Block((4, 14), (5, 15 + number))), (8, Block((20, 36), (8, 40)))):
            annotation = _rectangle(len(annotations), number - 1, block) | {"category_id": category}
            annotations.append(annotation)
            truth = Truth(block.area, NWPU[category - 1])
            for split in ("positive", "train" if number < 4 else "val"):
                truths[split, name, annotation["id"]] = truth
    _jpeg(folder / "negative image set" / "001.jpg", _photo(size, "nwpu negative"))
    categories = [{"id": number, "name": name} for number, name in enumerate(NWPU, 1)]
    _json(folder / "annotations.json", {"images": images, "categories": categories, "annotations": annotations})
    for split, some in (("train", images[:3]), ("val", images[3:])):
        chosen = {image["id"] for image in some}
        part = [annotation for annotation in annotations if annotation["image_id"] in chosen]
        content = {"images": some, "categories": categories, "annotations": part}
        _json(root / "annotations" / f"NWPU_instances_{split}.json", content)
    return truths


def whu(root: Path) -> Truths:
    """The aerial tiles of WHU Building: `train|val|test/image`, `label` below the archive's folder."""
    return _whu_splits(root / "3. The cropped image tiles and raster labels", ("train", "val", "test"))


def whu_satellite(root: Path) -> Truths:
    """Both satellite sets of WHU Building; the instances of the global cities are of split ""."""
    east = root / "Satellite dataset Ⅱ (East Asia)" / "1. The cropped image data and raster labels"
    truths = _whu_splits(east, ("train", "test"))
    return truths | _whu_splits(root / "Satellite dataset Ⅰ (global cities)", ("",))


def sandbar(root: Path) -> Truths:
    """SandBar in COCO form: `images/<split>` and `annotations/instances_<split>.json`."""
    truths: Truths = {}
    size = (48, 48)
    for split in ("train", "val"):
        images, annotations = [], []
        for number in range(2):
            name = f"{split}_{number}.png"
            _png(root / "images" / split / name, _photo(size, name))
            images.append({"id": number + 1, "file_name": name, "height": size[0], "width": size[1]})
            block = Block((10, 30 + number), (6, 40))
            annotations.append(_rectangle(number + 1, number + 1, block) | {"category_id": 1})
            truths[split, name, number + 1] = Truth(block.area, "sandbar")
        content = {"images": images, "categories": [{"id": 1, "name": "sandbar"}], "annotations": annotations}
        _json(root / "annotations" / f"instances_{split}.json", content)
    return truths


def authors_patches(root: Path) -> dict[str, Truths]:
    """The authors' patches, each set in a folder of its name; the truths by set."""
    size, truths = (40, 40), {}
    for set_name, (split, images, masks, suffix) in AUTHORS.items():
        truths[set_name] = {}
        for patch in ("a_0", "a_1"):
            objects = [
                (256, "ship", (0, 0, 63), Block((3, 12), (4, 20))),
                (2**24 - 1, "plane", (0, 127, 255), Block((18, 34), (8, 30))),
            ]
            ids, semantic = _isaid_masks(size, objects)
            _png(root / set_name / images / f"{patch}.png", _photo(size, f"{set_name}{patch}"))
            _png(root / set_name / masks / f"{patch}{suffix}.png", ids)
            if set_name == "isaid":
                _png(root / set_name / split / "Semantic_masks" / f"{patch}_instance_color_RGB.png", semantic)
            for number, category, _, block in objects:
                shown = category if set_name == "isaid" else AUTHORS_CATEGORY.get(set_name, "")
                truths[set_name][split, patch, number] = Truth(block.area, shown)
    return truths


ISAID_IMAGES = (
    (
        "train",
        "P0000",
        (60, 64),
        (
            (1, "ship", (0, 0, 63), Block((3, 9), (2, 12))),
            (2**24 - 1, "harbor", (0, 100, 155), Block((20, 50), (10, 60))),
            (256, "small_vehicle", (0, 0, 127), Block((4, 8), (30, 36))),
        ),
    ),
    ("train", "P0002", (40, 40), ((65536, "plane", (0, 127, 255), Block((5, 35), (5, 30))),)),
    (
        "val",
        "P0003",
        (64, 48),
        (
            (65537, "tennis_court", (0, 63, 127), Block((10, 30), (6, 40))),
            (5, "swimming_pool", (0, 0, 255), Block((40, 60), (20, 44))),
        ),
    ),
)
ISAID_COCO = ("ship", "harbor", "small_vehicle", "plane", "tennis_court", "swimming_pool")

POTSDAM = {
    "impervious": (255, 255, 255),
    "building": (0, 0, 255),
    "low_vegetation": (0, 255, 255),
    "tree": (0, 255, 0),
    "car": (255, 255, 0),
    "clutter": (255, 0, 0),
}
POTSDAM_TILES = {
    "train": (
        *("2_10", "2_11", "2_12", "3_10", "3_11", "3_12", "4_10", "4_11", "4_12", "5_10", "5_11", "5_12"),
        *("6_7", "6_8", "6_9", "6_10", "6_11", "6_12", "7_7", "7_8", "7_9", "7_10", "7_11", "7_12"),
    ),
    "test": (
        *("2_13", "2_14", "3_13", "3_14", "4_13", "4_14", "4_15", "5_13", "5_14", "5_15", "6_13", "6_14", "6_15", "7_13"),
    ),
}
LOVEDA_IMAGES = (
    ("train", "Rural", 0),
    ("train", "Urban", 1366),
    ("train", "Urban", 1367),
    ("val", "Rural", 2522),
    ("val", "Urban", 3514),
    ("test", "Urban", 5167),
)
NWPU = (
    *("airplane", "ship", "storage tank", "baseball diamond", "tennis court"),
    *("basketball court", "ground track field", "harbor", "bridge", "vehicle"),
)
# set: split, folder of images, folder of masks, what mask names have more
AUTHORS = {
    "isaid": ("val", "val/images", "val/Instance_masks", "_instance_id_RGB"),
    "potsdam": ("train_rgb", "img_dir/train_rgb", "ann_dir/train_rgb", ""),
    "loveda": ("", "images_crop", "masks_crop", ""),
    "nwpu": ("", "img_dir_png", "ann_dir_rgb", ""),
    "whu": ("", "image_use", "label_use", ""),
    "sandbar": ("new_val", "images/new_val", "masks/new_val", ""),
}
AUTHORS_CATEGORY = {"loveda": "building", "whu": "building", "sandbar": "sandbar"}


def _whu_splits(folder: Path, splits: Iterable[str]) -> Truths:
    truths: Truths = {}
    size = (32, 32)
    for split in splits:
        for number in (1, 2):
            label = np.zeros(size, np.uint8)
            blocks = Block((2, 12), (3, 11 + number)), Block((16, 30), (14, 31))
            for place, block in enumerate(blocks, 1):
                block.draw(label, 255)
                truths[split, str(number), place] = Truth(block.area, "building")
            _tiff(folder / split / "image" / f"{number}.tif", _photo(size, f"whu{split}{number}"))
            _tiff(folder / split / "label" / f"{number}.tif", label)
        _tiff(folder / split / "image" / "3.tif", _photo(size, f"whu{split}3"))
        _tiff(folder / split / "label" / "3.tif", np.zeros(size, np.uint8))  # a tile without buildings
    return truths


def _isaid_masks(size: tuple[int, int], objects: Iterable[tuple]) -> tuple[NDArray, NDArray]:
    """Instance ids as 24-bit colours, R + 256 G + 65536 B, and class colours."""
    instance, semantic = np.zeros((2, *size, 3), np.uint8)
    for number, _, colour, block in objects:
        block.draw(instance, (number & 255, number >> 8 & 255, number >> 16))
        block.draw(semantic, colour)
    return instance, semantic


def _edge(block: Block, size: tuple[int, int]) -> NDArray:
    """The pixels just outside of a block."""
    mask = np.zeros(size, np.uint8)
    block.draw(mask, 1)
    return (cv2.dilate(mask, np.ones((3, 3), np.uint8)) - mask).astype(bool)


def _contour(number: int, image: int, block: Block) -> dict:
    """A polygon through the centres of the outermost pixels, as the devkit's contours are; the area counts pixels."""
    (top, bottom), (left, right) = block.rows, block.columns
    polygon = [left, top, left, bottom - 1, right - 1, bottom - 1, right - 1, top]
    box = [float(left), float(top), float(right - left), float(bottom - top)]
    return {
        "id": number,
        "image_id": image,
        "segmentation": [polygon],
        "iscrowd": 0,
        "area": block.area,
        "bbox": box,
    }


def _rectangle(number: int, image: int, block: Block) -> dict:
    """A polygon along the outline of a block."""
    (top, bottom), (left, right) = block.rows, block.columns
    polygon = [left, top, right, top, right, bottom, left, bottom]
    return {
        "id": number,
        "image_id": image,
        "segmentation": [[float(value) for value in polygon]],
        "iscrowd": 0,
        "area": float(block.area),
        "bbox": [left, top, right - left, bottom - top],
    }


def _photo(size: tuple[int, int], name: str) -> NDArray:
    """Noise of a mean colour, both from `name`; (H, W, 3) uint8."""
    generator = np.random.default_rng(list(name.encode()))
    return (generator.integers(40, 160, 3) + generator.integers(0, 60, (*size, 3))).astype(np.uint8)


def _png(path: Path, pixels: NDArray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


_tiff = _png  # by the ending of the name


def _jpeg(path: Path, pixels: NDArray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, quality=95)


def _geotiff(path: Path, bands: NDArray, gsd: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    count, height, width = bands.shape
    place = Affine(gsd, 0.0, 366_976.7, 0.0, -gsd, 5_808_000.0)
    shape = {"count": count, "height": height, "width": width, "dtype": "uint8"}
    with rasterio.open(path, "w", driver="GTiff", crs="EPSG:32633", transform=place, compress="lzw", **shape) as file:
        file.write(bands)


def _json(path: Path, content: dict) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


if __name__ == "__main__":
    write_all(Path(sys.argv[1]))
