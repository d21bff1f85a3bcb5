"""What clients are told when something does not work: one sentence, and nothing of the server's inside."""

import errno
import logging
import sqlite3
from contextlib import closing
from threading import Thread

import numpy as np
import pytest
import rasterio
from annotator.client import Client, Failed
from annotator.colour_network import ColourNetwork
from batch_scenes import GRIDS, write_scene

from vfm_isrefiner.annotator.scene import AnnotatedScene
from vfm_isrefiner.predictor import NetworkBusy, Predictor
from vfm_isrefiner.zoom import ZoomRule


def failed(call, *arguments, **body):
    with pytest.raises(Failed) as one:
        call(*arguments, **body)
    return one.value


def test_a_busy_network(client, monkeypatch):
    ann = client.begin()

    def busy(*_):
        raise NetworkBusy("7 calls wait")

    monkeypatch.setattr("vfm_isrefiner.predictor.session.Session.play", busy)
    one = failed(ann.click, 8, 6)
    assert (one.status, one.headers["retry-after"]) == (503, "1")
    assert "Try again" in one.body["detail"]
    monkeypatch.undo()
    assert ann.click(8, 6)["can_undo"]


def test_a_full_disk(client, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("vfm_isrefiner.annotator.exporting.write_outcome", full)
    one = failed(client.get, "/api/scenes/0/export?format=gpkg")
    assert (one.status, one.headers["retry-after"]) == (503, "10")
    assert "No space left on device" in one.body["detail"]


def test_a_fault_of_the_code(client, monkeypatch, caplog):
    def wrong(*_):
        raise ZeroDivisionError("secret of /the/server")

    monkeypatch.setattr(AnnotatedScene, "told", wrong)
    with caplog.at_level(logging.CRITICAL, "uvicorn.error"):
        status, headers, content = client.raw("GET", "/api/scenes")
    assert status == 500
    assert headers["content-type"] == "application/json"
    assert b"secret" not in content
    assert b"fault of its own" in content


def test_a_locked_file_holds_up_nobody_else(serve, tmp_path, monkeypatch):
    monkeypatch.setattr("vfm_isrefiner.geo.geopackage.WAIT_SECONDS", 0.5)
    client = serve()
    ann = client.begin()
    ann.click(8, 6)
    with closing(sqlite3.connect(tmp_path / "utm.gpkg", isolation_level=None)) as other, closing(Client(client.port)) as second:
        other.execute("BEGIN IMMEDIATE")
        refusals = []
        waiting = Thread(target=lambda: refusals.append(failed(ann.accept, "roof")))
        waiting.start()
        while waiting.is_alive():
            assert second.get("/health")["status"] == "ok"
            assert second.raw("GET", "/")[0] == 200
        other.execute("ROLLBACK")
    assert [one.status for one in refusals] == [503]
    assert "Close it in other programs" in refusals[0].body["detail"]
    assert ann.accept("roof")["id"] == 1


def test_files_go_by_their_names(serve, tmp_path):
    write_scene(tmp_path / "case.tif", dtype=np.uint16)
    client = serve(grids=("case",))
    one = failed(client.get, "/api/scenes/0/tiles/0/0/0.png?stretch=none")
    assert one.status == 422
    assert one.body["detail"].startswith("case.tif is uint16")
    assert str(tmp_path) not in one.body["detail"]


def test_a_raster_that_breaks_while_it_is_open(serve, tmp_path):
    values = np.random.default_rng(0).integers(0, 255, (3, 600, 600), np.uint8)
    profile = {"height": 600, "width": 600, "count": 3, "dtype": "uint8", "crs": "EPSG:32733", "transform": GRIDS["utm"][0]}
    with rasterio.open(tmp_path / "case.tif", "w", driver="GTiff", compress="deflate", **profile) as file:
        file.write(values)
    client = serve(grids=("case",))
    ann = client.begin()
    with (tmp_path / "case.tif").open("r+b") as file:
        file.truncate(40_000)
    one = failed(ann.click, 500, 500)
    assert one.status == 422
    assert "case.tif cannot be read" in one.body["detail"]
    assert client.get(f"/api/sessions/{ann.key}")["clicks"] == []


def test_a_gathering_network_ends_with_the_server(serve):
    predictor = Predictor(ColourNetwork(), zoom=ZoomRule(None, skip_clicks=999), gather=4)
    ann = serve(plays=predictor).begin()
    state = ann.click(8, 6)
    serve.stop()
    with pytest.raises(RuntimeError):
        predictor.session(np.zeros((32, 32, 3), np.uint8)).click(1, 1)
    again = serve(plays=Predictor(ColourNetwork(), zoom=ZoomRule(None, skip_clicks=999)))
    assert again.begin(resume=ann.key).state["polygon"] == state["polygon"]


def test_a_raster_that_is_gone_is_named(serve, tmp_path):
    client = serve()
    (tmp_path / "utm.tif").rename(tmp_path / "elsewhere.tif")
    one = failed(client.get, "/api/scenes/0/tiles/0/0/0.png")
    assert one.status == 422
    assert "utm.tif cannot be read" in one.body["detail"]
    assert str(tmp_path) not in one.body["detail"]
