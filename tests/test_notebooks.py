"""Every notebook runs, cell by cell, in a folder of its own."""

import json
import sys
import types
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


def run(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """All names that the notebook leaves."""
    monkeypatch.chdir(tmp_path)
    display = types.ModuleType("IPython.display")  # the notebook's own viewer is not needed to run its code
    display.Image = lambda name: Path(name).read_bytes()
    display.Markdown = str
    shell = types.ModuleType("IPython")
    shell.get_ipython, shell.version_info = (lambda: None), (9, 0)  # matplotlib asks for both
    monkeypatch.setitem(sys.modules, "IPython", shell)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    names: dict = {}
    for cell in json.loads(path.read_text())["cells"]:
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), path.name, "exec"), names)
    return names


def test_one_object(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    run(FOLDER / "one_object.ipynb", tmp_path, monkeypatch)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["one_object.png", "one_object_modulation.png"]
    assert [line[:8] for line in capsys.readouterr().out.splitlines()] == [f"click {number}:" for number in range(1, 6)]


def test_compare_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = run(FOLDER / "compare_runs.ipynb", tmp_path, monkeypatch)
    assert [name for name, _, _ in names["compared"]] == ["gated", "first"]
    content = (tmp_path / "report.html").read_text()
    assert content.count("<img ") == 4  # differences, sizes, curves, panels
    assert content.count("<table") == 4  # runs, NoC, differences, sizes


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_kept_without_outputs(path: Path) -> None:
    cells = json.loads(path.read_text())["cells"]
    kept = [cell["id"] for cell in cells if cell.get("outputs") or cell.get("execution_count")]
    assert kept == []
    assert len({cell["id"] for cell in cells}) == len(cells)


def test_every_notebook_is_run() -> None:
    assert [path.stem for path in NOTEBOOKS] == ["compare_runs", "one_object"]
