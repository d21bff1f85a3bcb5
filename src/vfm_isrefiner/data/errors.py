"""`DataError`: something is wrong with the files that a person gave us."""

from __future__ import annotations


class DataError(ValueError):
    """A set cannot be read. The message says which file, what was found, what was expected and what to do.

    Args:
        message: of the first fault.
        more: messages of further faults that were found in the same pass; `faults` keeps all, the message says how many.
    """

    def __init__(self, message: str, *more: str) -> None:
        super().__init__(f"{message} ({len(more)} more such faults; `isrefiner data check` lists all.)" if more else message)
        self.faults = (message, *more)
