"""The meter sees this process and its children."""

import subprocess
import sys
import time

import pytest

from vfm_isrefiner.cli import meter
from vfm_isrefiner.cli.meter import Meter, cpu_seconds, family, memory_bytes

linux = pytest.mark.skipif(not meter.PROC.is_dir(), reason="/proc is Linux's")
BUSY = "import time\nheld = bytearray(60_000_000)\nwhile time.process_time() < {seconds}: pass\nprint(1, flush=True)\ninput()"


@linux
def test_children_and_their_children_count():
    with Meter() as watch:
        child = subprocess.Popen(
            [sys.executable, "-c", BUSY.format(seconds=0.3)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert child.stdout.readline() == b"1\n"
        assert child.pid in family()
        watch._look()
        child.communicate(b"\n")
    used = watch.used(2.0)
    assert used.seconds == 2.0
    assert used.cpu >= 0.25
    assert used.memory > 60_000_000


@linux
def test_work_before_it_does_not_count():
    until = time.process_time() + 0.3
    while time.process_time() < until:
        pass
    with Meter() as watch:
        pass
    assert watch.used(1.0).cpu < 0.25


def test_what_ended_or_is_not_told_counts_nothing(monkeypatch, tmp_path):
    monkeypatch.setattr(meter, "PROC", tmp_path)
    assert memory_bytes(1) == 0
    assert cpu_seconds(1) == 0
    assert family() == [meter.os.getpid()]
    assert cpu_seconds(meter.os.getpid()) > 0
