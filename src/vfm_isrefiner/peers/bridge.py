"""The peer's end of the pipe: run by the peer's own interpreter, it answers requests with what a player predicts.

    python bridge.py PLAYER.py

Python 3.8 or newer, the standard library and NumPy. `docs/peers.md` describes the frames and requests. A player file has a
class `Player(options)` with `name`, `flips`, `set_image(image)` and `predict(clicks, prev_prob, flip)`.
"""

from __future__ import annotations

import importlib.util
import json
import os
import struct
import sys
import traceback
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, BinaryIO

WIRE = 1  # version of frames and requests
LONGEST_HEADER = 1 << 20
DTYPES = {"uint8": "u1", "float32": "<f4"}


def pack(header: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> bytes:
    """One frame: length of the header (4 bytes, big-endian), header in JSON, then the arrays' values in its order."""
    described = [{"name": name, "dtype": str(array.dtype), "shape": array.shape} for name, array in arrays.items()]
    text = json.dumps({**header, "arrays": described}).encode()
    values = [np.ascontiguousarray(array).astype(DTYPES[str(array.dtype)], copy=False).tobytes() for array in arrays.values()]
    return b"".join([struct.pack(">I", len(text)), text, *values])


def unpack(read: Callable[[int], bytes]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The next frame of `read`, which gives exactly as many bytes as it is asked for.

    Raises:
        ValueError: the bytes are no frame.
    """
    start = read(4)
    (length,) = struct.unpack(">I", start)
    if length > LONGEST_HEADER:
        raise ValueError(f"{start!r} came where a frame begins: something else wrote there")
    header = json.loads(read(length))
    arrays = {}
    for item in header.pop("arrays", []):
        if item["dtype"] not in DTYPES:
            raise ValueError(f"array {item['name']} has dtype {item['dtype']}; send {' or '.join(DTYPES)}")
        dtype = np.dtype(DTYPES[item["dtype"]])
        size = int(np.prod(item["shape"], dtype=np.int64))
        arrays[item["name"]] = np.frombuffer(read(size * dtype.itemsize), dtype).reshape(item["shape"])
    return header, arrays


def serve(player_file: str, requests: BinaryIO, replies: BinaryIO) -> None:
    """Answer until the other end closes the pipe. A fault of the player is an answer too."""
    player = None

    def read(count: int) -> bytes:
        content = requests.read(count)
        if len(content) < count:
            raise EOFError
        return content

    while True:
        try:
            header, arrays = unpack(read)
        except EOFError:
            return
        try:
            if header["ask"] == "hello":
                player = load_player(player_file, header["options"])
                answer, values = {"wire": WIRE, "name": player.name, "flips": player.flips}, {}
            else:
                answer, values = {}, answered(player, header, arrays)
        except Exception as error:
            traceback.print_exc()
            answer, values = {"error": f"{type(error).__name__}: {error}"}, {}
        sys.stdout.flush()
        replies.write(pack(answer, values))
        replies.flush()


def load_player(file: str, options: dict[str, Any]) -> Any:
    """The `Player` of `file`, with the peer's code importable."""
    if options.get("code"):
        sys.path.insert(0, options["code"])
    spec = importlib.util.spec_from_file_location("peer_player", file)
    assert spec is not None, file
    assert spec.loader is not None, file
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Player(options)


def answered(player: Any, header: dict[str, Any], arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays that answer an "image" or a "predict"."""
    if header["ask"] == "image":
        player.set_image(arrays["image"].copy())  # writable: torch warns of others
        return {}
    clicks = [(y, x, bool(positive)) for y, x, positive in header["clicks"]]
    previous = arrays.get("prev_prob")
    prob = player.predict(clicks, None if previous is None else previous.copy(), header["flip"])
    return {"prob": np.asarray(prob).astype(np.float32, copy=False)}


def main() -> None:
    """Keep the two pipes to ourselves, so that the peer may print and read as it likes, and serve."""
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    del sys.path[0]  # this file's folder: its names must not hide the peer's
    serve(sys.argv[1], requests, replies)


if __name__ == "__main__":
    main()
