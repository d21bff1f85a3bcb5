"""From rasters and vector files to images with their polygons."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from vfm_isrefiner.data.errors import DataError
from vfm_isrefiner.data.parallel import in_threads
from vfm_isrefiner.data.pictures import SUFFIXES
from vfm_isrefiner.geo.ground import Grid, read_grid
from vfm_isrefiner.geo.opening import RasterError
from vfm_isrefiner.geo.placing import FeatureIndex, Placed
from vfm_isrefiner.geo.vector import VECTOR_SUFFIXES, VectorError, read_polygons

Result = TypeVar("Result")


@dataclass(frozen=True)
class GeoImage:
    """One raster and the features that have pixels in it, in the order of their numbers."""

    name: str
    path: Path
    grid: Grid
    objects: tuple[Placed, ...]


@dataclass(frozen=True)
class Taken:
    """What became of the features of the vector files.

    Attributes:
        features: all there are.
        repaired: crossed themselves and were made valid.
        empty: have no area; left out.
        outside: have no pixel in any image; left out.
    """

    features: int
    repaired: int
    empty: int
    outside: int


def told(read: Callable[[], Result]) -> Result:
    """What `read` gives; what is wrong with a raster or a vector file becomes a `DataError`."""
    try:
        return read()
    except (RasterError, VectorError) as error:
        raise DataError(str(error)) from error


def find_rasters(images: Path) -> dict[str, Path]:
    """The raster `images`, or those in the folder, by their name without its ending. Raises `DataError`."""
    if images.is_file():
        return {images.stem: images}
    return _by_stem(images, SUFFIXES)


def place_images(
    rasters: dict[str, Path], vectors: Path, layer: str | None, category_field: str | None, all_touched: bool
) -> tuple[dict[str, GeoImage], Taken]:
    """The images by name, and what became of the features.

    Args:
        rasters: files by name.
        vectors: a file for all, or a folder with one of each name.
        layer, category_field, all_touched: see `GeoInstances`.

    Raises:
        DataError: a file is missing or broken; all such faults are told together.
    """
    grids = _all(in_threads(lambda path: _fault_or(lambda: read_grid(path)), rasters.values()))
    if vectors.is_dir():
        files = _paired(rasters, vectors)
        groups = [({name: grid}, files[name]) for name, grid in zip(rasters, grids, strict=True)]
    else:
        groups = [(dict(zip(rasters, grids, strict=True)), vectors)]
    placed = _all(_fault_or(partial(_place, *group, layer, category_field, all_touched)) for group in groups)
    objects = {name: found for by_name, _ in placed for name, found in by_name.items()}
    images = {name: GeoImage(name, rasters[name], grid, objects[name]) for name, grid in zip(rasters, grids, strict=True)}
    counts = [taken for _, taken in placed]
    return images, Taken(*(sum(getattr(taken, it.name) for taken in counts) for it in fields(Taken)))


def _place(
    grids: dict[str, Grid], file: Path, layer: str | None, category_field: str | None, all_touched: bool
) -> tuple[dict[str, tuple[Placed, ...]], Taken]:
    """Features of one file on images, by name of the image."""
    indices: dict[str | None, FeatureIndex] = {}
    found: dict[str, tuple[Placed, ...]] = {}
    for name, grid in grids.items():
        key = None if grid.crs is None else grid.crs.to_wkt()
        if key not in indices:
            indices[key] = FeatureIndex(read_polygons(file, grid.crs, layer, category_field))
        try:
            found[name] = indices[key].on(grid, all_touched)
        except RasterError as error:
            raise DataError(f"The image {name!r} of {file} has no place on the ground: {error}") from error
    of = next(iter(indices.values())).layer
    total = len(of.features) + of.unplaced
    touched = {it.number for placed in found.values() for it in placed}
    return found, Taken(total + of.empty, of.repaired, of.empty, total - len(touched))


def _fault_or(read: Callable[[], Result]) -> Result | DataError:
    try:
        return told(read)
    except DataError as error:
        return error


def _all(results: Iterable[Any]) -> list[Any]:
    """The results; raises the `DataError`s among them as one."""
    listed = list(results)
    faults = [message for result in listed if isinstance(result, DataError) for message in result.faults]
    if faults:
        raise DataError(*faults)
    return listed


def _paired(rasters: dict[str, Path], folder: Path) -> dict[str, Path]:
    files = _by_stem(folder, VECTOR_SUFFIXES)
    endings = ", ".join(VECTOR_SUFFIXES)
    faults = [
        f"{path} has no vector file {name}.* ({endings}) in {folder}. Every image needs one; one without features will do."
        for name, path in rasters.items()
        if name not in files
    ]
    faults += [
        f"{path} has no image {name}.*. Every vector file needs one." for name, path in files.items() if name not in rasters
    ]
    if faults:
        raise DataError(*faults)
    return files


def _by_stem(folder: Path, suffixes: tuple[str, ...]) -> dict[str, Path]:
    if not folder.is_dir():
        raise DataError(f"There is no file or folder {folder}. Check the path.")
    found: dict[str, Path] = {}
    for path in sorted(path for path in folder.iterdir() if path.suffix.lower() in suffixes):
        if path.stem in found:
            raise DataError(f"{found[path.stem]} and {path} have the same name but for the ending. Keep one of them.")
        found[path.stem] = path
    if not found:
        raise DataError(f"{folder} has no file ending in {', '.join(suffixes)}. Check the path.")
    return found
