"""`isrefiner prepare`: a set's images to patches and an index, in parallel, resumable."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import hydra
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationToMissingValueError

from vfm_isrefiner.cli.bar import progress_bar
from vfm_isrefiner.cli.settings import conf_folder, short_errors
from vfm_isrefiner.data.prepare import Report, check_options, prepare
from vfm_isrefiner.data.scenes import Scene, scenes_of

STOPPED = 130  # as shells say of Ctrl-C
OPTIONS = ("patch_size", "overlap", "min_area", "limit", "workers", "on_error")


def run(cfg: DictConfig) -> Report:
    """Prepare as `cfg` says.

    Raises:
        ValueError: the set or `out` is not given, or `root` where the set needs one; see `prepare` for more.
    """
    if cfg.get("set") is None:
        names = sorted(path.stem for path in (conf_folder() / "set").glob("*.yaml"))
        raise ValueError(f"set=NAME is needed; choose among {', '.join(names)}.")
    if OmegaConf.is_missing(cfg, "out"):
        raise ValueError("out=FOLDER is needed: where the patches and their index are to go.")
    options = {name: cfg[name] for name in OPTIONS}
    check_options(**options)
    described = _described(cfg)
    with progress_bar("reading the set", None) as advance:
        scenes = scenes_to_prepare(cfg.set)
        advance(len(scenes), len(scenes))
    with progress_bar("images", len(scenes)) as advance:
        report = prepare(scenes, cfg.out, cfg.source, **options, settings=described, progress=advance)
    print(told(report, Path(cfg.out)))
    for name, fault in report.skipped.items():
        print(f"left out: {name}: {fault}", file=sys.stderr)
    return report


def scenes_to_prepare(which: DictConfig) -> list[Scene]:
    """The scenes of a set: of its `scenes`, which are read by windows; else every image of its `reader`, read whole."""
    return list(instantiate(which.scenes)) if which.get("scenes") else scenes_of(instantiate(which.reader))


def told(report: Report, out: Path) -> str:
    """The final report."""
    state = f"prepared in {report.seconds:.0f} s"
    if report.resumed == report.scenes and not report.skipped:
        state = "prepared already: nothing to do"
    elif report.resumed:
        state += f", {report.resumed} of the images by an earlier run"
    lines = [
        f"{out}: {state}",
        f"  images     {report.scenes:,}" + (f" ({len(report.skipped)} more left out)" if report.skipped else ""),
        f"  patches    {report.patches:,} ({report.bytes / 2**20:,.1f} MiB); {report.dropped:,} without an object dropped",
        f"  instances  {report.instances:,}; {report.at_border:,} of them cut by a border of their patch",
        *(f"    {count:>9,}  {name or '(no class)'}" for name, count in report.classes.items()),
    ]
    return "\n".join(lines)


def _described(cfg: DictConfig) -> dict[str, Any]:
    """How the set is opened, for the comparison with an earlier run."""
    try:
        opened = OmegaConf.to_container(cfg.set, resolve=True)
    except InterpolationToMissingValueError as error:
        raise ValueError(f"root=FOLDER is needed by set={cfg.source}: the folder where the set was unpacked.") from error
    root = None if OmegaConf.is_missing(cfg, "root") else str(Path(cfg.root).resolve())
    return {"root": root, "split": cfg.split, "set": opened}


@hydra.main(version_base="1.3", config_path=str(conf_folder()), config_name="prepare")
def _job(cfg: DictConfig) -> None:
    with short_errors():
        try:
            run(cfg)
        except KeyboardInterrupt:
            print("stopped: what is done stays; run the same again to go on", file=sys.stderr)
            sys.exit(STOPPED)


def main() -> None:
    """Read the command line and run."""
    _job()


if __name__ == "__main__":
    main()
