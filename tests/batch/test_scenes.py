"""Which prompts and which output belong to which scene."""

from pathlib import Path

import pytest

from vfm_isrefiner.batch.scenes import Job, jobs_of


def test_arguments_lists_and_patterns(tmp_path):
    (tmp_path / "list.txt").write_text(f"# two\nb.tif\n\n  {tmp_path}/deep/c.d.tif \n")
    jobs = jobs_of(["a.tif", str(tmp_path / "list.txt")], "p/{scene}.gpkg", "o/{scene}.shp")
    assert jobs[0] == Job(Path("a.tif"), Path("p/a.gpkg"), Path("o/a.shp"))
    assert jobs[1:] == [
        Job(tmp_path / "b.tif", Path("p/b.gpkg"), Path("o/b.shp")),
        Job(tmp_path / "deep/c.d.tif", Path("p/c.d.gpkg"), Path("o/c.d.shp")),
    ]
    assert jobs_of(["a.tif"], "p.gpkg", "o.gpkg") == [Job(Path("a.tif"), Path("p.gpkg"), Path("o.gpkg"))]
    assert len(jobs_of(["a.tif", "a.tif"], "p.gpkg", "{scene}.gpkg")) == 1


def test_what_cannot_be_told_apart(tmp_path):
    (tmp_path / "empty.txt").write_text("\n# none\n")
    for scenes, out, message in (
        (
            ["a.tif", "b.tif"],
            "o.gpkg",
            r"--out o.gpkg is one file for 2 scenes. Name one each, such as --out masks/\{scene\}.gpkg",
        ),
        (["x/a.tif", "y/a.tif"], "{scene}.gpkg", "x/a.tif and y/a.tif would both be written to a.gpkg"),
        (["none.txt"], "o.gpkg", "There is no file none.txt"),
        ([str(tmp_path / "empty.txt")], "o.gpkg", "There is no scene in"),
        (["a.tif"], "a.tif", "--out a.tif is a file that is read"),
        (["a.tif"], "./p.gpkg", "--out p.gpkg is a file that is read"),
    ):
        with pytest.raises(ValueError, match=message):
            jobs_of(scenes, "p.gpkg", out)
