"""Several scenes: a list in a text file, and patterns that name the prompts and the output of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

PLACE = "{scene}"


@dataclass(frozen=True)
class Job:
    """One scene, its prompts, its output."""

    scene: Path
    prompts: Path
    out: Path


def jobs_of(scenes: Sequence[str], prompts: str, out: str) -> list[Job]:
    """The jobs of scenes and lists of scenes.

    Args:
        scenes: rasters, and text files (.txt) of one raster a line, relative to the file's folder; empty lines and those that
            begin with # are passed over.
        prompts, out: files; {scene} stands for the scene's name without its suffix, and must be in `out` where the scenes are
            several.

    Raises:
        ValueError: no scene, a list that is not there, or two scenes with one output.
    """
    found = [one for name in scenes for one in (_listed(Path(name)) if name.lower().endswith(".txt") else [Path(name)])]
    if not found:
        raise ValueError(f"There is no scene in {', '.join(scenes)}. Write one file a line.")
    if len(found) > 1 and PLACE not in out:
        raise ValueError(f"--out {out} is one file for {len(found)} scenes. Name one each, such as --out masks/{PLACE}.gpkg.")
    jobs = [Job(one, *(Path(pattern.replace(PLACE, one.stem)) for pattern in (prompts, out))) for one in found]
    taken: dict[Path, Path] = {}
    for job in jobs:
        other = taken.setdefault(job.out, job.scene)
        if other != job.scene:
            raise ValueError(f"{other} and {job.scene} would both be written to {job.out}. Predict one of them apart.")
        if job.out.resolve() in (job.scene.resolve(), job.prompts.resolve()):
            raise ValueError(f"--out {job.out} is a file that is read. Choose another name.")
    return list({job.out: job for job in jobs}.values())


def _listed(file: Path) -> list[Path]:
    if not file.is_file():
        raise ValueError(f"There is no file {file}. Give a text file with one scene a line.")
    lines = [line.strip() for line in file.read_text(encoding="utf-8").splitlines()]
    return [file.parent / line for line in lines if line and not line.startswith("#")]
