"""Finding the folders of published sets. An error says which places were looked at and what is there instead."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vfm_isrefiner.data.errors import DataError

SHOWN = 12  # names of a folder's content in a message


def one_of(root: str | Path, places: Sequence[str], what: str) -> Path:
    """The first of `places` (below `root`; "" is `root` itself) that exists.

    Raises:
        DataError: none does; lists the places and the content of `root`.
    """
    for place in places:
        if (Path(root) / place).exists():
            return Path(root) / place
    raise missing(root, places, what)


def missing(root: str | Path, places: Sequence[str], what: str) -> DataError:
    """The error that `what` is at none of `places` below `root`."""
    looked = ", ".join(repr(place) for place in places)
    return DataError(
        f"{root} has no {what}. Looked for {looked}; found there: {_content(Path(root))}. "
        "Check the root, and that the archives were unpacked with their folders."
    )


def one_choice(value: object, choices: Sequence[str], what: str) -> str:
    """`value`, which is one of `choices`. Raises `DataError`."""
    if value not in choices:
        raise DataError(f"Unknown {what} {value!r}. Choose one of {', '.join(repr(each) for each in choices)}.")
    return str(value)


def _content(folder: Path) -> str:
    if not folder.is_dir():
        return f"nothing, there is no folder {folder}"
    names = sorted(f"{path.name}/" if path.is_dir() else path.name for path in folder.iterdir())
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "") if names else "nothing"
