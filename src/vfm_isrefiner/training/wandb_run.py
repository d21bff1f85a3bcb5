"""`WandbRun`: the run on Weights & Biases, offline or online, that survives the loss of its service."""

from __future__ import annotations

import os
import shutil
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, final

from lightning.pytorch.loggers.logger import DummyExperiment, rank_zero_experiment
from lightning.pytorch.utilities import rank_zero_only

from vfm_isrefiner.training.dashboard import Dashboard, Picture
from vfm_isrefiner.training.wandb_report import kept_files, shown, summary_fields, tags_of

STEP = "trainer/global_step"
FIRST_PAUSE, LONGEST_PAUSE = 5.0, 600.0  # seconds between attempts to begin again


@final
class WandbRun(Dashboard):
    """Begins at the first entry, on the first rank alone, a run of its own whatever other runs the process has.

    Where W&B cannot be reached (or nobody is logged in), an online run is written offline, for `wandb sync` to upload later.
    Where its service dies, entries are lost until the next attempt: those of the last moments too, where none was flushed.

    Args:
        project, entity, name, group, job_type, tags, notes, id: as `wandb.init` takes them; `describe` fills those left out.
        save_dir: W&B writes below its folder wandb/.
        offline: write files alone; no account is needed.
        init_timeout: seconds to wait for the beginning, before it goes on offline.
        finish_timeout: seconds to wait for the upload at the end; the rest stays on the disk.
    """

    def __init__(
        self,
        *,
        project: str,
        save_dir: str | Path,
        entity: str | None = None,
        name: str | None = None,
        group: str | None = None,
        job_type: str | None = None,
        tags: Sequence[str] = (),
        notes: str | None = None,
        id: str | None = None,
        offline: bool = True,
        init_timeout: float = 60.0,
        finish_timeout: float = 300.0,
    ) -> None:
        super().__init__()
        self._identity: dict[str, Any] = {"name": name, "group": group, "job_type": job_type, "tags": list(tags), "id": id}
        self._place: dict[str, Any] = {"project": project, "entity": entity, "notes": notes}
        self._folder, self.offline = Path(save_dir), offline
        self._init_timeout, self._finish_timeout = init_timeout, finish_timeout
        self._config: dict[str, Any] = {}
        self._run: Any = None
        self._failed = False
        self._again, self._pause, self._missed = 0.0, FIRST_PAUSE, 0

    @property
    def name(self) -> str:
        """The project, as Lightning's logger has it."""
        return self._place["project"]

    @property
    def version(self) -> str | None:
        """The id of the run, None before it has begun."""
        return self._identity["id"] if self._run is None else self._run.id

    @property
    def save_dir(self) -> str:
        return str(self._folder)

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """The `wandb.Run`; one that swallows everything while a lost one waits for the next attempt."""
        return self._opened() or DummyExperiment()

    def describe(self, *, name: str | None, experiment: str | None, job_type: str, settings: Mapping[str, Any]) -> None:
        given = {"name": name, "group": experiment, "job_type": job_type}
        self._identity |= {key: value for key, value in given.items() if self._identity[key] is None}
        self._identity["tags"] = list(dict.fromkeys([*self._identity["tags"], *tags_of(settings)]))

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        self._config |= vars(params) if isinstance(params, Namespace) else params
        self._enter(lambda run: run.config.update(self._config, allow_val_change=True))

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        self._enter(lambda run: run.log(dict(metrics) if step is None else {**metrics, STEP: step}))

    @rank_zero_only
    def log_pictures(self, name: str, files: Sequence[Path], step: int) -> None:
        import wandb  # here and below: half a second that a run without it need not wait for

        pictures = [wandb.Image(str(file), caption=file.stem) for file in files]
        self._enter(lambda run: run.log({name: pictures, STEP: step}))

    @rank_zero_only
    def log_run(self, folder: Path, pictures: Sequence[Picture]) -> None:
        fields, entries, files = summary_fields(folder), shown(folder, pictures), kept_files(folder)
        self._again = 0.0  # the results are worth an attempt at once
        self._enter(lambda run: run.summary.update(fields))
        self._enter(lambda run: run.log(entries))
        self._enter(lambda run: keep(run, files))

    def finalize(self, status: str) -> None:
        """Lightning's end of the fit; the run stays open for the evaluation that follows."""
        self._failed = status == "failed"

    @rank_zero_only
    def finish(self) -> None:
        run = self._run
        if run is None:
            return
        self._enter(lambda run: run.finish(exit_code=int(self._failed)))
        self._run = None
        if run.settings.mode == "offline":
            print(f"W&B run {run.id} is in {run.settings.sync_dir}; upload it with: wandb sync {run.settings.sync_dir}")
        else:
            print(f"W&B run: {run.url}")

    def _enter(self, entry: Callable[[Any], object]) -> None:
        """Make an entry; without a run it is missed."""
        from wandb.sdk.mailbox import MailboxClosedError

        run = self._opened()
        if run is None:
            self._missed += 1
            return
        try:
            entry(run)
        except (ConnectionError, MailboxClosedError):  # of the service on this machine: the network's are its own affair
            self._lose()
            raise

    def _opened(self) -> Any:
        """The run, begun where there is none; None until the time of the next attempt."""
        if self._run is not None or time.monotonic() < self._again:
            return self._run
        try:
            self._run = self._begun()
        except Exception:
            self._wait()
            raise
        if self._missed:
            print(f"W&B goes on as run {self._run.id}; {self._missed} entries are missing there.", file=sys.stderr)
        self._missed, self._pause = 0, FIRST_PAUSE
        return self._run

    def _begun(self) -> Any:
        if self.offline:
            return self._init("offline", self._identity["id"])
        import wandb

        try:  # WANDB_MODE may still say otherwise; a run that goes on in its folder goes on with its curves
            return self._init(os.environ.get("WANDB_MODE", "online"), self._identity["id"] or last_id(self._folder))
        except (wandb.Error, OSError) as error:
            print(f"W&B: {str(error).splitlines()[0]} This run is written offline instead.", file=sys.stderr)
            return self._init("offline", self._identity["id"])

    def _init(self, mode: Any, id: str | None) -> Any:
        import wandb

        self._folder.mkdir(parents=True, exist_ok=True)
        # its capture of the terminal is one more thing that a dead service can break, and its own lines say too much
        settings = wandb.Settings(
            init_timeout=self._init_timeout,
            login_timeout=self._init_timeout,
            finish_timeout=self._finish_timeout,
            console="off",
            silent=True,
        )
        identity = {**self._identity, "id": id, "resume": "allow" if id else None}
        run = wandb.init(
            **self._place,
            **identity,
            dir=str(self._folder),
            mode=mode,
            reinit="create_new",
            config=self._config,
            settings=settings,
        )
        run.define_metric(STEP)
        run.define_metric("*", step_metric=STEP, step_sync=True)
        for scores, best in (("val/noc*", "min,last"), ("val/miou*", "max,last")):
            run.define_metric(scores, step_metric=STEP, step_sync=True, summary=best)
        return run

    def _lose(self) -> None:
        """Let the dead service go, so that the next attempt starts another."""
        import wandb

        self._run = None
        with suppress(Exception):  # it says again that there is no connection
            wandb.teardown()
        self._wait()

    def _wait(self) -> None:
        self._again, self._pause = time.monotonic() + self._pause, min(2 * self._pause, LONGEST_PAUSE)
        self._missed += 1


def keep(run: Any, files: Mapping[str, Path]) -> None:
    """Upload `files` by these names, from copies in the run's own folder, so that it can be moved before `wandb sync`."""
    for name, file in files.items():
        copy = Path(run.settings.files_dir) / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)
        run.save(str(copy), base_path=run.settings.files_dir, policy="now", glob=False)


def last_id(folder: Path) -> str | None:
    """The id of the newest online run that was written below `folder`, None where there is none."""
    runs = sorted((folder / "wandb").glob("run-*-*"))
    return runs[-1].name.split("-", 2)[2] if runs else None
