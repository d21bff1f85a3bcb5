"""The API as a client meets it."""

import json
import zipfile
from io import BytesIO

import numpy as np
import pytest
from annotator.client import Failed
from batch_scenes import truth

from vfm_isrefiner.annotator.registry import Registry


def refused(status, call, *arguments, **body):
    """The sentence of a refusal."""
    with pytest.raises(Failed) as failed:
        call(*arguments, **body)
    assert failed.value.status == status, failed.value.body
    assert failed.value.body["detail"].endswith(".")
    return failed.value.body["detail"]


def test_a_scene_is_described(client):
    (listed,) = client.get("/api/scenes")
    one = client.get("/api/scenes/0")
    assert listed == {name: one[name] for name in listed}
    assert (one["width"], one["height"], one["bands"], one["dtype"]) == (96, 64, 3, "uint8")
    assert one["crs"] == "EPSG:32733"
    assert one["geotransform"] == [0.5, 0, 500_000, 0, -0.5, 6_000_000]
    assert one["gsd_m"] == 0.5
    assert one["labels"] == ["roof", "car"]
    assert (one["tile_size"], one["levels"], one["default_bands"]) == (256, 1, [1, 2, 3])
    assert one["stretches"] == ["none", "percentile", "minmax"]
    assert len(one["band_names"]) == 3


def test_health(client):
    client.begin()
    assert client.get("/health") | {"version": ""} == {
        "status": "ok",
        "version": "",
        "model": "grey",
        "device": "cpu",
        "sessions": 1,
    }


def test_an_object_from_click_to_file(client):
    ann = client.begin(author="Ada")
    assert (ann.state["clicks"], ann.state["polygon"], ann.state["window"], ann.state["note"]) == ([], None, None, None)
    state = ann.click(8, 6)
    assert state["clicks"] == [{"x": 8, "y": 6, "positive": True}]
    assert state["polygon"]["type"] == "MultiPolygon"
    (polygon,) = state["polygon"]["coordinates"]
    assert len(polygon) == 2  # the hole
    xs, ys = np.array(polygon[0]).T
    assert (xs.min(), xs.max(), ys.min(), ys.max()) == (5.5, 23.5, 3.5, 19.5)
    assert state["area_px"] == truth(60).sum()
    assert state["area_m2"] == pytest.approx(state["area_px"] * 0.25, rel=2e-3)
    assert 0 < state["score"] <= 1
    assert (state["can_undo"], state["can_redo"], state["editing"]) == (True, False, None)
    one = ann.accept("roof")
    assert one["polygon"] == state["polygon"]
    assert (one["label"], one["author"], one["clicks"], one["area_px"]) == ("roof", "Ada", 1, state["area_px"])
    assert (ann.state["clicks"], ann.state["polygon"]) == ([], None)
    assert client.objects()["objects"] == [one]


def test_the_label_may_come_later(client):
    ann = client.begin()
    one = ann.click(8, 6) and ann.accept("")
    assert one["label"] == ""
    assert client.relabel(one["id"], "roof", one["version"])["label"] == "roof"


def test_undo_redo_and_discard(client):
    ann = client.begin()
    first = ann.click(8, 6)
    second = ann.click(34, 10)
    assert second["area_px"] > first["area_px"]
    undone = ann.undo()
    assert undone["polygon"] == first["polygon"]
    assert (undone["can_undo"], undone["can_redo"]) == (True, True)
    assert ann.redo()["polygon"] == second["polygon"]
    assert ann.undo()["can_redo"]
    assert not ann.click(12, 7)["can_redo"]
    assert ann.reset()["polygon"] is None
    assert "no click to undo" in refused(422, ann.undo)
    assert "no click to redo" in refused(422, ann.redo)
    assert "nothing to accept" in refused(422, ann.accept)


def test_undoing_all_leaves_nothing_that_cannot_come_back(client):
    ann = client.begin()
    clicked = ann.click(8, 6)
    assert ann.undo()["polygon"] is None
    assert ann.redo()["polygon"] == clicked["polygon"]


def test_a_click_on_an_accepted_object_opens_it(client):
    ann = client.begin(author="Ada")
    one = ann.click(8, 6) and ann.accept("roof")
    state = ann.click(20, 15)
    assert state["editing"] == one["id"]
    assert state["polygon"] == one["polygon"]
    assert state["clicks"] == []
    assert f"object {one['id']}" in state["note"]
    again = ann.click(34, 10) and ann.accept("car")
    assert (again["id"], again["label"], again["clicks"]) == (one["id"], "car", 2)
    assert again["version"] > one["version"]
    assert client.objects()["objects"] == [again]


def test_editing_and_discarding_leaves_the_object(client):
    ann = client.begin()
    one = ann.click(8, 6) and ann.accept("roof")
    assert ann.edit(one["id"], one["version"])["polygon"] == one["polygon"]
    ann.click(34, 10)
    ann.reset()
    assert client.objects()["objects"] == [one]


def test_nothing_is_overwritten_silently(client):
    ada, ben = client.begin(author="Ada"), client.begin(author="Ben")
    one = ada.click(8, 6) and ada.accept("roof")
    ben.edit(one["id"], one["version"])
    changed = client.relabel(one["id"], "car", one["version"])
    for stale in (
        lambda: ben.accept("roof"),
        lambda: ben.edit(one["id"], one["version"]),
        lambda: client.relabel(one["id"], "tree", one["version"]),
        lambda: client.delete(one["id"], one["version"]),
    ):
        with pytest.raises(Failed) as failed:
            stale()
        assert failed.value.status == 409
        assert failed.value.body["object"] == changed
    assert "Ada" in failed.value.body["detail"]
    assert client.objects()["objects"] == [changed]


def test_polling(client):
    ann = client.begin()
    one = ann.click(8, 6) and ann.accept("roof")
    two = ann.click(34, 10) and ann.accept("car")
    seen = client.objects()
    assert [each["id"] for each in seen["objects"]] == [one["id"], two["id"]]
    assert client.objects(since=seen["version"]) == {"version": seen["version"], "objects": [], "deleted": []}
    client.delete(one["id"], one["version"])
    changed = client.relabel(two["id"], "roof", two["version"])
    news = client.objects(since=seen["version"])
    assert (news["objects"], news["deleted"]) == ([changed], [one["id"]])
    back = client.restore(one["id"])
    assert (back["polygon"], back["id"]) == (one["polygon"], one["id"])
    assert client.objects(since=news["version"])["objects"] == [back]
    assert client.objects(since=seen["version"])["deleted"] == []
    refused(404, client.restore, one["id"])
    refused(404, client.delete, 99, 1)


def test_a_deletion_before_a_restart_reaches_who_polls(serve):
    client = serve()
    ann = client.begin()
    one = ann.click(8, 6) and ann.accept("roof")
    two = ann.click(34, 10) and ann.accept("roof")
    seen = client.objects()["version"]
    client.delete(one["id"], one["version"])
    again = serve()
    assert again.objects(since=seen) == {"version": seen + 1, "objects": [], "deleted": [one["id"]]}
    assert again.objects()["objects"] == [two]


def test_clicks_that_cannot_be(client):
    ann = client.begin()
    before = ann.click(8, 6)
    assert "outside of the scene" in refused(422, ann.click, 96, 5)
    assert "outside of the scene" in refused(422, ann.click, -0.6, 5)
    assert client.get(f"/api/sessions/{ann.key}") == before


def test_the_probability(client):
    ann = client.begin()
    refused(404, client.get, f"/api/sessions/{ann.key}/probability.png")
    left, top, right, bottom = ann.click(8, 6)["window"]
    image = decoded(client.get(f"/api/sessions/{ann.key}/probability.png"))
    assert image.shape == (bottom - top, right - left, 4)
    inside = image[truth(60)[top:bottom, left:right]]
    assert (inside[:, 3] > 190).all()
    assert (image[~truth(60)[top:bottom, left:right]][:, 3] < 10).all()


def decoded(content):
    import cv2

    return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)


def test_sessions_end_and_go_on(client):
    ann = client.begin(author="Ada")
    state = ann.click(8, 6)
    ann.close()
    assert client.get("/health")["sessions"] == 0
    again = client.begin(resume=ann.key)
    assert again.state == state
    assert again.accept("roof")["author"] == "Ada"
    fresh = client.begin(resume="never-heard-of")
    assert fresh.key != "never-heard-of"
    assert "not known" in refused(404, client.get, "/api/sessions/never-heard-of")


def test_too_many_sessions(serve, monkeypatch):
    client = serve(most_sessions=2)
    first = client.begin()
    first.click(8, 6)
    client.begin()
    with pytest.raises(Failed) as failed:
        client.begin()
    assert (failed.value.status, failed.value.headers["retry-after"]) == (429, "60")
    monkeypatch.setattr("vfm_isrefiner.annotator.registry.IDLE_SECONDS", 0)
    client.begin()
    assert client.get(f"/api/sessions/{first.key}")["clicks"] == first.state["clicks"]  # from the disk


def test_memory_of_windows_is_given_back(client, monkeypatch):
    cooled = []
    monkeypatch.setattr("vfm_isrefiner.annotator.registry.WARM_PIXELS", 40 * 40)
    monkeypatch.setattr(Registry, "cool", lambda *a, cool=Registry.cool: (cool(*a), cooled.append(1)))
    ada, ben = client.begin(), client.begin()
    first = ada.click(8, 6)
    ben.click(34, 10)
    assert cooled
    assert client.get(f"/api/sessions/{ada.key}") == first
    assert ada.undo()["polygon"] is None


@pytest.mark.parametrize("format", ["gpkg", "geojson", "shp", "coco", "tif"])
def test_exports(client, tmp_path, format):
    ann = client.begin(author="Ada")
    for (x, y), label in (((8, 6), "roof"), ((34, 10), "car")):
        ann.click(x, y)
        ann.accept(label)
    name, content = client.export(format)
    assert name.startswith("utm")
    if format in ("shp", "tif"):
        zipfile.ZipFile(BytesIO(content)).extractall(tmp_path / "out")
        assert {one.suffix for one in (tmp_path / "out").iterdir()} >= (
            {".shp", ".dbf", ".prj"} if format == "shp" else {".tif", ".csv"}
        )
    if format == "coco":
        content = json.loads(content)
        assert [one["name"] for one in content["categories"]] == ["roof", "car"]
        assert [one["area"] for one in content["annotations"]] == [truth(60).sum(), truth(100).sum()]


def test_categories_have_names(client):
    ann = client.begin()
    ann.click(8, 6)
    ann.accept("")
    (category,) = json.loads(client.export("coco")[1])["categories"]
    assert category["name"] == "unlabelled"


def test_an_export_of_nothing(client):
    for format in ("gpkg", "geojson", "shp", "coco", "tif"):
        assert client.export(format)[1]


def test_openapi_tells_all(client):
    paths = client.get("/api/openapi.json")["paths"]
    calls = [call for path in paths.values() for call in path.values()]
    assert len(calls) == 19
    assert all(call["summary"] and call["description"] for call in calls)


def test_words_that_are_wrong(client):
    ann = client.begin()
    ann.click(8, 6)
    assert "printed" in refused(422, ann.accept, "roof\x00")
    refused(422, ann.accept, "x" * 81)
    refused(422, client.get, "/api/scenes/0/export?format=exe")
    refused(422, client.get, "/api/scenes/0/objects?since=-1")
    refused(422, client.get, f"/api/scenes/0/objects?since={2**70}")
    refused(422, client.post, f"/api/sessions/{ann.key}/click", x=1, y=1, other=2)
    refused(404, client.get, "/api/scenes/../objects")
    refused(404, client.get, "/nothing")
    refused(405, client.post, "/api/scenes/0")
    status, _, content = client.raw(
        "POST", f"/api/sessions/{ann.key}/click", '{"x": NaN, "y": 1e999}', {"Content-Type": "application/json"}
    )
    assert status == 422
    assert "detail" in json.loads(content)
