"""The loggers of a run, and what dashboards among them are told at its beginning and at its end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from hydra.utils import instantiate
from lightning.pytorch.loggers import Logger
from omegaconf import DictConfig, OmegaConf

from vfm_isrefiner.report.figures import draw_clicks
from vfm_isrefiner.training.dashboard import Dashboard
from vfm_isrefiner.training.safe_logger import SafeLogger, safe
from vfm_isrefiner.training.wandb_report import KeepPictures


def built(group: DictConfig | None) -> list[Any]:
    """The parts of a group. One that is switched off (null) stays off, also where an experiment sets something in it."""
    return [instantiate(part) for part in (group or {}).values() if part is not None and "_target_" in part]


def safe_loggers(group: DictConfig | None) -> list[SafeLogger]:
    """The loggers of a group, none of which can stop a run."""
    return safe(cast(list[Logger], built(group)))


class Boards:
    """The dashboards among `loggers`, with the pictures that they will show.

    Attributes:
        draw: draws a picture file, and keeps the picture for the dashboards.
    """

    def __init__(self, loggers: Iterable[Logger], threshold: float) -> None:
        self._boards = [each for each in loggers if isinstance(each, Dashboard)]
        self.draw = KeepPictures(draw_clicks, threshold)

    def log_run(self, folder: Path) -> None:
        """A finished run: its results, pictures and files."""
        for board in self._boards:
            board.log_run(folder, self.draw.pictures)


@contextmanager
def told(
    loggers: Iterable[Logger],
    cfg: DictConfig,
    *,
    called: Mapping[str, Any],
    job_type: str,
    settings: Mapping[str, Any],
    threshold: float,
) -> Iterator[Boards]:
    """Inside, the loggers know the run: its settings, and dashboards its name and its experiment.

    After it dashboards are ended, so that the next job of a multirun begins its own.

    Args:
        called: as `asked_for` gives it. threshold: above it a pixel of a picture is object.
    """
    loggers = list(loggers)
    boards = [each for each in loggers if isinstance(each, Dashboard)]
    try:
        for board in boards:
            board.describe(name=called["name"], experiment=called["experiment"], job_type=job_type, settings=settings)
        for logger in loggers:
            logger.log_hyperparams(cast(dict[str, Any], OmegaConf.to_container(cfg, resolve=True)))
        yield Boards(loggers, threshold)
    finally:
        for board in boards:
            board.finish()
