"""`isrefiner annotate` as a user types it."""

import os
import re
import signal
import subprocess
import sys
from contextlib import closing

import pytest
import torch
from annotator.client import Client
from batch_scenes import write_scene

from vfm_isrefiner.cli import annotate
from vfm_isrefiner.models.build import build_isrefiner
from vfm_isrefiner.models.network_file import save_network


@pytest.fixture
def network(tmp_path):
    torch.manual_seed(0)
    save_network(build_isrefiner("test", image_size=64), tmp_path / "small.safetensors")
    return ("--checkpoint", "small.safetensors", "--device", "cpu", "--no-browser")


@pytest.fixture
def served(monkeypatch):
    """What `serve` is called with, instead of serving."""
    calls = []

    def serve(app, socket, address, browser):
        calls.append((app, address, browser))
        app.state.desk.close()

    monkeypatch.setattr("vfm_isrefiner.annotator.server.serve", serve)
    return calls


def test_a_scene_goes_beside_itself(isrefiner, capsys, tmp_path, network, served):
    (tmp_path / "in").mkdir()
    write_scene(tmp_path / "in" / "scene.tif")
    assert isrefiner("annotate", "in/scene.tif", "--labels", "roof, car", *network) == 0
    assert "scene.tif: 0 objects in in/scene.gpkg" in capsys.readouterr().out
    ((app, address, browser),) = served
    assert (tmp_path / "in" / "scene.gpkg").is_file()
    assert app.state.desk.scenes["0"].labels == ["roof", "car"]
    assert app.state.desk.model == "small"
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", address)
    assert not browser


def test_several_scenes_and_a_token(isrefiner, tmp_path, network, served, monkeypatch):
    for name in ("a.tif", "b.tif"):
        write_scene(tmp_path / name)
    monkeypatch.setenv("ISREFINER_TOKEN", "a-secret-of-some-length")
    words = ("annotate", "a.tif", "b.tif", "--host", "0.0.0.0", "--allowed-host", "map.example.org")
    assert isrefiner(*words, "--out", "objects/{scene}.gpkg", *network) == 0
    ((app, address, _),) = served
    assert [one.path.name for one in app.state.desk.scenes.values()] == ["a.tif", "b.tif"]
    assert sorted(one.name for one in (tmp_path / "objects").glob("*.gpkg")) == ["a.gpkg", "b.gpkg"]
    assert address.endswith("/?token=a-secret-of-some-length")


def test_without_a_file_a_scene_is_drawn(isrefiner, tmp_path, network, served, monkeypatch):
    monkeypatch.setattr("vfm_isrefiner.annotator.example.SIZE", (96, 128))
    monkeypatch.setattr("vfm_isrefiner.annotator.example.example_scene.__defaults__", ((96, 128), "urban"))
    assert isrefiner("annotate", *network) == 0
    (scene,) = served[0][0].state.desk.scenes.values()
    assert scene.grid.crs.to_epsg() == 32633
    assert scene.grid.gsd == pytest.approx(0.3)
    drawn = (tmp_path / "isrefiner-example" / "example-urban.tif").read_bytes()
    assert isrefiner("annotate", *network) == 0
    assert (tmp_path / "isrefiner-example" / "example-urban.tif").read_bytes() == drawn


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("missing.tif",), "There is no file missing.tif"),
        (("scene.tif", "--host", "0.0.0.0"), "needs a token"),
        (("scene.tif", "--token", "short"), "at least 12"),
        (("scene.tif", "--token", ""), "at least 12"),
        (("scene.tif", "--out", "objects.geojson"), "GeoPackage"),
        (("scene.tif", "other.tif", "--out", "objects.gpkg"), "one file for 2 scenes"),
        (("scene.tif", "--bands", "1,2,7"), "Name three that exist"),
        (("scene.tif", "--host", "203.0.113.7", "--token", "long-enough-it-is"), "Cannot listen"),
        (("scene.tif", "--checkpoint", "none.safetensors"), "none.safetensors"),
    ],
)
def test_wrong_words(isrefiner, capsys, tmp_path, network, words, told):
    write_scene(tmp_path / "scene.tif")
    assert isrefiner("annotate", *network, *words) == 1
    error = capsys.readouterr().err
    assert told in error
    assert "Traceback" not in error


@pytest.mark.parametrize(
    "words", [("--labels", ","), ("--port", "70000"), ("--bands", "red"), ("--labels", "x" * 81), ("--sessions", "0")]
)
def test_words_that_cannot_be_read(isrefiner, capsys, words):
    assert isrefiner("annotate", *words) == 2
    assert "expected" in capsys.readouterr().err


def test_a_missing_package_is_named(isrefiner, capsys, monkeypatch):
    monkeypatch.setattr(annotate, "NEEDED", ("a_package_that_is_not_there",))
    assert isrefiner("annotate") == 1
    assert 'pip install "vfm-isrefiner[annotate]"' in capsys.readouterr().err


def test_a_process_serves_until_it_is_stopped(tmp_path, network):
    write_scene(tmp_path / "scene.tif")
    words = [sys.executable, "-m", "vfm_isrefiner.cli.main", "annotate", "scene.tif", *network]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        words, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            address = next(line for line in process.stdout if line.startswith("annotate at"))
            with closing(Client(int(re.search(r":(\d+)/", address)[1]))) as client:
                assert client.begin().click(20, 20)["score"] is not None
                assert b"<html" in client.raw("GET", "/")[2]
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=60)
        finally:
            process.kill()
    assert "Traceback" not in errors
    assert process.returncode == 0
