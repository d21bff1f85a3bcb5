"""What can go wrong in a training run and is no bug of the code: each message says what to do."""

from __future__ import annotations

import signal


class TrainingError(RuntimeError):
    """A run that cannot go on, such as a loss that is not a number or a checkpoint of another backbone."""


class SaveError(OSError):
    """A file could not be written; nothing half-written is left."""


class StoppedBySignal(BaseException):
    """A signal asked the run to stop; its checkpoint is saved. No handler of errors on the way keeps it.

    Attributes:
        signum: the signal. checkpoint: the file to resume from.
    """

    def __init__(self, signum: int, checkpoint: str) -> None:
        super().__init__(f"Stopped by {signal.Signals(signum).name}; saved {checkpoint}. Resume with ckpt_path={checkpoint}")
        self.signum, self.checkpoint = signum, checkpoint

    @property
    def exit_code(self) -> int:
        """The shell's custom: 128 + signal, so 143 for SIGTERM and 138 for SIGUSR1 on Linux."""
        return 128 + self.signum
