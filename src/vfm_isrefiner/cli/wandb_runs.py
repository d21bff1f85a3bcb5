"""Finished runs from W&B as folders, for `isrefiner report wandb:ENTITY/PROJECT/RUN_ID`."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import parse_qsl

from vfm_isrefiner.evaluation import INSTANCES_FILE, SUMMARY_FILE
from vfm_isrefiner.training.wandb_report import CONFIG_FILE, KEPT_RUN_FILE, RUN_FILE

PREFIX = "wandb:"
FORM = re.compile(r"(?P<project>[^/?]+/[^/?]+)(?:/(?P<run>[^/?]+)|\?(?P<filters>.+))?")
# word of the command line -> filter of W&B's API
FILTERS: Mapping[str, Callable[[str], dict[str, Any]]] = {
    "group": lambda value: {"group": value},
    "job_type": lambda value: {"jobType": value},
    "name": lambda value: {"display_name": value},
    "state": lambda value: {"state": value},
    "tag": lambda value: {"tags": {"$in": [value]}},
}


def fetched(words: Sequence[str], cache_folder: str | Path, api: Callable[[], Any] | None = None) -> list[Path]:
    """Folders for `words`: a folder is taken as it is, `wandb:...` is downloaded into `cache_folder`/ENTITY/PROJECT/RUN_ID.

    `wandb:ENTITY/PROJECT/RUN_ID` is one run, `wandb:ENTITY/PROJECT` all of a project, `wandb:ENTITY/PROJECT?group=G&tag=T`
    those that fit. Of several, runs without our files are told and left out.

    Args:
        api: makes a `wandb.Api`; None is that one.

    Raises:
        ValueError: a word is of another form, there is no such run, none of several has our files, or nobody is logged in.
        FileNotFoundError: a single run has not all of our files.
    """
    made: list[Any] = []

    def client() -> Any:
        if not made:
            made.append(_api() if api is None else api())
        return made[0]

    folders: list[Path] = []
    for word in words:
        if word.startswith(PREFIX):
            folders += _of_word(word, Path(cache_folder), client)
        else:
            folders.append(Path(word))
    return folders


def _of_word(word: str, cache: Path, client: Callable[[], Any]) -> list[Path]:
    form = FORM.fullmatch(word.removeprefix(PREFIX))
    if form is None:
        raise ValueError(f"{word} names no W&B run; write wandb:ENTITY/PROJECT/RUN_ID or wandb:ENTITY/PROJECT?group=NAME.")
    project, run_id = form["project"], form["run"]
    if run_id is not None:
        with _told(word):
            run = client().run(f"{project}/{run_id}")
            return [_downloaded(run, word, cache / project / run_id)]
    filters = _filters(word, form["filters"])
    folders: list[Path] = []
    with _told(word):
        for run in client().runs(project, filters=filters):
            try:
                folders.append(_downloaded(run, f"{PREFIX}{project}/{run.id}", cache / project / run.id))
            except FileNotFoundError as missing:
                print(f"left out: {missing}")
    if not folders:
        raise ValueError(f"{word}: no finished run there; look at the project's page, or give other filters than {filters}.")
    return folders


def _filters(word: str, text: str | None) -> dict[str, Any]:
    pairs = parse_qsl(text or "")
    unknown = [name for name, _ in pairs if name not in FILTERS]
    if unknown or bool(text) != bool(pairs):
        raise ValueError(f"{word} filters by {', '.join(unknown) or 'nothing'}; runs are filtered by {', '.join(FILTERS)}.")
    return {"$and": [FILTERS[name](value) for name, value in pairs]} if pairs else {}


def _downloaded(run: Any, word: str, folder: Path) -> Path:
    """The run's files in `folder`, all of them or none; a fresh copy replaces an older one.

    Raises:
        FileNotFoundError: the run has not all of our files.
    """
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        _download(run, [KEPT_RUN_FILE], partial, word)
        content = json.loads((partial / KEPT_RUN_FILE).replace(partial / RUN_FILE).read_text())
        places = [_inside(place, word) for place in content.get("evaluations", {}).values()]
        _download(run, [str(place / name) for place in places for name in (SUMMARY_FILE, INSTANCES_FILE)], partial, word)
        _download(run, [CONFIG_FILE], partial, None)
        shutil.rmtree(folder, ignore_errors=True)
        partial.replace(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder


def _download(run: Any, names: Sequence[str], folder: Path, word: str | None) -> None:
    """The files of these names; without a `word` to tell, those that are missing are left out."""
    found = {file.name: file for file in run.files(names=list(names))} if names else {}
    missing = [name for name in names if name not in found]
    if missing and word is not None:
        raise FileNotFoundError(
            f"{word} has no {', '.join(missing)}: the run has not ended, or was not logged by `isrefiner` with logger=wandb."
        )
    for file in found.values():
        file.download(root=str(folder), replace=True).close()


def _inside(place: str, word: str) -> PurePosixPath:
    path = PurePosixPath(place)
    if path.is_absolute() or ".." in path.parts:
        raise ValueError(
            f"{word}: its {RUN_FILE} names the folder {place!r}, which is outside of the run; it is not one of ours."
        )
    return path


@contextmanager
def _told(word: str) -> Iterator[None]:
    """W&B's own errors as one that says what to do."""
    import wandb  # here: half a second that a report of folders need not wait for
    from wandb.apis.public.runs import RunNotFoundError
    from wandb.sdk.lib.service.service_connection import WandbApiFailedError

    try:
        yield
    except wandb.errors.UsageError as error:
        raise ValueError(f"{word}: {error} Log in with `wandb login`, or set WANDB_API_KEY.") from error
    except RunNotFoundError as error:
        raise ValueError(f"{word}: there is no such run, or this account may not see it.") from error
    except (wandb.Error, WandbApiFailedError) as error:
        raise ValueError(f"{word}: W&B answered: {error}") from error


def _api() -> Any:
    import wandb

    return wandb.Api()
