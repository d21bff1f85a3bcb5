"""Tables and JSON of what was measured."""

import json

import pytest

from vfm_isrefiner.benchmark import machine as subject
from vfm_isrefiner.benchmark.machine import Peaks, machine, measured_peaks, multiplies_bfloat16
from vfm_isrefiner.benchmark.measure import Measure, Report, Target
from vfm_isrefiner.benchmark.timing import Timing


def test_targets_are_met_or_not_or_cannot_be_told() -> None:
    assert Measure("a", 1.4, "×", target=Target(1.45)).met is True
    assert Measure("a", 1.5, "×", target=Target(1.45)).met is False
    assert Measure("a", 500, "clicks/s", target=Target(500, at_most=False)).met is True
    assert Measure("a", None, "×", target=Target(1.45)).met is None
    assert Measure("a", 1.0, "×").met is None


def test_cells_of_a_row() -> None:
    measure = Measure.of("click", Timing((0.1, 0.2, 0.3)), "ms", Target(250), scale=1e3)
    assert measure.cells() == ("click", "200 ms", "150–250", "≤ 250 ms", "yes")
    assert Measure("rounds", 6000, "").cells()[1] == "6,000"
    assert Measure("bf16", None, "ms", note="none here").cells()[1] == "not measured"


def test_report_as_markdown_and_json(tmp_path) -> None:
    rows = [Measure("a", 2.0, "s", target=Target(1), note="as is"), Measure("b", None, "s")]
    report = Report("click", machine(), {"repeats": 3}, rows, {"batch": [(1.0, 0.5)]})
    text = report.markdown()
    assert "| a | 2 s |  | ≤ 1 s | no |" in text
    assert "- a: as is" in text
    assert text.endswith(machine().line())
    report.save(tmp_path / "speed.json")
    read = json.loads((tmp_path / "speed.json").read_text())
    assert [row["met"] for row in read["measures"]] == [False, None]
    assert read["growth"] == {"batch": [[1.0, 0.5]]}
    assert read["machine"]["versions"]["torch"]


def test_the_floor_is_the_slower_of_both() -> None:
    peaks = Peaks(flops=100.0, bytes=10.0)
    assert peaks.floor(200.0, 10.0) == 2.0
    assert peaks.floor(200.0, 50.0) == 5.0


def test_peaks_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    peaks = measured_peaks(repeats=1)
    assert 1e8 < peaks.flops < 1e16
    assert 1e7 < peaks.bytes < 1e14


@pytest.mark.parametrize(("flags", "expected"), [("fpu avx512_bf16 sse", True), ("fpu avx512f", False)])
def test_bfloat16_is_read_from_the_flags(flags, expected, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "cpuinfo"
    file.write_text(f"processor\t: 0\nmodel name\t: Some CPU\nflags\t\t: {flags}\n")
    monkeypatch.setattr(subject, "CPU_INFO", file)
    assert multiplies_bfloat16() is expected
    assert machine().processor == "Some CPU"
    monkeypatch.setattr(subject, "CPU_INFO", tmp_path / "none")
    assert multiplies_bfloat16() is False
