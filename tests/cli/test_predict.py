"""`isrefiner predict` as a user types it: one scene, many scenes, wrong words."""

from pathlib import Path

import pytest
import torch
from batch_scenes import at, predictor, write_prompts, write_scene
from pyogrio.raw import read

from vfm_isrefiner.models.build import build_isrefiner
from vfm_isrefiner.models.network_file import save_network
from vfm_isrefiner.predictor import Predictor

WORDS = ("--checkpoint", "network.safetensors", "--window", "32", "--max-window", "256", "--device", "cpu")


@pytest.fixture
def folder(tmp_path):
    write_scene(tmp_path / "scene.tif")
    write_prompts(tmp_path / "prompts.gpkg")
    torch.manual_seed(0)
    save_network(build_isrefiner("test", image_size=64), tmp_path / "network.safetensors")
    return tmp_path


@pytest.fixture
def known(monkeypatch):
    """Loading gives the network whose masks are known; the settings that it was loaded with."""
    asked = []

    def load(path, **settings):
        asked.append((path, settings))
        return predictor()

    monkeypatch.setattr(Predictor, "from_checkpoint", load)
    return asked


def test_a_scene(isrefiner, capsys, folder):
    words = ("predict", "scene.tif", "--prompts", "prompts.gpkg", "--out", "masks/out.gpkg", *WORDS)
    assert isrefiner(*words) == 0
    assert "masks/out.gpkg: 4 objects\n" in capsys.readouterr().out
    meta, _, _, fields = read("masks/out.gpkg")
    columns = dict(zip(meta["fields"], fields, strict=True))
    assert columns["object"].tolist() == ["d", "a", "b", "c"]
    assert ((columns["score"] >= 0) & (columns["score"] <= 1)).all()
    assert isrefiner(*words) == 0
    assert "is there already: nothing to do" in capsys.readouterr().out


@pytest.mark.parametrize(("words", "gather"), [((), 0), (("--workers", "3"), 3), (("--workers", "3", "--released"), 0)])
def test_workers_gather_where_rows_do_not_mix(isrefiner, folder, known, words, gather):
    assert isrefiner("predict", "scene.tif", "--prompts", "prompts.gpkg", "--out", "out.gpkg", *WORDS, *words) == 0
    assert known[0][1]["gather"] == gather
    assert known[0][1]["waiting"] >= 64
    assert read("out.gpkg")[3][0].tolist() == ["d", "a", "b", "c"]


def test_small_pieces(isrefiner, capsys, folder, known):
    words = ("predict", "scene.tif", "--prompts", "prompts.gpkg", *WORDS)
    assert isrefiner(*words, "--out", "out.gpkg", "--min-area", "70px", "--fill-holes", "all") == 0
    assert "warning: all pieces of 1 objects, such as b, are smaller than --min-area\n" in capsys.readouterr().err
    areas = dict(zip(*(read("out.gpkg", columns=[name])[3][0].tolist() for name in ("object", "area_px")), strict=True))
    assert areas == {"d": 240, "a": 16 * 18, "b": 0, "c": 280}
    assert isrefiner(*words, "--out", "other.gpkg", "--min-area", "a lot") == 1
    assert "such as 20 (m²), 50px (pixels) or all was expected, got 'a lot'" in capsys.readouterr().err


def test_settings_arrive(isrefiner, capsys, folder, known):
    more = ("--threshold", "0.4", "--flip", "--bands", "3,2,1", "--simplify", "1", "--layer", "roofs", "--precision", "bf16")
    write_prompts(Path("prompts.gpkg"), [at(34, 10), at(8, 60), at(200, 5)], plot=[1, 2, 3], side=[1, 1, 1])
    columns = ("--object-field", "plot", "--label-field", "side", "--prompt-layer", "prompts", "--skip-outside")
    words = ("predict", "scene.tif", "--prompts", "prompts.gpkg", "--out", "out.gpkg", *WORDS, "--max-window", "64")
    assert isrefiner(*words, *more, *columns) == 0
    ((path, settings),) = known
    assert path == "network.safetensors"
    assert (settings["threshold"], settings["flip"], settings["precision"], settings["device"]) == (0.4, True, "bf16", "cpu")
    told = capsys.readouterr()
    assert "out.gpkg: 2 objects" in told.out
    assert "1 prompts outside of the scene were left out" in told.err
    assert "1 objects, such as 2, reach over the largest window; raise --max-window" in told.err
    assert read("out.gpkg", layer="roofs")[0]["fields"].tolist()[0] == "plot"


def test_many_scenes_of_which_one_is_broken(isrefiner, capsys, folder, known):
    for name in ("a", "c"):
        write_scene(folder / f"{name}.tif")
        write_prompts(folder / f"{name}.geojson")
    (folder / "b.tif").write_bytes((folder / "a.tif").read_bytes()[:40])
    (folder / "list.txt").write_text("a.tif\nb.tif\nc.tif\n")
    words = ("predict", "list.txt", "--prompts", "{scene}.geojson", "--out", "out/{scene}.tif", *WORDS)
    assert isrefiner(*words) == 1
    told = capsys.readouterr()
    assert "b.tif cannot be read as a raster" in told.err
    assert sorted(one.name for one in Path("out").iterdir()) == ["a.ids.csv", "a.tif", "c.ids.csv", "c.tif"]
    assert len(known) == 1, "the network is loaded once"
    (folder / "b.tif").unlink()
    write_scene(folder / "b.tif")
    write_prompts(folder / "b.geojson")
    assert isrefiner(*words) == 0
    assert capsys.readouterr().out.count("nothing to do") == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--out", "a.gpkg", *WORDS), "--prompts FILE is needed"),
        (("--prompts", "prompts.gpkg", *WORDS), "--out FILE is needed"),
        (("--prompts", "prompts.gpkg", "--out", "a.gpkg", "--checkpoint", "none.pth"), "none.pth is not a file"),
        (("--prompts", "prompts.gpkg", "--out", "a.kml", *WORDS), "means no format"),
        (("--prompts", "none.gpkg", "--out", "a.gpkg", *WORDS), "There is no file none.gpkg"),
        (("--prompts", "prompts.gpkg", "--out", "a.gpkg", *WORDS, "--window", "8"), "sides from at least 16 pixels"),
        (("--prompts", "prompts.gpkg", "--out", "a.gpkg", *WORDS, "--bands", "1,2,9"), "has 3 bands"),
    ],
)
def test_wrong_words(isrefiner, capsys, folder, words, message):
    assert isrefiner("predict", "scene.tif", *words) == 1
    assert message in capsys.readouterr().err
    assert not Path("a.gpkg").exists()


def test_wrong_usage_and_help(isrefiner, capsys, folder):
    assert isrefiner("predict") == 2
    assert isrefiner("predict", "scene.tif", "--bands", "red") == 2
    assert "three numbers such as 4,3,2 were expected, got 'red'" in capsys.readouterr().err
    assert isrefiner("predict", "--help") == 0
    assert "a pixel is the earlier object's" in capsys.readouterr().out


def test_stopped_by_hand(isrefiner, capsys, folder, monkeypatch):
    def load(path, **settings):
        raise KeyboardInterrupt

    monkeypatch.setattr(Predictor, "from_checkpoint", load)
    assert isrefiner("predict", "scene.tif", "--prompts", "prompts.gpkg", "--out", "a.gpkg", *WORDS) == 130
    assert "what is done stays" in capsys.readouterr().err
