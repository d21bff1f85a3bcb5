"""What the page looks like."""

import numpy as np
import pytest
from annotator.page_scene import THINGS
from playwright.sync_api import expect


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


@pytest.mark.parametrize(("width", "height"), [(390, 844), (640, 360)])
def test_a_telephone_and_a_page_of_twice_the_size_reach_every_button(people, width, height):
    person = people(viewport={"width": width, "height": height})
    bar = person.page.locator("#bar").bounding_box()
    for name in ("Undo", "Redo", "Discard", "Accept"):
        box = person.page.locator("#bar").get_by_role("button", name=name).bounding_box()
        assert bar["x"] <= box["x"]
        assert box["x"] + box["width"] <= bar["x"] + bar["width"]
    export = person.page.get_by_role("button", name="Export")
    person.page.mouse.move(width - 30, 20)
    person.page.mouse.wheel(0, 1000)
    expect(export).to_be_in_viewport(ratio=1)
