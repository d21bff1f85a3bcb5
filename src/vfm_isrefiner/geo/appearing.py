"""`appearing`: files that GDAL writes appear under their names when all of them are complete."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def appearing(path: str | Path, faults: tuple[type[Exception], ...] = (OSError,)) -> Iterator[Path]:
    """Gives a path of the same name in a temporary folder beside `path`, to be written together with any companions.

    All that is in the folder afterwards is moved beside `path`, the file of its own name last. Where the body raises, or the
    process is killed in it, nothing under these names has changed.

    Args:
        path: of the main file.
        faults: what the body raises where the operating system or GDAL refuses.

    Raises:
        OSError: it refused; names the file.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent))
    except OSError as error:
        raise _refused(path, error) from error
    try:
        yield folder / path.name
        for file in sorted(folder.iterdir(), key=lambda one: one.name == path.name):
            with file.open("rb+") as written:
                os.fsync(written.fileno())
            os.chmod(file, 0o666 & ~_umask())
            os.replace(file, path.parent / file.name)
    except faults as error:
        raise _refused(path, error) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _refused(path: Path, error: Exception) -> OSError:
    reason = getattr(error, "strerror", None) or error
    return OSError(f"{path} was not written: {reason}; nothing half-written is left. Free some space or choose another place.")
