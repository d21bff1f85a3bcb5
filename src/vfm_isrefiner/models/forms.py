"""Two equal forms: parts that have a fast form of the paper's equations use it, but inside `plain_forms` they do not.

The plain form is what tests and benchmarks compare with. The two differ by rounding, which the modulation may magnify: eq. 9
compares probabilities with that of the clicked pixel, so that a pixel may change sides.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

_lock = Lock()
_inside = 0  # how many are in `plain_forms`, in all threads


def fast() -> bool:
    """Is the fast form to be used?"""
    return _inside == 0


@contextmanager
def plain_forms() -> Iterator[None]:
    """Inside, in all threads, every part computes as the paper writes it."""
    global _inside
    with _lock:
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
