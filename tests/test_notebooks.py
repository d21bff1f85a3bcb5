"""Every notebook runs, cell by cell, in a folder of its own."""

import json
import sys
import types
from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    display = types.ModuleType("IPython.display")  # the notebook's own viewer is not needed to run its code
    display.Image = lambda name: Path(name).read_bytes()
    shell = types.ModuleType("IPython")
    shell.get_ipython, shell.version_info = (lambda: None), (9, 0)  # matplotlib asks for both
    monkeypatch.setitem(sys.modules, "IPython", shell)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    names: dict = {}
    for cell in json.loads(path.read_text())["cells"]:
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), path.name, "exec"), names)
    assert list(tmp_path.glob("*.png"))


def test_there_is_a_notebook() -> None:
    assert NOTEBOOKS
