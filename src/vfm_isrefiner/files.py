"""Files that appear when they are complete, and their checksums."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path


def write_whole(path: Path, content: bytes) -> None:
    """Write to a temporary name beside `path` and rename, so that a full disk or a kill leaves nothing half-written.

    Raises:
        OSError: the operating system refused; says which file, of what size, and that the old one is untouched.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        size = f"{len(content) / 2**20:.1f} MiB"
        advice = "nothing half-written is left; free some space or choose another place"
        raise OSError(error.errno, f"{path} ({size}) was not written: {error.strerror}; {advice}.") from error


def sha256(file: Path) -> str:
    """Of a file's content, in hexadecimal."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
