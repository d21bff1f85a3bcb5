"""`PeerProcess`: another program that predicts, spoken to over its pipes; whatever goes wrong there is a `PeerError`."""

from __future__ import annotations

import contextlib
import os
import select
import shlex
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, Self, final

import numpy as np

from vfm_isrefiner.peers.bridge import WIRE, pack, unpack

LAST_LINES = 25
GRACE = 1.0  # seconds that a process gets to end by itself
SLACK = 1e-4  # resizing in float32 leaves probabilities a little outside [0, 1]


class PeerError(ValueError):
    """A peer could not be started, ended, was silent for too long, or answered something else than it should."""


@final
class PeerProcess:
    """A peer that plays one image at a time.

    What it answers is a function of the image and the clicks alone: it is told the image again wherever the clicks do not go on
    from those that it has played.

    Args:
        command: program and arguments; no shell reads them.
        options: sent with the first request, plain values.
        folder: where it runs, or None for the current one.
        timeout: seconds for an image, and for each click. start_timeout: seconds to load the network.
    """

    def __init__(
        self,
        command: Sequence[str],
        options: Mapping[str, Any],
        *,
        folder: Path | None = None,
        timeout: float = 120.0,
        start_timeout: float = 600.0,
    ) -> None:
        self.command, self.options, self.folder = list(command), dict(options), folder
        self.timeout, self.start_timeout = timeout, start_timeout
        self.hello: dict[str, Any] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._closed = False
        self._asked = ""
        self._lines: deque[str] = deque(maxlen=LAST_LINES)
        self._listener: threading.Thread | None = None
        self._image: np.ndarray | None = None
        self._clicks: list[list[float]] = []

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def start(self) -> dict[str, Any]:
        """Start it where it is not running, and let it load its network; what it said of itself.

        Raises:
            PeerError: it cannot be started, or speaks another version of the protocol.
        """
        if self._process is not None or self._closed:
            return self.hello
        environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
        pipe = subprocess.PIPE
        try:
            self._process = subprocess.Popen(
                self.command,
                bufsize=0,
                stdin=pipe,
                stdout=pipe,
                stderr=pipe,
                cwd=self.folder,
                env=environment,  # our own search path would hide the peer's packages
                start_new_session=True,
            )
        except OSError as error:
            self._closed = True
            raise PeerError(f"The peer could not be started: {error}.\n  command: {shlex.join(self.command)}") from error
        self._listener = threading.Thread(target=self._listen, args=(self._process,), daemon=True)
        self._listener.start()
        self.hello, _ = self._ask({"ask": "hello", "options": self.options}, {}, self.start_timeout, "to load its network")
        if self.hello.get("wire") != WIRE or not isinstance(self.hello.get("flips"), bool):
            self._fail(f"answered the greeting with {self.hello}, where wire={WIRE}, a name, and flips=true or false are due")
        return self.hello

    def play(self, image: np.ndarray, clicks: list[list[float]], prev_prob: np.ndarray | None, flip: bool) -> np.ndarray:
        """The probability (H, W) float32 after `clicks`, in [0, 1].

        Args:
            image: (H, W, 3), uint8, or float32 in [0, 1]. clicks: row, column, 1 or 0 (positive or not), in time order.
            prev_prob: (H, W) float32 for peers whose every call stands alone; None for those that remember.
            flip: average with the mirrored image.

        Raises:
            PeerError: it failed; it is closed then.
        """
        self.start()
        if not self._holds(image) or self._clicks != clicks[: len(self._clicks)]:
            self._image, self._clicks = None, []
            self._ask({"ask": "image"}, {"image": image}, self.timeout, f"to take an image of {_shape(image)}")
            self._image = image.copy()
        new = 1 if prev_prob is not None else max(len(clicks) - len(self._clicks), 1)
        _, arrays = self._ask(
            {"ask": "predict", "clicks": clicks, "flip": flip},
            {} if prev_prob is None else {"prev_prob": prev_prob},
            self.timeout * new,
            f"to predict click {len(clicks)} on an image of {_shape(image)}",
        )
        self._clicks = [] if prev_prob is not None else clicks
        return self._checked(arrays, image.shape[:2])

    def close(self) -> None:
        """End it and all that it started."""
        self._closed = True
        if self._process is not None:
            self._end(self._process)

    def _holds(self, image: np.ndarray) -> bool:
        held = self._image
        return held is not None and held.dtype == image.dtype and np.array_equal(held, image)

    def _checked(self, arrays: Mapping[str, np.ndarray], size: tuple[int, ...]) -> np.ndarray:
        """The answered probability, if it is one."""
        prob = arrays.get("prob")
        if prob is None or prob.dtype != np.float32 or prob.shape != size:
            got = "nothing named prob" if prob is None else f"{prob.dtype} of {_shape(prob)}"
            self._fail(f"answered {got}, where a float32 probability of {_shape(np.empty(size, bool))} is due")
        if not np.isfinite(prob).all():
            self._fail(f"answered {int((~np.isfinite(prob)).sum())} values that are not finite, of {prob.size}")
        low, high = float(prob.min()), float(prob.max())
        if low < -SLACK or high > 1 + SLACK:
            self._fail(f"answered values from {low:g} to {high:g}, where probabilities in [0, 1] are due")
        return prob.clip(0, 1)

    def _ask(
        self, header: dict[str, Any], arrays: Mapping[str, np.ndarray], seconds: float, asked: str
    ) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Send a request and wait for its answer."""
        process = self._process
        if self._closed or process is None:
            raise PeerError(f"The peer was asked {asked} and has been closed before; start it again.")
        self._asked = asked
        until = time.monotonic() + seconds
        try:
            self._write(process, pack(header, arrays), until)
            answer, values = unpack(lambda count: self._read(process, count, until))
        except TimeoutError:
            self._fail(f"was silent for {seconds:g} s; a slow one needs peer.timeout or peer.start_timeout raised")
        except (EOFError, OSError):
            self._fail("ended")
        except (ValueError, KeyError, TypeError) as error:
            self._fail(f"sent no frame ({error}); its stdout is for frames alone")
        except BaseException:  # interrupted, such as from the keyboard: what it answers later would be taken for another answer
            self.close()
            raise
        if "error" in answer:
            self._fail(f"reported {answer['error']}")
        return answer, values

    @staticmethod
    def _write(process: subprocess.Popen[bytes], content: bytes, until: float) -> None:
        assert process.stdin is not None
        pipe, left = process.stdin.fileno(), memoryview(content)
        os.set_blocking(pipe, False)  # a peer that hangs does not read either
        while left:
            _wait(pipe, select.POLLOUT, until)
            left = left[os.write(pipe, left) :]

    @staticmethod
    def _read(process: subprocess.Popen[bytes], count: int, until: float) -> bytes:
        assert process.stdout is not None
        pipe, content = process.stdout.fileno(), bytearray()
        while len(content) < count:
            _wait(pipe, select.POLLIN, until)
            part = os.read(pipe, count - len(content))
            if not part:
                raise EOFError
            content += part
        return bytes(content)

    def _fail(self, what: str) -> NoReturn:
        """Close it and say what it did, what it was asked, and its last words."""
        self._closed = True
        assert self._process is not None
        code = self._end(self._process)
        status = "" if code is None else f" (exit status {code})" if code >= 0 else f" (signal {-code})"
        last = "".join(f"\n    {line}" for line in self._lines) or " nothing"
        raise PeerError(
            f"The peer {what}{status}. It had been asked {self._asked}.\n"
            f"  command: {shlex.join(self.command)}\n  its last lines:{last}"
        )

    def _end(self, process: subprocess.Popen[bytes]) -> int | None:
        """Let it end, or end it, with its whole group; its status where it ended by itself."""
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(OSError):
            process.stdin.close()
        until, ended = time.monotonic() + GRACE, process.returncode is not None
        while not ended and time.monotonic() < until:
            # not reaped yet, so that its number, the group's, cannot belong to another one
            ended = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
            time.sleep(0 if ended else 0.01)
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
        status = process.wait()
        if self._listener is not None:
            self._listener.join(GRACE)
        process.stdout.close()
        return status if ended else None

    def _listen(self, process: subprocess.Popen[bytes]) -> None:
        """Keep the last lines of its stderr; a progress bar's carriage return ends a line too."""
        assert process.stderr is not None
        with process.stderr as pipe:
            rest = b""
            while part := pipe.read(4096):
                *lines, rest = (rest + part).replace(b"\r", b"\n").split(b"\n")
                rest = rest[-2000:]
                self._lines.extend(line.decode(errors="replace")[-500:] for line in lines if line.strip())
            if rest.strip():
                self._lines.append(rest.decode(errors="replace")[-500:])


def _wait(pipe: int, event: int, until: float) -> None:
    """Until the pipe can be written or read, or is closed. Raises TimeoutError."""
    ready = select.poll()
    ready.register(pipe, event)
    if not ready.poll(1000 * max(until - time.monotonic(), 0)):
        raise TimeoutError


def _shape(array: np.ndarray) -> str:
    return " × ".join(map(str, array.shape))
