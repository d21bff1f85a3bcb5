"""Reads the one file that an offline W&B run writes: blocks of 32 KiB that hold pieces of records."""

import json
import struct
import time

from wandb.proto import wandb_internal_pb2

BLOCK, HEADER = 32768, 7


def records(path):
    """The records of a `.wandb` file, in order, as far as they are written: its last piece may be on its way."""
    content, place, whole, found = path.read_bytes(), HEADER, b"", []  # the file's own head is as long as a piece's
    while place + HEADER <= len(content):
        if BLOCK - place % BLOCK < HEADER:
            place += BLOCK - place % BLOCK
            continue
        _, length, kind = struct.unpack("<IHB", content[place : place + HEADER])
        if place + HEADER + length > len(content):
            break
        whole += content[place + HEADER : place + HEADER + length]
        place += HEADER + length
        if kind in (1, 4):  # a whole record, or the last piece of one
            found.append(wandb_internal_pb2.Record.FromString(whole))
            whole = b""
    return found


def finished(path, seconds=30):
    """The records of a run that was finished; W&B's service writes the last of them a moment later."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = records(path)
        if any(record.WhichOneof("record_type") == "exit" for record in found):
            return found
        time.sleep(0.02)
    raise AssertionError(f"{path} was not finished within {seconds} s")


def only(folder):
    """The records of the only run below `folder`."""
    (path,) = folder.glob("**/offline-run-*/*.wandb")
    return finished(path)


def history(found):
    """One dictionary an entry; what was logged as a table or pictures is a dictionary of its parts."""
    entries = []
    for record in found:
        if record.WhichOneof("record_type") == "history":
            entries.append({})
            for item in record.history.item:
                first, *rest = item.nested_key or [item.key]
                value = json.loads(item.value_json)
                if rest:
                    entries[-1].setdefault(first, {})["/".join(rest)] = value
                else:
                    entries[-1][first] = value
    return entries


def config(found):
    """The settings, later ones over earlier ones."""
    updates = [
        update
        for record in found
        for update in [*record.run.config.update, *record.config.update]
        if record.WhichOneof("record_type") in ("run", "config")
    ]
    return {update.key or "/".join(update.nested_key): json.loads(update.value_json) for update in updates}


def summary(found):
    """The last values that were written to the summary by hand."""
    updates = [update for record in found for update in record.summary.update]
    return {update.key or "/".join(update.nested_key): json.loads(update.value_json) for update in updates}


def run(found):
    """Name, group, job type and tags."""
    return next(record.run for record in found if record.WhichOneof("record_type") == "run")


def files(found):
    """The files to upload."""
    return [item.path for record in found for item in record.files.files]
