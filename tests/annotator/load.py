"""Simulated annotators on loopback: `python tests/annotator/load.py --people 20 --seconds 120`.

Each clicks on objects of its own, corrects and undoes some, accepts, polls and looks at tiles, with a pause as a person makes
it. Told are times of a click, failed calls, objects that were acknowledged and are not in the file, and the server's memory.
"""

import argparse
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread

sys.path.insert(0, str(Path(__file__).parents[1]))

from annotator.client import Client, Failed
from annotator.squares import count, middle, write_squares
from pyogrio.raw import read

SIDE = 2048
TRIES = 20  # of a call that the server puts off


@dataclass
class Seen:
    """What one person has met. clicks, tiles: seconds each took. accepted, edited: ids. stale: edits that came too late."""

    clicks: list = field(default_factory=list)
    tiles: list = field(default_factory=list)
    accepted: list = field(default_factory=list)
    edited: list = field(default_factory=list)
    busy: int = 0
    stale: int = 0
    errors: list = field(default_factory=list)


class Person:
    """Works until `ended`; `squares` are the objects that nobody else clicks on."""

    def __init__(self, port, number, squares, ended, pause, token=None):
        self.port, self.name, self.squares, self.ended = port, f"person {number}", squares, ended
        self.pause, self.token, self.random, self.seen = pause, token, random.Random(number), Seen()

    def work(self):
        try:
            with closing(Client(self.port, self.token)) as client:
                ann, version = self.patient(lambda: client.begin(author=self.name)), 0
                for number, square in enumerate(self.squares):
                    if time.monotonic() > self.ended:
                        return
                    self.one(client, ann, *middle(square, SIDE))
                    version = self.patient(client.objects, "0", version)["version"]
                    if number % 3 == 0:
                        self.look(client)
        except Exception as error:
            self.seen.errors.append(f"{type(error).__name__}: {error}")

    def one(self, client, ann, x, y):
        self.timed(ann.click, x, y)
        if self.random.random() < 0.4:
            self.timed(ann.click, x + 1, y)
        if self.random.random() < 0.2:
            self.timed(ann.click, x + 6, y, False)
            self.patient(ann.undo)
        if ann.state["polygon"] is None:  # a network may find nothing; so a person goes on
            self.patient(ann.reset)
            return
        # a mask that took too much may cover the next square, and a click there opens that object
        to = self.seen.accepted if ann.state["editing"] is None else self.seen.edited
        try:
            to.append(self.patient(ann.accept, self.name)["id"])
        except Failed as failed:
            if failed.status != 409:
                raise
            self.seen.stale += 1
            self.patient(ann.reset)

    def timed(self, call, *arguments):
        begun = time.perf_counter()
        self.patient(call, *arguments)
        self.seen.clicks.append(time.perf_counter() - begun)
        time.sleep(self.pause * self.random.uniform(0.5, 1.5))

    def patient(self, call, *arguments):
        """As the page: what the server puts off is asked again."""
        for _ in range(TRIES):
            try:
                return call(*arguments)
            except Failed as failed:
                if failed.status != 503:
                    raise
                self.seen.busy += 1
                time.sleep(min(1.0, float(failed.headers.get("retry-after", 1))))
        raise TimeoutError(f"put off {TRIES} times")

    def look(self, client):
        begun = time.perf_counter()
        z = self.random.randrange(4)
        self.patient(client.get, f"/api/scenes/0/tiles/{z}/{self.random.randrange(2**z)}/{self.random.randrange(2**z)}.png")
        self.seen.tiles.append(time.perf_counter() - begun)


def work_of(port, people, seconds, pause, each=4000):
    """What all of them have met together, after at least `seconds`."""
    squares = random.Random(0).sample(range(count(SIDE)), min(count(SIDE), people * each))
    ended = time.monotonic() + seconds
    crowd = [Person(port, number, squares[number::people], ended, pause) for number in range(people)]
    threads = [Thread(target=one.work) for one in crowd]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    together = Seen()
    for one in crowd:
        for name in ("clicks", "tiles", "accepted", "edited", "errors"):
            getattr(together, name).extend(getattr(one.seen, name))
        together.busy += one.seen.busy
        together.stale += one.seen.stale
    return together


def lost(seen, path):
    """Acknowledged objects that the file does not hold, or holds twice, and ids that two objects got."""
    held, given = Counter(read(path, columns=["id"], read_geometry=False)[3][0].tolist()), Counter(seen.accepted)
    return [number for number in {*given, *seen.edited} if held[number] != 1 or given[number] > 1]


def megabytes(pid):
    """Of the memory that a process holds."""
    return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1]) / 1024


def told(seen, path, before, after):
    """The lines of the report."""
    lines = [
        f"{len(seen.clicks)} clicks, {len(seen.accepted)} objects accepted, {len(seen.edited)} edited, {len(seen.tiles)} tiles"
    ]
    for name, times in (("click", seen.clicks), ("tile", seen.tiles)):
        if len(times) > 1:
            cuts = statistics.quantiles(times, n=100)
            lines.append(f"{name}: median {1000 * cuts[49]:.0f} ms, 95th percentile {1000 * cuts[94]:.0f} ms")
    lines.append(f"lost objects: {len(lost(seen, path))}, failed calls: {len(seen.errors)}")
    lines.append(f"put off and asked again: {seen.busy}, edits of what another had changed: {seen.stale}")
    lines.append(f"memory of the server: {before:.0f} MB before, {after:.0f} MB after")
    return [*lines, *seen.errors[:5]]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--pause", type=float, default=1.0, help="seconds after a click, on average")
    parser.add_argument("--checkpoint", help="a network instead of the one of colours")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        scene = write_squares(Path(folder) / "scene.tif", SIDE)
        if args.checkpoint:
            words = ["-m", "vfm_isrefiner.cli.main", "annotate", "--checkpoint", args.checkpoint, "--no-browser", str(scene)]
        else:
            words = [str(Path(__file__).with_name("serve.py")), "--folder", folder, str(scene)]
        with subprocess.Popen([sys.executable, *words], stdout=subprocess.PIPE, text=True, env=os.environ) as server:
            try:
                port = int(next(re.search(r":(\d+)/", line)[1] for line in server.stdout if line.startswith("annotate at")))
                work_of(port, args.people, 0, 0, each=2)  # what is loaded once
                before = megabytes(server.pid)
                seen = work_of(port, args.people, args.seconds, args.pause)
                print("\n".join(told(seen, Path(folder) / "scene.gpkg", before, megabytes(server.pid))))
            finally:
                server.terminate()


if __name__ == "__main__":
    main()
