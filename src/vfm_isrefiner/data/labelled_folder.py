"""`LabelledFolder`: `<root>/<split>/<source>` with images, masks of ids, and a `meta.json` that lists every instance."""

from __future__ import annotations

import json
from pathlib import Path
from typing import final

import torch
from torch import Tensor

from vfm_isrefiner.data.errors import DataError
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
        self.ignore_value: dict[str, int | None] = {}
        try:
            for name in sorted(index):
                entry = index[name]
                self.ignore_value[name] = entry["ignore"]
                size = (int(entry["h"]), int(entry["w"]))
                for it in entry["instances"]:
                    number, box = int(it["id"]), tuple(it["bbox"])
                    records.append(
                        InstanceRecord(name, number, f"{name}/{number}", it["cls"], int(it["area"]), box, size, split)
                    )
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"{self.folder / 'meta.json'}: the entry of image {name!r} is not {{h, w, ignore, instances: "
                f"[{{id, cls, area, bbox}}]}} ({type(error).__name__}: {error}). Write the file again."
            ) from error
        missing = sorted(set(index) - set(self.images))
        if missing:
            raise DataError(
                f"{self.folder / 'images'} lacks {len(missing)} of {len(index)} images, such as {missing[0]!r}. "
                "Copy the set again."
            )
        super().__init__(source, records)

    def read_image(self, record: InstanceRecord) -> Tensor:
        return read_picture(self.images[record.image]).image

    def read_mask(self, record: InstanceRecord) -> tuple[Tensor, Tensor]:
        ids = self.cached(("ids", record.image), lambda: read_ids(self.folder / "masks" / f"{record.image}.png"))[None]
        ignored = self.ignore_value[record.image]
        return ids == record.instance, torch.zeros_like(ids, dtype=torch.bool) if ignored is None else ids == ignored


def _read_index(path: Path) -> dict:
    if not path.is_file():
        raise DataError(
            f"There is no {path}. Expected <root>/<split>/<source>/meta.json beside images/ and masks/; "
            "check root, split and source."
        )
    try:
        index = json.loads(path.read_text())
    except (ValueError, OSError) as error:
        raise DataError(f"{path} is no readable JSON ({error}). Copy the set again.") from error
    if not isinstance(index, dict):
        raise DataError(
            f"{path} holds a {type(index).__name__}; an object with one entry per image was expected. Write the file again."
        )
    return index
