"""`Meter`: CPU time and memory of this process and of those that it started, while something runs."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import final

INTERVAL = 1.0  # seconds between looks at the memory
PROC = Path("/proc")


@dataclass(frozen=True)
class Used:
    """Seconds that passed, CPU seconds, and the most bytes held at a time (pages that processes share counted once)."""

    seconds: float
    cpu: float
    memory: int


@final
class Meter:
    """`with Meter() as meter: work()`. Looks into /proc, so on other systems than Linux it sees the time of this process alone.

    CPU time of a process that ended in between counts up to the last look at it; that of the looks themselves does not count.
    """

    def __init__(self) -> None:
        self._before: dict[int, float] = {}
        self._latest: dict[int, float] = {}
        self._memory, self._own = 0, 0.0
        self._done = threading.Event()
        self._watch = threading.Thread(target=self._look_on, daemon=True)

    def __enter__(self) -> Meter:
        self._look()
        self._before, self._own = dict(self._latest), 0.0
        self._watch.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._done.set()
        self._watch.join()
        self._look()

    def used(self, seconds: float) -> Used:
        """What was used in all, in `seconds` of work."""
        cpu = sum(latest - self._before.get(pid, 0.0) for pid, latest in self._latest.items())
        return Used(seconds, max(0.0, cpu - self._own), self._memory)

    def _look_on(self) -> None:
        while not self._done.wait(INTERVAL):
            self._look()

    def _look(self) -> None:
        begun = time.thread_time()
        pids = family()
        self._latest |= {pid: cpu_seconds(pid) for pid in pids}
        self._memory = max(self._memory, sum(memory_bytes(pid) for pid in pids))
        self._own += time.thread_time() - begun


def family() -> list[int]:
    """This process and all that it started, and these."""
    found, position = [os.getpid()], 0
    while position < len(found):
        for children in PROC.glob(f"{found[position]}/task/*/children"):
            found += [int(word) for word in _text(children).split()]
        position += 1
    return found


def cpu_seconds(pid: int) -> float:
    """User and system time; that of this process where /proc is missing, and 0 for one that ended."""
    fields = _text(PROC / str(pid) / "stat").rpartition(")")[2].split()
    if fields:
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return sum(os.times()[:2]) if pid == os.getpid() else 0.0


def memory_bytes(pid: int) -> int:
    """Its share of the memory: pages of its own, and its part of those that it shares; 0 where that is not told."""
    for line in _text(PROC / str(pid) / "smaps_rollup").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
