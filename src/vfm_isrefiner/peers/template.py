"""A whole bridge in one file, to copy or to port to another language: positive clicks paint disks, negative ones erase them.

    isrefiner evaluate peer=custom peer.command=[python3,template.py]

It speaks the protocol of docs/peers.md with nothing but the standard library and NumPy (Python 3.8 or newer). Put your own
network into `hello`, `set_image` and `predict`; leave the rest.
"""

from __future__ import annotations

import json
import os
import struct
import sys
from typing import BinaryIO

import numpy as np

state: dict = {}


def hello(options: dict) -> dict:
    """Load the network. `options`: what the command line gave as peer.options, and zoom, flip, device, code, checkpoint."""
    state["radius"] = options.get("radius", 5)
    return {"wire": 1, "name": "disks", "flips": False}


def set_image(image: np.ndarray) -> None:
    """(H, W, 3) RGB: uint8 with zoom "theirs", float32 in [0, 1] with "ours". A new object begins, forget the clicks."""
    state["size"] = image.shape[:2]


def predict(clicks: list, prev_prob: np.ndarray | None, flip: bool) -> np.ndarray:
    """All clicks so far, [row, column, positive (1 or 0)] -> probability (H, W); prev_prob (H, W) only with zoom "ours"."""
    height, width = state["size"]
    rows, columns = np.mgrid[:height, :width]
    prob = np.full((height, width), 0.1)
    for y, x, positive in clicks:
        prob[(rows - y) ** 2 + (columns - x) ** 2 <= state["radius"] ** 2] = 0.9 if positive else 0.1
    return prob


def read(pipe: BinaryIO, count: int) -> bytes:
    """Exactly `count` bytes; ends the process where the pipe was closed."""
    content = pipe.read(count)
    if len(content) < count:
        sys.exit(0)
    return content


def main() -> None:
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what the network prints goes to stderr and cannot break a frame
    while True:
        (length,) = struct.unpack(">I", read(requests, 4))
        header, arrays, answer, values = json.loads(read(requests, length)), {}, {}, b""
        for item in header["arrays"]:
            dtype = np.dtype({"uint8": "u1", "float32": "<f4"}[item["dtype"]])
            count = int(np.prod(item["shape"]))
            arrays[item["name"]] = np.frombuffer(read(requests, count * dtype.itemsize), dtype).reshape(item["shape"])
        try:
            if header["ask"] == "hello":
                answer = hello(header["options"])
            elif header["ask"] == "image":
                set_image(arrays["image"])
            elif header["ask"] == "predict":
                prob = np.asarray(predict(header["clicks"], arrays.get("prev_prob"), header["flip"]), "<f4")
                answer["arrays"] = [{"name": "prob", "dtype": "float32", "shape": prob.shape}]
                values = prob.tobytes()
        except Exception as error:
            answer = {"error": repr(error)}
        text = json.dumps(answer).encode()
        replies.write(struct.pack(">I", len(text)) + text + values)
        replies.flush()


if __name__ == "__main__":
    main()
