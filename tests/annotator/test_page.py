"""The page in headless Chromium, from the first click to the exported file."""

import zipfile
from contextlib import ExitStack

import numpy as np
import pyogrio
import pytest
import rasterio
from annotator.client import serving
from annotator.colour_network import colour_predictor
from annotator.hands import Hands, chromium
from annotator.page_scene import CRS_OF, SIZE, THINGS, TRANSFORM, truth, write_page_scene
from playwright.sync_api import expect
from rasterio.features import rasterize

from vfm_isrefiner.annotator.app import create_app
from vfm_isrefiner.annotator.scene import AnnotatedScene

LABELS = ["building", "vehicle", "water"]


@pytest.fixture(scope="module")
def browser():
    with chromium() as one:
        yield one


@pytest.fixture
def address(tmp_path):
    """A server on one scene with objects that are known, and one with six bands."""
    files = [write_page_scene(tmp_path / "site.tif"), write_page_scene(tmp_path / "bands.tif", bands=6)]
    scenes = [AnnotatedScene(str(n), one, one.with_suffix(".gpkg"), tmp_path, LABELS) for n, one in enumerate(files)]
    with serving(create_app(colour_predictor(), scenes, model="colours")) as port:
        yield f"http://127.0.0.1:{port}/"


@pytest.fixture
def people(browser, address):
    """`people()` opens the page in a browser of its own, `people(other)` in another tab of the same; none may complain."""
    with ExitStack() as stack:
        tabs = []

        def come(beside=None, **settings):
            size = {"width": 1100, "height": 760}
            context = beside.page.context if beside else browser.new_context(**{"viewport": size, **settings})
            if beside is None:
                stack.callback(context.close)
            tabs.append(Hands(context.new_page(), address))
            return tabs[-1].open()

        yield come
        assert [one.problems for one in tabs] == [[]] * len(tabs)


@pytest.fixture
def person(people):
    return people()


def found(path):
    """Label and mask (H, W) of each object of an exported file, by pyogrio and rasterio alone."""
    meta, _, geometry, fields = pyogrio.raw.read(path)
    assert rasterio.crs.CRS.from_user_input(meta["crs"]) == CRS_OF
    import shapely

    labels = fields[list(meta["fields"]).index("label")]
    return [
        (label, rasterize([shapely.from_wkb(one)], SIZE, transform=TRANSFORM) > 0)
        for label, one in zip(labels, geometry, strict=True)
    ]


def iou(a, b):
    return (a & b).sum() / (a | b).sum()


def is_found(objects, name):
    """Does one of the objects cover this thing, with its label?"""
    return any(label == THINGS[name].label and iou(mask, truth(name)) >= 0.8 for label, mask in objects)


def test_a_whole_session(person, tmp_path):
    # a roof of two colours: the second click corrects the first
    person.click(*THINGS["gable"].clicks[0])
    person.says("1 click")
    person.click(*THINGS["gable"].clicks[1])
    person.says("2 clicks")
    # a click beside it is taken back
    person.click(250, 150)
    person.says("3 clicks")
    person.key("Control+z")
    person.says("2 clicks")
    person.key("1")
    person.accept()
    person.listed(1)

    # a truck and, by mistake, its trailer: right click removes that again
    person.click(*THINGS["truck"].clicks[0])
    person.click(*THINGS["trailer"].clicks[0])
    person.click(470, 318, button="right")
    person.says("3 clicks")
    person.key("2")
    # a reload, as after a crash, goes on with the same object
    person.page.reload()
    person.wait_until_open()
    person.says("3 clicks")
    person.noted("is back")
    person.listed(1)
    person.key("2")
    person.accept()

    person.click(*THINGS["court"].clicks[0])
    person.key("1")
    person.accept()
    person.key("3")
    person.click(*THINGS["pond"].clicks[0])
    person.accept()
    person.listed(4)
    expect(person.page.locator("#done-objects")).to_have_text("4")
    expect(person.page.locator("#done-clicks")).to_have_text("1.8")

    geopackage = found(person.export("GeoPackage", tmp_path / "out"))
    assert len(geopackage) == 4
    for name in ("gable", "truck", "court", "pond"):
        assert is_found(geopackage, name), name
    archive = person.export("Shapefile", tmp_path / "out")
    zipfile.ZipFile(archive).extractall(tmp_path / "shapes")
    shapes = found(next((tmp_path / "shapes").glob("*.shp")))
    assert sorted(label for label, _ in shapes) == sorted(label for label, _ in geopackage)
    assert is_found(shapes, "court")


def steps_to(person, x, y):
    """Move the keyboard's cursor to a pixel, with the arrows alone."""
    person.key("ArrowRight", "Shift+ArrowLeft")
    for _ in range(200):
        text = person.page.locator("#pixel").inner_text().split()
        dx, dy = x - int(text[1]), y - int(text[3])
        if not dx and not dy:
            return
        name, rest = (("ArrowRight", "ArrowLeft")[dx < 0], dx) if dx else (("ArrowDown", "ArrowUp")[dy < 0], dy)
        person.key(name if abs(rest) > 16 else f"Shift+{name}")
    raise AssertionError("the cursor did not arrive")


def test_keyboard_only(person, tmp_path):
    page = person.page
    steps_to(person, *THINGS["truck"].clicks[0])
    person.key("Space")
    person.says("1 click")
    steps_to(person, *THINGS["trailer"].clicks[0])
    person.key("Space")
    person.says("2 clicks")
    person.key("Shift+Space")
    person.says("3 clicks")
    expect(page.locator("#voice")).to_contain_text("3 clicks")
    person.key("2")
    person.accept()
    expect(page.locator("#voice")).to_contain_text("Saved: vehicle 1")

    # the list, by Tab: choose, edit, accept again, delete, bring back
    person.key("l")
    expect(page.locator("#object-list .choose")).to_be_focused()
    person.key("Tab")
    expect(page.get_by_role("button", name="Edit 1")).to_be_focused()
    person.key("Enter")
    person.says("Editing 1")
    person.key("l", "l")
    page.locator("#map").focus()
    person.accept()
    person.key("n", "Delete")
    person.listed(0)
    person.noted("Deleted vehicle 1")
    person.key("z")
    person.listed(1)

    person.key("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    expect(page.get_by_role("dialog")).to_contain_text("Next unlabelled object")
    person.key("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    with page.expect_download() as download:
        person.key("x", "ArrowDown", "Enter")
    path = tmp_path / download.value.suggested_filename
    download.value.save_as(path)
    assert path.suffix == ".geojson"
    assert len(pyogrio.raw.read(path)[2]) == 1


def test_two_tabs(people):
    ada = people()
    ben = people(beside=ada)
    ada.look()
    ada.click(*THINGS["truck"].clicks[0])
    ada.says("1 click")
    ben.look()
    ben.says("Click on an object")  # a tab has its own running object
    ben.click(*THINGS["pond"].clicks[0])
    ben.says("1 click")
    ada.look()
    ada.key("2")
    ada.accept()
    ben.look()
    ben.listed(1)  # by itself
    ben.key("3")
    ben.accept()
    ada.look()
    ada.listed(2)

    # Ben sees old news only, and changes an object that Ada has changed
    ben.page.route("**/objects?since=*", lambda route: route.fulfill(json={"version": 1, "objects": [], "deleted": []}))
    ada.row("vehicle 1").click()
    ada.key("1")
    expect(ada.row("building 1")).to_be_visible()
    ben.allowed.append("409")
    ben.look()
    ben.row("vehicle 1").click()
    ben.key("3")
    ben.noted("changed")
    expect(ben.row("building 1")).to_be_visible()
    expect(ada.row("building 1")).to_be_visible()


def test_a_closed_tab_is_gone_on_with(people):
    ada = people()
    ben = people(beside=ada)
    ada.look()
    ada.click(*THINGS["court"].clicks[0])
    ada.says("1 click")
    ben.page.reload()
    ben.wait_until_open()
    ben.says("Click on an object")  # Ada's is still hers
    ada.page.close()
    people(beside=ben).says("1 click")


def test_an_accepted_object_is_edited_and_left(person):
    person.click(*THINGS["truck"].clicks[0])
    person.key("2")
    person.accept()
    person.key("1")
    person.click(400, 310)
    person.says("Editing 1")
    expect(person.page.locator("#labels [aria-pressed=true]")).to_contain_text("vehicle")
    person.click(*THINGS["trailer"].clicks[0])
    person.says("1 click")
    person.key("Escape")
    person.says("Click on an object")
    expect(person.page.locator("#labels [aria-pressed=true]")).to_contain_text("building")
    person.page.get_by_role("button", name="Undo", exact=True).last.click()
    person.says("Editing 1 · 1 click")
    person.accept()
    expect(person.row("vehicle 1")).to_have_attribute("aria-label", "vehicle 1, 743 m², 2 clicks")


def test_unlabelled_objects_are_found_and_new_labels_taken(person):
    person.key("2")
    person.click(*THINGS["truck"].clicks[0])
    person.accept()
    person.key("0")
    person.click(*THINGS["trailer"].clicks[0])
    person.accept()
    person.key("u")
    expect(person.rows().filter(has=person.page.locator("[aria-current=true]"))).to_contain_text("no label")
    person.page.get_by_label("New label").fill("trailer")
    person.key("Enter")
    expect(person.row("trailer 2")).to_be_visible()
    person.key("u")
    person.noted("Every object has a label")


def test_clicks_that_find_nothing_are_explained(person):
    person.allowed.append("422")
    person.click(320, 460)
    person.noted("no image data")
    person.says("Click on an object")
    person.click(-15, 200)
    person.noted("outside of the scene")
    person.key("Enter")
    person.noted("Nothing to accept")


def test_a_lost_server_is_waited_for(person):
    person.click(*THINGS["truck"].clicks[0])
    person.says("1 click")
    person.allowed.append("ERR_FAILED")
    for part in ("**/api/**", "**/health"):
        person.page.route(part, lambda route: route.abort())
    expect(person.page.get_by_role("alert")).to_contain_text("does not answer")
    person.click(*THINGS["trailer"].clicks[0])
    person.says("1 click")
    person.page.unroute_all()
    expect(person.page.get_by_role("alert")).to_be_hidden()
    person.click(*THINGS["trailer"].clicks[0])
    person.says("2 clicks")


def test_views(person):
    page = person.page
    person.click(*THINGS["truck"].clicks[0])
    person.says("1 click")
    with page.expect_response("**/probability.png*") as answer:
        person.key("p")
    assert answer.value.ok
    person.key("o", "h", "]")
    for name, pressed in (("Fill", "false"), ("Hide", "true"), ("Probability", "true")):
        expect(page.locator(".toggle", has_text=name)).to_have_attribute("aria-pressed", pressed)
    assert page.locator("#opacity").input_value() == "0.45"
    with page.expect_response("**/tiles/**bands=1%2C1%2C3**minmax*"):
        page.get_by_label("Green", exact=True).select_option("1")
        page.locator("#stretch").select_option("minmax")
    person.where(100, 100)
    expect(page.locator("#ground")).to_contain_text("EPSG:32756")
    expect(page.locator("#scalebar")).to_contain_text(" m")


def test_objects_have_the_colours_of_their_labels(person):
    bare = person.colour(400, 308)
    person.key("2")
    person.click(*THINGS["truck"].clicks[0])
    person.accept()
    person.listed(1)
    blue = person.colour(400, 308) - bare
    assert blue[2] > 15 > -15 > blue[0]
    person.row("vehicle 1").click()
    person.key("3", "Escape")
    expect(person.row("water 1")).to_be_visible()
    person.key("f")
    person.page.wait_for_timeout(500)  # the map has come to rest
    pink = person.colour(400, 308) - bare
    assert pink[2] > 15 > -15 > pink[1]
    person.key("h")
    person.page.wait_for_timeout(200)
    assert np.abs(person.colour(400, 308) - bare).max() < 4


def test_another_scene_keeps_the_running_object_of_the_first(person):
    person.click(*THINGS["truck"].clicks[0])
    person.says("1 click")
    person.page.get_by_label("Scene", exact=True).select_option("1")
    person.says("Click on an object")
    assert person.page.get_by_label("Red", exact=True).locator("option").count() == 6
    person.page.get_by_label("Scene", exact=True).select_option("0")
    person.says("1 click")


def test_light_and_dark(people):
    person = people(color_scheme="dark")
    paper = "getComputedStyle(document.body).backgroundColor"
    dark = person.page.evaluate(paper)
    person.key("t")
    light = person.page.evaluate(paper)
    assert sum(map(int, light[4:-1].split(","))) > 600 > 200 > sum(map(int, dark[4:-1].split(",")))
    person.page.reload()
    person.wait_until_open()
    assert person.page.evaluate(paper) == light


def test_all_that_can_be_pressed_has_a_name(person):
    nameless = person.page.evaluate(
        """() => [...document.querySelectorAll("button, input, select, [role=application]")]
        .filter((one) => !(one.textContent.trim() || one.ariaLabel || one.labels?.length || one.title))
        .map((one) => one.outerHTML)"""
    )
    assert nameless == []
    live = person.page.locator("[aria-live=polite]")
    assert live.count() == 1


def test_small_windows_hold_it_all(people):
    person = people(viewport={"width": 800, "height": 600})
    sizes = person.page.evaluate("() => [document.documentElement.scrollWidth, document.documentElement.scrollHeight]")
    assert sizes == [800, 600]
    for name in ("Accept", "Discard", "Export"):
        assert person.page.get_by_role("button", name=name).bounding_box()["x"] < 800
    assert np.prod([person.page.locator("#map").bounding_box()[side] for side in ("width", "height")]) > 0.6 * 800 * 600
