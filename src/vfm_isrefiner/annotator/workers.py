"""`Workers`: blocking work in a bounded pool of threads, with a bounded queue before it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar, final

from vfm_isrefiner.annotator.refusal import Refusal

Result = TypeVar("Result")


@final
class Workers:
    """Runs functions for the event loop; one pool for the model, others for tiles and files, so that none waits for another.

    Args:
        name: of the threads. threads: how many. waiting: how many calls may be in the pool and before it.
    """

    def __init__(self, name: str, threads: int, waiting: int) -> None:
        self._name, self._waiting, self._inside = name, waiting, 0
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name)

    async def run(self, work: Callable[..., Result], *arguments: Any) -> Result:
        """What `work` gives. Raises `Refusal` 503 where too many wait; and what `work` raises."""
        if self._inside >= self._waiting:
            raise Refusal(
                503,
                f"{self._inside} {self._name} requests are waiting already. Try again in a second.",
                headers={"Retry-After": "1"},
            )
        self._inside += 1  # the event loop's thread alone counts
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work, *arguments)
        finally:
            self._inside -= 1

    def close(self) -> None:
        """After the work that is being done."""
        self._pool.shutdown(cancel_futures=True)
