"""`GoOn`: what a training can do without may fail; it is told once and the training goes on."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TypeVar, final

T = TypeVar("T")


@final
class GoOn:
    """Tells the first failure on stderr; later ones are counted and summed up on request.

    Args:
        what: the part that may fail, as the message calls it.
        errors: what counts as a failure; anything else is raised. A logger's libraries raise what they like: any Exception.
    """

    def __init__(self, what: str, errors: type[Exception] = Exception) -> None:
        self.what, self.errors, self.failures = what, errors, 0
        self._summed_up = 1

    def past(self, action: Callable[[], T], otherwise: T) -> T:
        """What `action` returns, or `otherwise` where it fails."""
        try:
            return action()
        except self.errors as error:
            self.failures += 1
            if self.failures == 1:
                print(
                    f"{self.what} failed ({_told(error)}). The run goes on without it, and tries again; "
                    "checkpoints and results do not depend on it.",
                    file=sys.stderr,
                )
            return otherwise

    def sum_up(self) -> None:
        """One line with the number of failures, where there were more than have been told of."""
        if self.failures > self._summed_up:
            print(f"{self.what} failed {self.failures} times in all.", file=sys.stderr)
            self._summed_up = self.failures


def _told(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
