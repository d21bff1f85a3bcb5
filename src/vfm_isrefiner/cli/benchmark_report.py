"""What every `isrefiner benchmark` does with its settings and its report."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf

from vfm_isrefiner.benchmark.measure import Report


def check_least(cfg: DictConfig, names: Iterable[str], least: int = 1) -> None:
    """Refuse numbers that are too small.

    Raises:
        ValueError: one of these settings is below `least`.
    """
    for name in names:
        if cfg[name] < least:
            raise ValueError(f"{name} must be {least} or more, got {cfg[name]}.")


def as_written(cfg: DictConfig) -> dict[str, Any]:
    """The settings as plain values, unresolved: the run's folder is known to Hydra's own applications alone."""
    return cast(dict[str, Any], OmegaConf.to_container(cfg, resolve=False))


def told(report: Report, json: str | None) -> Report:
    """Printed, and written to the file `json` where one is asked for."""
    print(report.markdown())
    if json:
        report.save(Path(json))
    return report
