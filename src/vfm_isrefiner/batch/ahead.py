"""`in_order`: the next steps are taken by threads while the caller still works on the last result."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_order(step: Callable[[Item], Result], items: Iterable[Item], threads: int, most: int) -> Generator[Result, None, None]:
    """`step` of each of `items`, in their order.

    Closing the iterator waits for the steps that run; so does an error, of a step or of the caller's.

    Args:
        items: taken one by one, by the caller's thread, as there is room.
        threads: that take steps.
        most: results and running steps that are held at a time, the one that the caller works on not counted: with 1 thread and
            2 of them, one is being read while another is used.

    Raises:
        ValueError: a number is below 1. What `step` raises, in the place of its result.
    """
    if threads < 1 or most < 1:
        raise ValueError(f"in_order needs threads >= 1 and most >= 1, got threads={threads}, most={most}.")
    return _in_order(step, items, threads, most)


def _in_order(step: Callable[[Item], Result], items: Iterable[Item], threads: int, most: int) -> Generator[Result, None, None]:
    held: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(threads, thread_name_prefix="ahead") as pool:
        try:
            for item in items:
                if len(held) == most:
                    yield held.popleft().result()
                held.append(pool.submit(step, item))
            while held:
                yield held.popleft().result()
        finally:
            for one in held:
                one.cancel()
