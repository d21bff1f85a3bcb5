"""The page in headless Chromium, from the first click to the exported file."""

import zipfile

import pyogrio
import rasterio
from annotator.page_scene import CRS_OF, SIZE, THINGS, TRANSFORM, truth
from playwright.sync_api import expect
from rasterio.features import rasterize


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

    # the row keeps the focus when the object changes
    person.key("l", "0")
    expect(page.locator("#object-list .choose")).to_be_focused()
    page.locator("#object-list .choose").press("Enter")
    person.key("1")
    expect(person.row("building 1")).to_be_focused()
    person.key("2")
    expect(person.row("vehicle 1")).to_be_focused()
    person.key("Escape", "l")

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
    ada.page.get_by_label("Your name").fill("Ada")
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
    expect(ben.row("vehicle 1")).to_contain_text("Ada")
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
