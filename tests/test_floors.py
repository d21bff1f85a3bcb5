"""The floors of docs/architecture.md: a file imports lower floors, and files of its own package.

The single files of one floor lie in one folder, so they may use each other; packages of one floor may not.
"""

import ast
from pathlib import Path

import pytest

import vfm_isrefiner

ROOT = Path(vfm_isrefiner.__file__).parent
FLOORS = [
    {"clicks", "device", "files", "instance", "interaction"},
    {"click_maps", "click_simulation", "distance", "distance_triton", "modulation", "losses", "metrics", "resample", "geo"},
    {"models", "rollout", "data"},
    {"zoom"},
    {"predictor"},
    {"evaluation", "peers"},
    {"training", "report", "batch"},
    {"benchmark", "annotator"},
    {"cli"},
]
FLOOR = {name: number for number, names in enumerate(FLOORS) for name in names}
# package -> the parts of the package that alone may import it
RESERVED = {
    "rasterio": {"geo"},
    "pyogrio": {"geo"},
    "shapely": {"geo"},
    "hydra": {"cli"},
    "omegaconf": {"cli"},
    "fastapi": {"annotator"},
    "starlette": {"annotator"},
    "uvicorn": {"annotator"},
    "wandb": {"training", "cli"},
    "lightning": {"training", "cli", "data/datamodule.py"},
}
FILES = sorted(path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py")


def part_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def is_file(part: str) -> bool:
    return (ROOT / f"{part}.py").is_file()


def imports_of(path: Path) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import; write the whole name"
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return found


def violations(path: Path) -> list[str]:
    part, wrong = part_of(path), []
    for name in imports_of(path):
        words = name.split(".")
        allowed = RESERVED.get(words[0])
        relative = path.relative_to(ROOT).as_posix()
        if allowed is not None and part not in allowed and relative not in allowed:
            wrong.append(f"{name}: only {', '.join(sorted(allowed))} may import it")
        if words[0] != "vfm_isrefiner" or len(words) < 2 or words[1] == "__version__":
            continue
        other = words[1]
        if other not in FLOOR:
            wrong.append(f"{name}: {other} has no floor; give it one in this test and in docs/architecture.md")
        elif other != part and FLOOR[other] >= FLOOR[part] + (is_file(other) and is_file(part)):
            wrong.append(f"{name}: floor {FLOOR[other]} from floor {FLOOR[part]}")
    return wrong


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_imports_go_down(path):
    assert part_of(path) in FLOOR, f"{path} stands on no floor"
    assert violations(path) == []


def test_every_floor_is_inhabited():
    assert set(FLOOR) == {part_of(path) for path in FILES}


def test_a_violation_is_found(tmp_path, monkeypatch):
    (tmp_path / "models").mkdir()
    bad = tmp_path / "models" / "bad.py"
    bad.write_text("import hydra\nfrom vfm_isrefiner.training.module import InteractiveSegmentation\n")
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    assert len(violations(bad)) == 2


def test_files_stay_small():
    long = {path.relative_to(ROOT).as_posix(): len(path.read_text().splitlines()) for path in FILES}
    assert {name: lines for name, lines in long.items() if lines > 270} == {}
