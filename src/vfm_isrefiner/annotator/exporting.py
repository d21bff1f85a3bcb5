"""All accepted objects of a scene as one file to take away."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from vfm_isrefiner.annotator.accepted import Accepted
from vfm_isrefiner.annotator.scene import AnnotatedScene
from vfm_isrefiner.batch.finished import Finished
from vfm_isrefiner.batch.output import Outcome, write_outcome
from vfm_isrefiner.geo.prompt_layer import PromptLayer, PromptObject
from vfm_isrefiner.geo.rasterise import draw

Format = Literal["gpkg", "geojson", "shp", "coco", "tif"]
SUFFIX = {"gpkg": ".gpkg", "geojson": ".geojson", "shp": ".shp", "coco": ".json", "tif": ".tif"}
ZIPPED = ("shp", "tif")
MEDIA = {
    ".gpkg": "application/geopackage+sqlite3",
    ".geojson": "application/geo+json",
    ".json": "application/json",
    ".zip": "application/zip",
}


@dataclass(frozen=True)
class Exported:
    """A file in a folder of its own; `remove` deletes both."""

    path: Path

    @property
    def media(self) -> str:
        """The media type."""
        return MEDIA[self.path.suffix]

    def remove(self) -> None:
        shutil.rmtree(self.path.parent, ignore_errors=True)


def exported(scene: AnnotatedScene, format: Format) -> Exported:
    """The file, with the scene's name.

    Raises:
        OSError: it cannot be written.
    """
    folder = Path(tempfile.mkdtemp(prefix="isrefiner-export-"))
    try:
        written = folder / "parts" / f"{scene.path.stem}{SUFFIX[format]}"
        write_outcome(outcome_of(scene), written, "objects", "label")
        if format not in ZIPPED:
            return Exported(written.replace(folder / written.name))
        archive = folder / f"{scene.path.stem}_{format}.zip"
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
            for part in sorted(written.parent.iterdir()):
                file.write(part, part.name)
        return Exported(archive)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def outcome_of(scene: AnnotatedScene) -> Outcome:
    """The accepted objects as `write_outcome` takes them."""
    objects = scene.store.objects()
    attributes = {
        "object": np.array([one.id for one in objects], np.int64),
        "label": np.array([one.label for one in objects], object),
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
