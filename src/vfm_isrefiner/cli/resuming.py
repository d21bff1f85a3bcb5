"""Which checkpoint a training goes on from, and in which folder."""

from __future__ import annotations

from pathlib import Path

from hydra.core.hydra_config import HydraConfig

from vfm_isrefiner.training.errors import TrainingError


def folder_to_go_on_in(checkpoint: Path, folder: Path) -> Path:
    """The folder of the run that `checkpoint` is of, where its best weights and its curves are; `folder` where it is of none or
    where the command line names a folder, in which the best weights begin anew."""
    asked = [*HydraConfig.get().overrides.task, *HydraConfig.get().overrides.hydra] if HydraConfig.initialized() else []
    named = any(word.startswith(("paths.run=", "hydra.run.dir=")) for word in asked)
    own = checkpoint.resolve().parent.parent
    if checkpoint.resolve().parent.name != "checkpoints" or own == folder.resolve():
        return folder
    if named:
        print(f"resumed into another folder: the best weights of {own} are not known here")
        return folder
    return own


def checkpoint_to_resume(wanted: str | None, folder: Path, outputs: Path, several: bool = False) -> str | None:
    """The file that `ckpt_path` means: "last" is the newest one of this run's folder, else of all outputs; of `several` runs
    each has its own folder's only.

    Raises:
        TrainingError: there is none.
    """
    if wanted is None:
        return None
    if wanted == "last":
        found = [folder / "checkpoints" / "last.ckpt"]
        if not found[0].is_file():
            found = [] if several else sorted(outputs.glob("**/checkpoints/last.ckpt"), key=lambda path: path.stat().st_mtime)
        if not found:
            raise TrainingError(
                f"ckpt_path=last: there is no checkpoints/last.ckpt in {folder} nor anywhere below {outputs}"
                + ("; runs of a sweep look in their own folders only." if several else ".")
            )
        return str(found[-1])
    if not Path(wanted).is_file():
        raise TrainingError(f"ckpt_path={wanted}: there is no such file; give a .ckpt of a run or the word last.")
    return wanted
