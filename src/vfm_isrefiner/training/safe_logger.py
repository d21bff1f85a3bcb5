"""`SafeLogger`: a lost service or a full log disk never stops a training run."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, final

from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import Logger
from lightning.pytorch.loggers.logger import DummyExperiment
from torch import Tensor, nn

from vfm_isrefiner.training.dashboard import Dashboard, Picture
from vfm_isrefiner.training.go_on import GoOn


@final
class SafeLogger(Dashboard):
    """Hands everything on to `logger`; where that fails, it is told once on stderr and the run goes on.

    Every entry is tried, so that what works again is used again. A logger that is no `Dashboard` is not asked to be one.
    """

    def __init__(self, logger: Logger) -> None:
        super().__init__()
        self.logger = logger
        self._go_on = GoOn(type(logger).__name__)

    @property
    def name(self) -> str | None:
        return self._go_on.past(lambda: self.logger.name, None)

    @property
    def version(self) -> int | str | None:
        return self._go_on.past(lambda: self.logger.version, None)

    @property
    def save_dir(self) -> str | None:
        return self._go_on.past(lambda: self.logger.save_dir, None)

    @property
    def experiment(self) -> Any:
        """The logger's own, or one that swallows everything. Lightning begins every logger by asking for it."""
        silent: Any = DummyExperiment()
        return self._go_on.past(lambda: getattr(self.logger, "experiment", silent), silent)  # not every Logger has one

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        self._try(lambda: self.logger.log_metrics(dict(metrics), step))

    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        self._try(lambda: self.logger.log_hyperparams(params, *args, **kwargs))

    def log_graph(self, model: nn.Module, input_array: Tensor | None = None) -> None:
        self._try(lambda: self.logger.log_graph(model, input_array))

    def save(self) -> None:
        self._try(lambda: self.logger.save())

    def after_save_checkpoint(self, checkpoint_callback: ModelCheckpoint) -> None:
        self._try(lambda: self.logger.after_save_checkpoint(checkpoint_callback))

    def finalize(self, status: str) -> None:
        self._try(lambda: self.logger.finalize(status))
        self._go_on.sum_up()

    def describe(self, *, name: str | None, experiment: str | None, job_type: str, settings: Mapping[str, Any]) -> None:
        self._show(lambda board: board.describe(name=name, experiment=experiment, job_type=job_type, settings=settings))

    def log_pictures(self, name: str, files: Sequence[Path], step: int) -> None:
        self._show(lambda board: board.log_pictures(name, files, step))

    def log_run(self, folder: Path, pictures: Sequence[Picture]) -> None:
        self._show(lambda board: board.log_run(folder, pictures))

    def finish(self) -> None:
        self._show(lambda board: board.finish())
        self._go_on.sum_up()

    def _show(self, show: Callable[[Dashboard], None]) -> None:
        logger = self.logger
        if isinstance(logger, Dashboard):
            self._try(lambda: show(logger))

    def _try(self, action: Callable[[], None]) -> None:
        self._go_on.past(action, None)


def safe(loggers: Iterable[Logger]) -> list[SafeLogger]:
    """Each logger in its wrapper."""
    return [SafeLogger(logger) for logger in loggers]
