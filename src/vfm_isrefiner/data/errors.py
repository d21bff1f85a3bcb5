"""`DataError`: something is wrong with the files that a person gave us."""

from __future__ import annotations


class DataError(ValueError):
    """A set cannot be read. The message says which file, what was found, what was expected and what to do."""
