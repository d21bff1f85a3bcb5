"""What the page does when a person changes their mind, clicks beside, or the server is slow, lost or forgetful."""

import re
from contextlib import closing
from urllib.parse import quote

import numpy as np
import pytest
from annotator.client import serving
from annotator.colour_network import colour_predictor
from annotator.hands import Hands
from annotator.page_scene import THINGS, write_page_scene
from playwright.sync_api import expect

from vfm_isrefiner.annotator.app import create_app
from vfm_isrefiner.annotator.scene import AnnotatedScene


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


def test_clicks_on_an_object_that_another_changed_are_played_on_that_one(people):
    ben = people()
    ben.click(*THINGS["truck"].clicks[0])
    ben.key("2")
    ben.accept()
    ben.click(400, 310)
    ben.says("Editing 1")
    ben.click(*THINGS["trailer"].clicks[0])
    ben.says("1 click · 743 m²")
    ada = people(beside=ben)
    ada.row("vehicle 1").click()
    ada.key("3")
    expect(ada.row("water 1")).to_be_visible()
    ben.look()
    ben.allowed.append("409")
    ben.key("Enter")
    ben.noted("changed")
    ben.says("Editing 1 · 1 click")
    expect(ben.row("water 1")).to_be_visible()
    ben.page.get_by_role("button", name="Play my clicks again").click()
    ben.says("Editing 1 · 1 click · 743 m²")
    expect(ben.page.locator("#labels [aria-pressed=true]")).to_contain_text("water")
    ben.accept()
    expect(ben.row("water 1")).to_have_attribute("aria-label", "water 1, 743 m², 2 clicks")


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


def test_the_marker_is_there_before_the_answer(person):
    person.key("o")
    bare = person.colour(*THINGS["truck"].clicks[0])
    waiting = []
    person.page.route("**/click", lambda route: waiting.append(route))
    person.click(*THINGS["truck"].clicks[0])
    person.says("1 click")
    person.page.mouse.move(*person.where(300, 220))
    person.page.wait_for_timeout(300)  # painted
    assert np.abs(person.colour(*THINGS["truck"].clicks[0]) - bare).max() > 20
    assert "m²" not in person.page.locator("#running-text").inner_text()
    waiting[0].continue_()
    person.says("m²")


def test_a_busy_server_is_asked_again(person):
    refused = []

    def busy(route):
        refused.append(route.request.url)
        route.fulfill(status=503, headers={"Retry-After": "1"}, json={"detail": "Too many wait."})

    person.allowed.append("503")
    person.page.route("**/click", busy, times=1)
    person.click(*THINGS["truck"].clicks[0])
    person.says("m²")
    assert len(refused) == 1


def test_a_session_that_the_server_forgot_is_played_again(person):
    with person.page.expect_response("**/click") as answer:
        person.click(*THINGS["truck"].clicks[0])
    person.says("1 click")
    key = answer.value.json()["session"]
    person.allowed.append("404")
    forgotten = re.compile(f"/api/sessions/{key}")
    person.page.route(forgotten, lambda route: route.fulfill(status=404, json={"detail": "This session is not known."}))
    person.click(*THINGS["trailer"].clicks[0])
    person.says("2 clicks · 743 m²")
    person.key("2")
    person.accept()
    person.listed(1)


def test_another_scene_keeps_the_running_object_of_the_first(person):
    person.click(*THINGS["truck"].clicks[0])
    person.says("1 click")
    person.page.get_by_label("Scene", exact=True).select_option("1")
    person.says("Click on an object")
    assert person.page.get_by_label("Red", exact=True).locator("option").count() == 6
    person.click(*THINGS["truck"].clicks[0])
    person.says("1 click · 1,593 px")  # it lies nowhere
    expect(person.page.locator("#ground")).to_have_text("")
    expect(person.page.locator("#scalebar")).to_be_hidden()
    person.page.get_by_label("Scene", exact=True).select_option("0")
    person.says("1 click")


def test_a_token_opens_the_page_and_leaves_the_address(browser, tmp_path):
    path, token = write_page_scene(tmp_path / "site.tif"), "correct horse battery"
    scene = AnnotatedScene("0", path, path.with_suffix(".gpkg"), tmp_path, ["vehicle"])
    with serving(create_app(colour_predictor(), [scene], token=token)) as port, closing(browser.new_context()) as context:
        person = Hands(context.new_page(), f"http://127.0.0.1:{port}/")
        person.page.goto(f"{person.address}?token={quote(token)}")
        person.wait_until_open()
        assert person.page.url.partition("#")[0] == person.address
        person.click(*THINGS["truck"].clicks[0])
        person.accept()
        assert person.export("GeoJSON", tmp_path / "out").exists()
        # the cookie is gone: the page says what to do
        person.allowed.append("401")
        context.clear_cookies()
        expect(person.page.get_by_role("alert")).to_contain_text("token")
        assert person.problems == []


def test_a_link_from_another_site_opens_the_page(browser, tmp_path):
    path, token = write_page_scene(tmp_path / "site.tif"), "correct-horse-battery"
    scene = AnnotatedScene("0", path, path.with_suffix(".gpkg"), tmp_path, ["vehicle"])
    with serving(create_app(colour_predictor(), [scene], token=token)) as port, closing(browser.new_context()) as context:
        person = Hands(context.new_page(), f"http://127.0.0.1:{port}/")
        link = f"<a href='{person.address}?token={token}'>annotate</a>"
        person.page.route("http://mail.example/", lambda route: route.fulfill(body=link, content_type="text/html"))
        person.page.goto("http://mail.example/")
        person.page.get_by_role("link").click()
        person.wait_until_open()


def test_another_project_on_the_same_port_takes_no_running_object_away(browser, tmp_path):
    files = {name: write_page_scene(tmp_path / f"{name}.tif") for name in ("mine", "other")}
    port = 0
    with closing(browser.new_context(viewport={"width": 1100, "height": 760})) as context:
        for name, clicks in (("mine", 1), ("other", 0), ("mine", 1)):
            scene = AnnotatedScene("0", files[name], tmp_path / f"{name}.gpkg", tmp_path, ["vehicle"])
            with serving(create_app(colour_predictor(), [scene]), port) as port:
                person = Hands(context.new_page(), f"http://127.0.0.1:{port}/").open()
                if clicks and not scene.store.running():
                    person.click(*THINGS["truck"].clicks[0])
                person.says("1 click" if clicks else "Click on an object")
                person.page.close()
                assert person.problems == []


def test_a_scene_that_comes_late_does_not_take_the_place_of_the_one_shown(person):
    late = []
    person.page.route("**/api/scenes/1/objects*", lambda route: late.append(route))
    person.page.get_by_label("Scene", exact=True).select_option("1")
    expect(person.page.locator("#scene-facts")).to_contain_text("pixels")
    while not late:
        person.page.wait_for_timeout(50)
    person.page.get_by_label("Scene", exact=True).select_option("0")
    expect(person.page.locator("#scene-facts")).to_contain_text("EPSG")
    person.wait_until_open()
    late[0].continue_()
    person.page.wait_for_timeout(300)  # long enough to go wrong
    with person.page.expect_response("**/click") as answer:
        person.click(*THINGS["truck"].clicks[0])
    assert answer.value.json()["scene"] == "0"


@pytest.mark.parametrize("arrives", [False, True])
def test_a_reload_before_the_answer_loses_no_click_and_plays_none_twice(person, arrives):
    def unanswered(route):
        if arrives:
            route.fetch()

    person.click(*THINGS["truck"].clicks[0])
    person.says("1 click · 398 m²")
    person.page.route("**/click", unanswered, times=1)  # the second waits for the first
    person.click(*THINGS["trailer"].clicks[0])
    person.click(470, 318, button="right")
    person.says("3 clicks · 398 m²")
    person.page.wait_for_timeout(300)  # for the first to be underway
    for _ in range(2):
        person.page.reload()
        person.wait_until_open()
        person.noted("is back, with 3 clicks")
        expect(person.page.locator("#bar")).not_to_have_class(re.compile("busy"))
        person.says("3 clicks · 402 m² · 100 %")


def test_a_reload_plays_no_click_on_an_object_that_it_was_not_for(person):
    def held(route):
        pass

    # behind an Enter that was not sent: the click was for the next object
    person.page.route("**/click", held, times=1)
    person.click(*THINGS["truck"].clicks[0])
    person.key("2")
    person.key("Enter")
    person.click(*THINGS["pond"].clicks[0])
    person.says("2 clicks")
    person.page.reload()
    person.wait_until_open()
    person.noted("is back, with 1 click.")
    person.says("1 click · 398 m² · 100 %")
    person.key("2")
    person.accept()
    # the first click opens that object, and the second is one on it
    person.page.route("**/click", lambda route: route.fetch() and None, times=1)
    person.click(400, 310)
    person.click(*THINGS["trailer"].clicks[0])
    person.page.wait_for_timeout(300)
    person.page.reload()
    person.wait_until_open()
    person.noted("is back, with 1 click.")
    person.says("Editing 1 · 1 click")
    person.key("Control+z")
    person.says("Editing 1 ·")
    person.key("Escape")
    person.says("Click on an object")
    # a click that is refused is not tried again
    person.allowed.append("422")
    person.page.route("**/click", lambda route: route.fulfill(status=422, json={"detail": "No data there."}), times=1)
    person.click(*THINGS["pond"].clicks[0])
    person.noted("No data there.")
    person.page.reload()
    person.wait_until_open()
    person.says("Click on an object")
