"""Work in several processes: none outlives this one, and one that is killed is told."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import Connection
from multiprocessing.reduction import DupFd
from typing import Any, TypeVar

import cv2
import torch

from vfm_isrefiner.data.errors import DataError

Item = TypeVar("Item")
Result = TypeVar("Result")

_task: list[Any] = []  # of a worker: the work and its items


class Held:
    """An open file that a worker holds open too, such as one that is locked: the lock ends with the last of them."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def __getstate__(self) -> Any:
        return DupFd(self.descriptor)

    def __setstate__(self, state: Any) -> None:
        self.descriptor = state.detach()


def in_processes(
    work: Callable[[Item], Result], items: Sequence[Item], workers: int, held: int, preload: Sequence[str] = ()
) -> Generator[tuple[int, Result]]:
    """(position, `work` of that item) as they are done, by `workers` processes. Ending early stops those at once.

    Workers are forked from a fresh process that has imported `preload`: they share its memory and inherit neither threads nor
    locks of this one. `items` go to each worker once, together: what they share is sent once.

    Args:
        work: can be pickled; its first exception ends all and is raised here.
        held: descriptor of a file that workers keep open, see `Held`.

    Raises:
        DataError: a worker was killed.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, *preload])
    ours, theirs = context.Pipe(duplex=False)
    pool = ProcessPoolExecutor(workers, context, _begin, (work, list(items), ours, Held(held)))
    try:
        positions = {pool.submit(_one, position): position for position in range(len(items))}
        for future in as_completed(positions):
            yield positions[future], future.result()
        pool.shutdown()  # in order: nobody has anything left to do
    except BrokenProcessPool as error:
        raise DataError(
            "A worker process was killed, most often for lack of memory. Give fewer workers, such as workers=1, and run again: "
            "what is done stays."
        ) from error
    finally:
        theirs.close()
        pool.shutdown(cancel_futures=True)
        ours.close()


def _begin(work: Callable[[Any], Any], items: list[Any], alive: Connection, held: Held) -> None:
    """In a new worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process; the first one decides
    torch.set_num_threads(1)  # the cores are shared by processes
    cv2.setNumThreads(1)
    threading.Thread(target=_end_with, args=(alive,), daemon=True).start()
    _task[:] = work, items, held


def _end_with(alive: Connection) -> None:
    """End this worker when the process that started it has closed its side, or has been killed."""
    alive.poll(None)
    os._exit(1)


def _one(position: int) -> Any:
    work, items, _ = _task
    return work(items[position])
