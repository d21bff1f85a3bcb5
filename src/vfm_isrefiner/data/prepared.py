"""`PreparedPatches`: what `prepare` wrote, as a set of instances."""

from __future__ import annotations

from pathlib import Path
from typing import final

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from pyarrow import compute
from torch import Tensor

from vfm_isrefiner.data.cache import DecodedCache
from vfm_isrefiner.data.coco_masks import counts_of, drawn
from vfm_isrefiner.data.errors import DataError
from vfm_isrefiner.data.id_map import IdMap, narrowest
from vfm_isrefiner.data.index import read_index
from vfm_isrefiner.data.instance_set import InstanceRecord, InstanceSet
from vfm_isrefiner.data.pictures import read_picture
from vfm_isrefiner.data.prepared_folder import ABOUT, FORMAT, INDEX, PATCHES, read_about


class _NoIdMapError(Exception):
    """Two objects of a patch share a pixel, or a number has more than 31 bits."""


@final
class PreparedPatches(InstanceSet):
    """Objects of patches; one that several patches show is an instance in each. Opening decodes nothing.

    A record's image is the patch, its id "<patch>/<instance>", its area and box those of the part that the patch shows.

    Args:
        root: the folder that `isrefiner prepare` wrote.
        split: of those in the folder; None takes all.
        source: name of the set; None is that of the set it was prepared from.
        cache: see `InstanceSet`.

    Raises:
        DataError: the folder is missing, unfinished, of another version or broken, or has not that split.
    """

    def __init__(
        self, root: str | Path, split: str | None = None, source: str | None = None, cache: DecodedCache | None = None
    ) -> None:
        self.root = Path(root)
        about = read_about(self.root)
        if about is None or "format" not in about:
            raise DataError(
                f"{self.root} has no readable {ABOUT}: it is no prepared set. Give the out= folder of `isrefiner prepare`."
            )
        if about["format"] != FORMAT:
            raise DataError(
                f"{self.root} was prepared in format {about['format']}; this version reads {FORMAT}. Prepare it again into a "
                "new folder."
            )
        if not about["complete"]:
            raise DataError(f"{self.root} is unfinished. Run the same `isrefiner prepare` again: it goes on where it ended.")
        index = _of_split(read_index(self.root / INDEX), split, self.root)
        # Masks stay in Arrow's columns: as Python objects they would take several times the room.
        self._masks, self._ignore = index["mask"], index["ignore"]
        self._instances, self._scenes = index["instance"].to_numpy(), index["scene"]
        super().__init__(about["source"] if source is None else source, _records(index), cache)
        images = [record.image for record in self.records]
        self._rows: dict[str, tuple[int, int]] = {}
        starts = [row for row, name in enumerate(images) if row == 0 or name != images[row - 1]]
        for start, stop in zip(starts, [*starts[1:], len(images)], strict=True):
            self._rows[images[start]] = (start, stop)
        self._unmapped: set[str] = set()  # patches whose objects an id map cannot hold, as they are found

    def read_image(self, record: InstanceRecord) -> Tensor:
        return read_picture(self.root / PATCHES / f"{record.image}.png").image

    def read_mask(self, record: InstanceRecord) -> tuple[Tensor, Tensor]:
        start, stop = self._rows[record.image]
        row = start + int(np.searchsorted(self._instances[start:stop], record.instance))
        mask, ignore = (self._drawn(column[row].as_py(), record) for column in (self._masks, self._ignore))
        return mask, ignore

    def scene(self, record: InstanceRecord) -> str:
        return self._scenes[self._rows[record.image][0]].as_py()

    def read_id_map(self, record: InstanceRecord) -> IdMap | None:
        if record.image in self._unmapped:
            return None
        try:
            ids = self.cached(("ids", record.image), lambda: self._ids(record))
        except _NoIdMapError:
            self._unmapped.add(record.image)
            return None
        ignore = self._ignore[self._rows[record.image][0]].as_py()
        return IdMap(ids, nodata=None if ignore is None else self._drawn(ignore, record))

    def _ids(self, record: InstanceRecord) -> Tensor:
        """The numbers of all objects of the record's patch, (H, W)."""
        height, width = record.size
        ids = np.zeros(height * width, np.int64)  # down the columns, as COCO counts
        for row in range(*self._rows[record.image]):
            inside = self._inside(self._masks[row].as_py(), record)
            if ids[inside].any() or not 0 < self._instances[row] < 2**31:  # 0 is background there
                raise _NoIdMapError
            ids[inside] = self._instances[row]
        return narrowest(torch.from_numpy(np.ascontiguousarray(ids.reshape(width, height).T)))

    def _inside(self, text: bytes, record: InstanceRecord) -> NDArray[np.bool_]:
        """One flag a pixel, down the columns: a tenth of the time of `drawn`."""
        try:
            counts = counts_of(text)
        except ValueError:
            counts = np.array([-1])
        if int(counts.min(initial=0)) < 0 or int(counts.sum()) != record.size[0] * record.size[1]:
            self._drawn(text, record)  # says what is wrong
        return np.repeat(np.arange(len(counts)) % 2 == 1, counts)

    def _drawn(self, counts: bytes | None, record: InstanceRecord) -> Tensor:
        """Run lengths as (1, H, W) bool; none are no pixel."""
        shapes = [] if counts is None else [{"id": record.id, "segmentation": {"size": record.size, "counts": counts}}]
        return drawn(shapes, record.size, self.root / INDEX)


def _of_split(index: pa.Table, split: str | None, root: Path) -> pa.Table:
    if split is None:
        return index
    known = sorted(compute.unique(index["split"]).to_pylist())
    if split not in known:
        raise DataError(f"{root} has no split {split!r}; it has {', '.join(map(repr, known))}. Choose one of these.")
    return index.filter(compute.equal(index["split"], split))


def _records(index: pa.Table) -> list[InstanceRecord]:
    names = ("image", "instance", "category", "area", "x", "y", "box_width", "box_height", "height", "width", "split", "gsd")
    # Plain columns share nothing, dictionaries give one text to all its rows.
    columns = (_listed(index[name]) for name in names)
    return [
        InstanceRecord(image, instance, f"{image}/{instance}", category, area, (x, y, w, h), (height, width), split, gsd)
        for image, instance, category, area, x, y, w, h, height, width, split, gsd in zip(*columns, strict=True)
    ]


def _listed(column: pa.ChunkedArray) -> list:
    if not pa.types.is_dictionary(column.type):
        return column.to_pylist()
    column = column.unify_dictionaries()
    texts = column.chunk(0).dictionary.to_pylist() if column.num_chunks else []
    return [texts[place] for chunk in column.chunks for place in chunk.indices.to_pylist()]
