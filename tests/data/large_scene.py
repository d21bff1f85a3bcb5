"""An iSAID scene of 13,000 × 13,000 px, prepared while its memory is watched.

    python tests/data/large_scene.py [HEIGHT WIDTH [WORKERS]]

writes it band by band below a temporary folder, runs `prepare` in a process of its own, and prints the peak memory.
"""

from __future__ import annotations

import struct
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

SPACING, OBJECT = 250, 120  # pixels between the corners of objects, and their side
SHIP = (0, 0, 63)  # its colour in the semantic masks
MIB = 2**20

RUN = """
import resource, sys
from vfm_isrefiner.data.isaid_scenes import isaid_scenes
from vfm_isrefiner.data.prepare import prepare

if __name__ == "__main__":
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    report = prepare(isaid_scenes(sys.argv[1]), sys.argv[2], "isaid", workers=int(sys.argv[3]))
    print(report.instances, 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before))
"""


def write_scene(root: Path, height: int, width: int, copies: int = 1) -> int:
    """Images, instance and semantic masks in iSAID's layout; gives the number of objects of one image."""
    rng = np.random.default_rng(0)
    tiles = rng.integers(0, 256, (SPACING // 10, -(-width // 10), 3), dtype=np.uint8)
    texture = tiles.repeat(10, 0).repeat(10, 1)[:, :width]
    columns = np.arange(width)
    inside = columns % SPACING < OBJECT
    a_row = -(-width // SPACING)

    def image(row: int) -> bytes:
        return texture[row % SPACING].tobytes()

    def ids(row: int) -> bytes:
        numbers = np.where(inside & (row % SPACING < OBJECT), 2**24 - 1 - (row // SPACING * a_row + columns // SPACING), 0)
        return np.stack([numbers & 255, numbers >> 8 & 255, numbers >> 16], -1).astype(np.uint8).tobytes()

    def classes(row: int) -> bytes:
        shown = (inside & (row % SPACING < OBJECT))[:, None]
        return np.where(shown, np.array(SHIP, np.uint8), np.uint8(0)).tobytes()

    for copy in range(copies):
        for folder, ending, row_of in (
            ("images", "", image),
            ("Instance_masks", "_instance_id_RGB", ids),
            ("Semantic_masks", "_instance_color_RGB", classes),
        ):
            path = root / "train" / folder / "images" / f"P{copy:04}{ending}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_png(path, height, width, (row_of(row) for row in range(height)))
    return a_row * -(-height // SPACING)


def write_png(path: Path, height: int, width: int, rows: Iterator[bytes]) -> None:
    """8-bit RGB from rows of 3 × `width` bytes, one held at a time."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    packer = zlib.compressobj(1)
    with path.open("wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)))
        for row in rows:
            if packed := packer.compress(b"\0" + row):
                file.write(chunk(b"IDAT", packed))
        file.write(chunk(b"IDAT", packer.flush()) + chunk(b"IEND", b""))


def prepare_watched(root: Path, out: Path, workers: int) -> dict[str, int]:
    """Run `prepare` in a process of its own; peaks in bytes.

    Returns:
        "process": resident memory of its largest process; "own": the part of it that is no file's and no other process's;
        "tree": all its processes together, shared pages counted once; "growth": what the first process took while it prepared,
        beyond its imports; and "instances", the rows of the index.
    """
    script = out.with_suffix(".py")
    script.write_text(RUN)
    words = [sys.executable, str(script), str(root), str(out), str(workers)]
    child = subprocess.Popen(words, start_new_session=True, stdout=subprocess.PIPE, text=True)
    peaks = {"process": 0, "own": 0, "tree": 0}
    ended = threading.Event()
    watch = threading.Thread(target=_watch, args=(child.pid, peaks, ended))
    watch.start()
    told, _ = child.communicate()
    ended.set()
    watch.join()
    if child.returncode:
        raise RuntimeError(f"prepare ended with status {child.returncode}")
    instances, growth = (int(word) for word in told.split())
    return {**peaks, "growth": growth, "instances": instances}


def _watch(session: int, peaks: dict[str, int], ended: threading.Event) -> None:
    while not ended.wait(0.05):
        tree = 0
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if int((folder / "stat").read_text().rpartition(")")[2].split()[3]) != session:
                    continue
                status, shares = _fields(folder / "status"), _fields(folder / "smaps_rollup")
            except (OSError, ValueError):
                continue  # it has ended
            peaks["process"] = max(peaks["process"], status.get("VmHWM", 0))
            peaks["own"] = max(peaks["own"], shares.get("Private_Dirty", 0))
            tree += shares.get("Pss", 0)
        peaks["tree"] = max(peaks["tree"], tree)


def _fields(path: Path) -> dict[str, int]:
    """Lines "name: N kB" as bytes."""
    lines = (line.split() for line in path.read_text().splitlines())
    return {words[0].rstrip(":"): int(words[1]) * 1024 for words in lines if len(words) == 3 and words[2] == "kB"}


def main() -> None:
    """Write, prepare, print."""
    height, width, workers = (int(word) for word in (*sys.argv[1:], *("13000", "13000", "1")[len(sys.argv) - 1 :]))
    with tempfile.TemporaryDirectory() as folder:
        root, out = Path(folder) / "set", Path(folder) / "out"
        begun = time.monotonic()
        count = write_scene(root, height, width, copies=workers)
        print(f"{workers} scene(s) of {height} × {width} with {count} objects written in {time.monotonic() - begun:.0f} s")
        begun = time.monotonic()
        peaks = prepare_watched(root, out, workers)
        print(f"prepared by {workers} process(es) in {time.monotonic() - begun:.0f} s; peak memory:")
        for name in ("process", "own", "tree", "growth"):
            print(f"  {name:<8}{peaks[name] / MIB:6.0f} MiB")


if __name__ == "__main__":
    main()
