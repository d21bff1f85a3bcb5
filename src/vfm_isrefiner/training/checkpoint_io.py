"""Checkpoints that are whole or not there: written beside their place under another name, then renamed."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path
from typing import Any, final

import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO

from vfm_isrefiner.training.errors import SaveError


@final
class AtomicCheckpointIO(TorchCheckpointIO):
    """Lightning's plugin for local files; the temporary file lies in the same folder, so the rename is atomic.

    Raises:
        SaveError: the disk is full or the folder cannot be written to.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None) -> None:
        """Write `checkpoint` to `path`; an older file of that name stays untouched until the new one is complete."""
        target = Path(path)
        partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with partial.open("wb") as file:
                torch.save(checkpoint, file)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(target)
        except (OSError, RuntimeError) as error:
            # torch's zip writer turns a failed write into a RuntimeError that hides the reason
            raise SaveError(_message(target, error)) from error
        finally:
            with suppress(OSError):
                partial.unlink(missing_ok=True)


def _message(target: Path, error: Exception) -> str:
    reason = error if isinstance(error, OSError) else _os_error(error) or error
    what = f"Could not save the checkpoint {target}: {reason}."
    if isinstance(reason, OSError) and reason.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{what} The disk is full: free some space or point paths.outputs at another disk. Nothing half-written is left."
    return f"{what} Check that the folder exists and can be written to. Nothing half-written is left."


def _os_error(error: BaseException | None) -> OSError | None:
    while error is not None:
        if isinstance(error, OSError):
            return error
        error = error.__cause__ or error.__context__
    return None
