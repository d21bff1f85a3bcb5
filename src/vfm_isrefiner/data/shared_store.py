"""`SharedStore`: decoded images and id maps of all worker processes of one training process, in one piece of shared memory."""

from __future__ import annotations

import hashlib
import io
import pickle
from collections.abc import Hashable
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from vfm_isrefiner.data.shared_file import SharedFile

FREE, WRITING, READY = 0, 1, 2
SLOT = np.dtype([("hash", "S16"), ("state", "i8"), ("start", "i8"), ("header", "i8")])
PAGE, ALIGNED = 4096, 64
HEADER, PLACE = 128, 32  # more than a pickle of the stream and the places adds, and than one place takes in it
BYTES_PER_SLOT = 16 * 2**10  # decoded tiles are larger than that, so the budget ends before the slots do


@final
class SharedStore:
    """Values by key. What is stored stays: objects are drawn at random and alike, so the entry that was not used for the
    longest time is no less likely to come next than any other. Where a set is larger than the budget, the latest entries would
    be found no more often than these, and replacing adds the work of writing.

    A value may be any object that can be pickled. Its CPU tensors and arrays lie in the shared memory, are given back without a
    copy, and are not copied again as part of a second value; nobody may write into them.

    A process that is killed blocks no other and loses no more than the place of the entry that it was writing: entries are seen
    only when they are complete. Not for several threads of one process at once.

    Args:
        budget: bytes that the entries may hold together.

    Raises:
        OSError: the system has no such memory; see `SharedFile.possible`.
    """

    def __init__(self, budget: int) -> None:
        slots = max(1024, budget // BYTES_PER_SLOT)
        first = -(-(PAGE + slots * SLOT.itemsize) // PAGE) * PAGE
        self._open(SharedFile(first + budget), budget, slots, first)

    def _open(self, file: SharedFile, budget: int, slots: int, first: int) -> None:
        self.budget, self._slots, self._first = budget, slots, first
        self._file, self._memory = file, file.memory
        self._head = np.frombuffer(self._memory, np.int64, 2)  # bytes and slots taken
        self._table = np.frombuffer(self._memory, SLOT, slots, PAGE)
        self._address = self._head.ctypes.data

    def __getstate__(self) -> tuple[SharedFile, int, int, int]:
        return self._file, self.budget, self._slots, self._first

    def __setstate__(self, state: tuple[SharedFile, int, int, int]) -> None:
        self._open(*state)

    @property
    def held(self) -> int:
        """Bytes that the entries hold."""
        return int(self._head[0])

    def get(self, key: Hashable) -> Any:
        """The value of `key`, or None where it is not there."""
        with self._file.lock():
            slot = self._table[self._find(_hash(key))]
            if slot["state"] != READY:
                return None
            start, header = self._first + int(slot["start"]), int(slot["header"])
        stream, places = pickle.loads(self._memory[start : start + header])
        memory = memoryview(self._memory)
        parts = (memory[self._first + at : self._first + at + size] for at, size in places)
        return pickle.loads(stream, buffers=parts)

    def put(self, key: Hashable, value: Any) -> bool:
        """Store `value`. False where there is no place, or another process has stored it or is storing it."""
        stream, parts = _packed(value)
        there = [self._start_of(part) for part in parts]
        own = sum(_up(len(part)) for part, at in zip(parts, there, strict=True) if at is None)
        size, name = own + _up(len(stream) + HEADER + PLACE * len(parts)), _hash(key)
        with self._file.lock():
            index = self._find(name)
            if self._table[index]["state"] != FREE or not self._fits(size):
                return False
            start = int(self._head[0])
            self._table[index] = (name, WRITING, start + own, 0)
            self._head += (size, 1)
        places = []
        for part, at in zip(parts, there, strict=True):
            if at is None:
                at, start = start, start + _up(len(part))
                self._write(at, part)
            places.append((at, len(part)))
        header = pickle.dumps((stream, places))
        self._write(start, header)
        with self._file.lock():
            self._table[index]["header"], self._table[index]["state"] = len(header), READY
        return True

    def _write(self, start: int, part: bytes | memoryview) -> None:
        self._memory[self._first + start : self._first + start + len(part)] = part

    def _start_of(self, part: memoryview) -> int | None:
        """Where `part` lies in this store, None where it lies elsewhere."""
        if not len(part):
            return None
        at = np.frombuffer(part, np.uint8).ctypes.data - self._address - self._first
        return at if 0 <= at < self.budget else None

    def _fits(self, size: int) -> bool:
        return int(self._head[0]) + size <= self.budget and int(self._head[1]) < self._slots - 1  # one slot ends every search

    def _find(self, name: bytes) -> int:
        """The slot of `name`, or the free one where it would be."""
        index = int.from_bytes(name[:8], "little") % self._slots
        while self._table[index]["state"] != FREE and self._table[index]["hash"] != name:
            index = (index + 1) % self._slots
        return index


class _Packer(pickle.Pickler):
    def reducer_override(self, value: Any) -> Any:
        """CPU tensors go as arrays, whose bytes pickle hands over without copying them into the stream."""
        if isinstance(value, Tensor) and value.device.type == "cpu":
            return torch.from_numpy, (value.contiguous().numpy(),)
        return NotImplemented


def _packed(value: Any) -> tuple[bytes, list[memoryview]]:
    """The value without the bytes of its arrays, and these."""
    parts: list[pickle.PickleBuffer] = []
    stream = io.BytesIO()
    _Packer(stream, protocol=5, buffer_callback=parts.append).dump(value)
    return stream.getvalue(), [part.raw() for part in parts]


def _up(size: int) -> int:
    return -(-size // ALIGNED) * ALIGNED


def _hash(key: Hashable) -> bytes:
    """16 bytes that no two keys share; ends in none that numpy would cut off as padding."""
    return hashlib.blake2b(repr(key).encode(), digest_size=15).digest() + b"\x01"
