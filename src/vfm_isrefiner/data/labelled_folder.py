"""`LabelledFolder`: `<root>/<split>/<source>` with images, masks of ids, and a `meta.json` that lists every instance."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, final

from torch import Tensor

from vfm_isrefiner.data.errors import DataError
from vfm_isrefiner.data.id_map import IdMap, narrowest
from vfm_isrefiner.data.instance_set import InstanceRecord, InstanceSet
from vfm_isrefiner.data.pictures import read_ids, read_picture


@final
class LabelledFolder(InstanceSet):
    """`images/<name>.jpg`, `masks/<name>.png` (8 or 16 bit) and `meta.json`, which alone is read to open the set:
    `{name: {h, w, ignore, instances: [{id, cls, area, bbox: [x, y, w, h]}]}}`, where `ignore` is a mask value or null.

    Args:
        root: folder that holds the splits.
        split: such as "train".
        source: name of the set in that split.

    Raises:
        DataError: the folder or a file is missing, or `meta.json` is broken.
    """

    def __init__(self, root: str | Path, split: str, source: str) -> None:
        self.folder = Path(root) / split / source
        index = _read_index(self.folder / "meta.json")
        self.images = {path.stem: path for path in sorted((self.folder / "images").glob("*"))}
        records: list[InstanceRecord] = []
        faults: list[str] = []
        self.ignore_value: dict[str, int | None] = {}
        for name in sorted(index):
            try:
                records += self._entry(name, index[name], split)
            except (KeyError, TypeError, ValueError, ArithmeticError) as error:
                faults.append(
                    f"{self.folder / 'meta.json'}: the entry of image {name!r} is not {{h, w, ignore, instances: "
                    f"[{{id, cls, area, bbox}}]}} ({type(error).__name__}: {error}). Write the file again."
                )
        missing = sorted(set(index) - set(self.images))
        faults += [
            f"{self.folder / 'images'} lacks {len(missing)} of {len(index)} images, such as {name!r}. Copy the set again."
            for name in missing
        ]
        if faults:
            raise DataError(*faults)
        super().__init__(source, records)

    def _entry(self, name: str, entry: dict[str, Any], split: str) -> list[InstanceRecord]:
        """What `meta.json` says of one image."""
        ignored, size = entry["ignore"], (int(entry["h"]), int(entry["w"]))
        self.ignore_value[name] = None if ignored is None else _in_range(int(ignored))
        records = []
        for it in entry["instances"]:
            number, (x, y, width, height) = _in_range(int(it["id"])), (int(value) for value in it["bbox"])
            category, area = str(it["cls"]), int(it["area"])
            records.append(InstanceRecord(name, number, f"{name}/{number}", category, area, (x, y, width, height), size, split))
        return records

    def unlabelled_images(self) -> tuple[str, ...]:
        return tuple(sorted(set(self.images) - {record.image for record in self.records}))

    def read_image(self, record: InstanceRecord) -> Tensor:
        return read_picture(self.images[record.image]).image

    def read_mask(self, record: InstanceRecord) -> tuple[Tensor, Tensor]:
        ids = self.read_id_map(record)
        return ids.mask(record.instance), ids.ignore()

    def read_id_map(self, record: InstanceRecord) -> IdMap:
        ids = self.cached(("ids", record.image), lambda: narrowest(read_ids(self.folder / "masks" / f"{record.image}.png")))
        return IdMap(ids, self.ignore_value[record.image])


def _in_range(value: int) -> int:
    if not 0 <= value < 2**31:
        raise ValueError(f"{value} is no value of a mask, 0 to 2³¹-1")
    return value


def _read_index(path: Path) -> dict:
    if not path.is_file():
        raise DataError(
            f"There is no {path}. Expected <root>/<split>/<source>/meta.json beside images/ and masks/; "
            "check root, split and source."
        )
    try:
        index = json.loads(path.read_bytes())
    except (ValueError, OSError, RecursionError) as error:
        raise DataError(f"{path} is no readable JSON ({error}). Copy the set again.") from error
    if not isinstance(index, dict):
        raise DataError(
            f"{path} holds a {type(index).__name__}; an object with one entry per image was expected. Write the file again."
        )
    return index
