"""`isrefiner benchmark all`: every benchmark in one call, for a machine that is at hand for minutes."""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from vfm_isrefiner.benchmark.measure import Report
from vfm_isrefiner.cli.settings import composed
from vfm_isrefiner.device import chosen_device
from vfm_isrefiner.files import write_whole


def run(cfg: DictConfig) -> dict[str, Any]:
    """Run the parts that `cfg` (conf/benchmark_all.yaml) names; one that fails is told and does not stop the others.

    Returns:
        The numbers of each part by its name, or {"error": ...}.

    Raises:
        ValueError: there is no part of a name. SystemExit: some part failed, when all are done.
    """
    device = chosen_device(cfg.device)
    names = list(cfg.parts) if cfg.only is None else list(cfg.only)
    unknown = [name for name in names if name not in cfg.parts]
    if unknown:
        raise ValueError(f"only={names}: there is no part {', '.join(unknown)}; choose among {', '.join(cfg.parts)}.")
    found: dict[str, Any] = {}
    for name in names:
        part = cfg.parts[name]
        settings = part.cuda if device.type == "cuda" else part.cpu
        if settings is None:
            continue
        print(f"\n## {name}\n", flush=True)
        pictures = [f"figures='{cfg.figures}'"] if cfg.figures and name == "click" else []
        found[name] = measured(part.word, [f"device={device}", *settings, *pictures])
        if cfg.json:
            write_whole(Path(cfg.json), f"{json.dumps(found, indent=2)}\n".encode())
    failed = [name for name, numbers in found.items() if "error" in numbers]
    if failed:
        sys.exit(f"error: {', '.join(failed)} failed, see above")
    return found


def measured(word: str, settings: list[str]) -> Mapping[str, Any]:
    """The numbers of one benchmark, or what went wrong."""
    try:
        report: Report = import_module(f"vfm_isrefiner.cli.benchmark_{word}").run(composed(f"benchmark_{word}", settings))
    except Exception as error:  # whatever it is, the machine is there for the others
        traceback.print_exc()
        return {"error": f"{type(error).__name__}: {error}", "benchmark": word, "settings": settings}
    return report.plain()
