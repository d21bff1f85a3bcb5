"""A server that is killed at any moment loses nothing that it has acknowledged."""

import http.client
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from threading import Thread

import pytest
from annotator.client import Client, Failed
from annotator.squares import count, middle, write_squares
from pyogrio.raw import read

KILLS, SIDE = 20, 768
LOST = (http.client.HTTPException, OSError)


class Person:
    """Accepts, relabels, edits and deletes until the server is gone.

    known: id -> (label, version) of what was acknowledged; None: deleted. begun: ids that an unanswered call may have changed.
    """

    def __init__(self, name, squares, seed):
        self.name, self.squares, self.random = name, squares, random.Random(seed)
        self.known, self.begun, self.key, self.clicks = {}, set(), None, None
        self.acknowledged = 0

    def work(self, port):
        with closing(Client(port)) as client:
            try:
                ann = client.begin(author=self.name, resume=self.key)
                if self.clicks is not None:
                    # a click that was not answered may have come through
                    assert ann.state["clicks"][: len(self.clicks)] == self.clicks, "acknowledged clicks are gone"
                self.key, self.clicks = ann.key, None
                while True:
                    self.step(client, ann)
            except LOST:
                return

    def step(self, client, ann):
        alive = [number for number, one in self.known.items() if one is not None and number not in self.begun]
        what = self.random.choice(("add", "add", "add", "relabel", "edit", "delete")) if len(alive) > 3 else "add"
        if what == "add":
            self.clicks = None
            ann.reset()
            state = ann.click(*middle(next(self.squares), SIDE))
            assert state["area_px"]
            self.clicks = state["clicks"]
            ann.click(*middle(next(self.squares), SIDE))
            self.clicks = ann.undo()["clicks"]
            self.clicks = None  # from here on the object may be accepted, and its clicks forgotten
            self.noted(ann.accept("added"))
            return
        number = self.random.choice(alive)
        _, version = self.known[number]
        self.begun.add(number)
        if what == "relabel":
            self.noted(client.relabel(number, f"again {version}", version))
        elif what == "delete":
            client.delete(number, version)
            self.known[number] = None
            self.acknowledged += 1
            self.begun.discard(number)
        else:
            ann.edit(number, version)
            self.noted(ann.accept("edited"))

    def noted(self, one):
        self.known[one["id"]] = (one["label"], one["version"])
        self.begun.discard(one["id"])
        self.acknowledged += 1

    def check(self, rows):
        """`rows`: id -> (label, version) of the file."""
        for number, one in self.known.items():
            if number in self.begun:
                now = rows.get(number)
                assert now is None or now[1] >= one[1]
                self.known[number] = now  # whatever came of the call that was not answered
            else:
                assert rows.get(number) == one
        self.begun.clear()


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_twenty_kills_lose_nothing(tmp_path):
    write_squares(tmp_path / "scene.tif", SIDE)
    squares = iter(random.Random(1).sample(range(count(SIDE)), count(SIDE)))
    people = [Person("Ada", squares, 1), Person("Ben", squares, 2)]
    clock, ended = random.Random(3), time.monotonic() + 150
    words = [sys.executable, str(Path(__file__).with_name("forking.py"))]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as nursery:
        try:
            assert nursery.stdout.readline() == "ready\n"
            for _ in range(KILLS):
                assert time.monotonic() < ended
                nursery.stdin.write(f"{tmp_path}\n")
                nursery.stdin.flush()
                pid, port = map(int, nursery.stdout.readline().split())
                one_life(pid, port, people, clock)
                for person in people:
                    person.check(rows_of(tmp_path / "objects.gpkg"))
        finally:
            nursery.kill()
    assert sum(person.acknowledged for person in people) > KILLS


def one_life(pid, port, people, clock):
    before = sum(person.acknowledged for person in people)
    faults = []

    def work(person):
        try:
            person.work(port)
        except (AssertionError, Failed) as fault:
            faults.append(fault)

    threads = [Thread(target=work, args=(person,)) for person in people]
    for thread in threads:
        thread.start()
    try:
        while sum(person.acknowledged for person in people) == before and not faults and any(one.is_alive() for one in threads):
            time.sleep(0.005)
        time.sleep(clock.uniform(0, 0.25))
    finally:
        os.kill(pid, signal.SIGKILL)
    for thread in threads:
        thread.join(30)
    assert faults == []


def rows_of(path):
    meta, numbers, shapes, fields = read(path, return_fids=True)
    columns = dict(zip(meta["fields"], fields, strict=True))
    assert all(shape is not None for shape in shapes)
    assert columns["id"].tolist() == numbers.tolist()
    return dict(zip(numbers.tolist(), zip(columns["label"].tolist(), columns["version"].tolist(), strict=True), strict=True))
