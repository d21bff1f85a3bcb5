"""The miniatures are the same whenever they are written, and the script runs by itself."""

import subprocess
import sys
from pathlib import Path

import miniatures


def content(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_same_bytes_from_the_script(tmp_path):
    miniatures.write_all(tmp_path / "here")
    subprocess.run([sys.executable, Path(miniatures.__file__), tmp_path / "there"], check=True)
    here = content(tmp_path / "here")
    assert here == content(tmp_path / "there")
    assert {name.partition("/")[0] for name in here} == {
        *("isaid", "isaid_coco", "potsdam", "loveda", "nwpu", "whu", "whu_satellite", "sandbar", "authors_patches")
    }
