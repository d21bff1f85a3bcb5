"""`SharedFile`: memory that a process shares with those that it starts."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.context import get_spawning_popen
from multiprocessing.reduction import DupFd
from typing import Any, final


@final
class SharedFile:
    """An unnamed file in memory: it leaves nothing behind, does not count against the size of /dev/shm, takes memory as it is
    filled, and is gone when no process uses it or a view of it any more.

    Goes to processes that are forked and to those that multiprocessing spawns.

    Args:
        size: in bytes.

    Raises:
        OSError: the system has no such files; see `possible`.
    """

    def __init__(self, size: int) -> None:
        file = os.memfd_create("vfm-isrefiner")
        os.ftruncate(file, size)
        self._open(file, size)

    def _open(self, file: int, size: int) -> None:
        self._file, self.size = file, size
        self.memory = mmap.mmap(file, size)

    @staticmethod
    def possible() -> bool:
        """Whether this system has them (Linux)."""
        return hasattr(os, "memfd_create")

    @contextmanager
    def lock(self) -> Iterator[None]:
        """One process at a time. The system takes the lock back from a process that is killed. Not for threads."""
        import fcntl  # where there is no such module there are no such files either

        fcntl.lockf(self._file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN)

    def __getstate__(self) -> tuple[Any, int]:
        if get_spawning_popen() is None:
            raise TypeError("Shared memory goes to a process that is being started, not into a file or a queue.")
        return DupFd(self._file), self.size

    def __setstate__(self, state: tuple[Any, int]) -> None:
        self._open(state[0].detach(), state[1])

    def __del__(self) -> None:
        if hasattr(self, "_file"):
            os.close(self._file)  # the memory lives on while a view of it is in use
