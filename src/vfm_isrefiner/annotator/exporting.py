"""All accepted objects of a scene as one file to take away."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np

from vfm_isrefiner.annotator.accepted import Accepted
from vfm_isrefiner.annotator.scene import AnnotatedScene
from vfm_isrefiner.batch.finished import Finished
from vfm_isrefiner.batch.output import Outcome, write_outcome
from vfm_isrefiner.geo.prompt_layer import PromptLayer, PromptObject
from vfm_isrefiner.geo.rasterise import draw

Format = Literal["gpkg", "geojson", "shp", "coco", "tif"]
SUFFIX = {"gpkg": ".gpkg", "geojson": ".geojson", "shp": ".shp", "coco": ".json", "tif": ".tif"}
PIECE = 2**18  # bytes sent at a time
NAMELESS = "unlabelled"  # a category of COCO must have a name
ZIPPED = ("shp", "tif")
MEDIA = {
    ".gpkg": "application/geopackage+sqlite3",
    ".geojson": "application/geo+json",
    ".json": "application/json",
    ".zip": "application/zip",
}


@dataclass(frozen=True)
class Exported:
    """A file that is open and has no name any more: it goes when it is closed, whoever stops reading.

    name, media, size: what to call it, its media type, its bytes.
    """

    name: str
    media: str
    size: int
    file: BinaryIO

    def pieces(self) -> Iterator[bytes]:
        """Its content."""
        with self.file:
            while piece := self.file.read(PIECE):
                yield piece


def exported(scene: AnnotatedScene, format: Format) -> Exported:
    """The file, with the scene's name.

    Raises:
        OSError: it cannot be written.
    """
    folder = Path(tempfile.mkdtemp(prefix="isrefiner-export-"))
    try:
        written = folder / "parts" / f"{scene.path.stem}{SUFFIX[format]}"
        write_outcome(outcome_of(scene, NAMELESS if format == "coco" else ""), written, "objects", "label")
        if format not in ZIPPED:
            return _opened(written)
        archive = folder / f"{scene.path.stem}_{format}.zip"
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
            for part in sorted(written.parent.iterdir()):
                file.write(part, part.name)
        return _opened(archive)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _opened(path: Path) -> Exported:
    return Exported(path.name, MEDIA[path.suffix], path.stat().st_size, path.open("rb"))


def outcome_of(scene: AnnotatedScene, nameless: str = "") -> Outcome:
    """The accepted objects as `write_outcome` takes them; `nameless` is the label of those that have none."""
    objects = scene.store.objects()
    attributes = {
        "object": np.array([one.id for one in objects], np.int64),
        "label": np.array([one.label or nameless for one in objects], object),
        "author": np.array([one.author for one in objects], object),
        "version": np.array([one.version for one in objects], np.int64),
        "created": np.array([one.created for one in objects], object),
        "changed": np.array([one.changed for one in objects], object),
    }
    nothing = np.zeros((0, 2)), np.zeros(0, bool)
    prompts = tuple(PromptObject(str(one.id), row, *nothing) for row, one in enumerate(objects))
    layer = PromptLayer(prompts, attributes, "object")
    return Outcome(scene.path.name, scene.grid, layer, [_finished(one, scene.size) for one in objects])


def _finished(one: Accepted, size: tuple[int, int]) -> Finished:
    drawn = draw(one.outline, (slice(0, size[0]), slice(0, size[1])))
    if drawn is None:
        return Finished(str(one.id), (0, 0), (0, 0), "", one.score, len(one.clicks))
    return Finished.of(str(one.id), drawn.mask, (drawn.bbox[1], drawn.bbox[0]), one.score, len(one.clicks))
