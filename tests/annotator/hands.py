"""A person at the page: looks, points, clicks and types, through Playwright."""

import re
import shutil
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest
from playwright.sync_api import expect, sync_playwright

SECONDS = 20  # for an answer, on a machine that does other things too
CHROMIUM = next((found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None)


@contextmanager
def chromium():
    """Headless Chromium of the system. Skips the test where there is none."""
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    expect.set_options(timeout=SECONDS * 1000)
    with sync_playwright() as play:
        # its sandbox wants privileges that containers lack; the page comes from this test alone
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield browser
        browser.close()


class Hands:
    """One tab.

    Args:
        page: of Playwright. address: of the server, with a slash at the end.
    """

    def __init__(self, page, address):
        self.page, self.address, self.problems, self.allowed = page, address, [], []
        page.set_default_timeout(SECONDS * 1000)
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.problems.append(f"error: {error}"))
        page.on("request", self._asked)

    def _heard(self, message):
        if message.type in ("error", "warning") and not any(re.search(one, message.text) for one in self.allowed):
            self.problems.append(f"{message.type}: {message.text} {message.location.get('url', '')}")

    def _asked(self, request):
        if not request.url.startswith((self.address, "blob:", "data:")):
            self.problems.append(f"the page asked {request.url}")

    def open(self):
        self.page.goto(self.address)
        self.wait_until_open()
        return self

    def wait_until_open(self):
        expect(self.page.locator("#running-text")).not_to_have_text("Opening …")

    def says(self, text):
        """Wait until the bar of the running object says so."""
        expect(self.page.locator("#running-text")).to_contain_text(text)

    def noted(self, text):
        """Wait for a notice."""
        expect(self.page.locator("#notices")).to_contain_text(text)

    def key(self, *names):
        for name in names:
            self.page.keyboard.press(name)

    def look(self):
        """Bring the tab to the front: one behind another rests."""
        self.page.bring_to_front()

    def rows(self):
        return self.page.locator("#object-list li")

    def row(self, text):
        """The button of the object that is called so, as "building 3"."""
        return self.rows().get_by_role("button", name=re.compile(f"^{text},"))

    def listed(self, count):
        """Wait until the list has so many objects."""
        expect(self.rows()).to_have_count(count)

    def _read(self, x, y):
        """The pixel of the scene at a place of the screen."""
        self.page.mouse.move(x, y)
        text = self.page.locator("#pixel")
        expect(text).to_have_text(re.compile(r"x -?\d+\s+y -?\d+"))
        return tuple(int(one) for one in re.findall(r"-?\d+", text.inner_text()))

    def where(self, x, y):
        """The place of the screen where a pixel of the scene is shown."""
        box = self.page.locator("#map").bounding_box()
        near = box["x"] + 0.15 * box["width"], box["y"] + 0.25 * box["height"]
        far = box["x"] + 0.9 * box["width"], box["y"] + 0.6 * box["height"]
        first = self._read(*near)
        last = self._read(*far)
        return tuple(
            n + (wanted - a) * (f - n) / (b - a) for n, f, a, b, wanted in zip(near, far, first, last, (x, y), strict=True)
        )

    def click(self, x, y, **how):
        """On a pixel of the scene; `button="right"`, `modifiers=["Shift"]`."""
        place = self.where(x, y)
        for name in how.get("modifiers", ()):
            self.page.keyboard.down(name)
        self.page.mouse.click(*place, button=how.get("button", "left"))
        for name in how.get("modifiers", ()):
            self.page.keyboard.up(name)

    def colour(self, x, y):
        """(red, green, blue) that is shown at a pixel of the scene."""
        left, top = self.where(x, y)
        shot = self.page.screenshot(clip={"x": left - 1, "y": top - 1, "width": 3, "height": 3})
        return cv2.imdecode(np.frombuffer(shot, np.uint8), cv2.IMREAD_COLOR_RGB).astype(int).mean((0, 1))

    def accept(self):
        """Enter, and wait until it is listed or written back."""
        self.key("Enter")
        self.says("Saved")

    def export(self, name, folder):
        """The file that the menu gives."""
        with self.page.expect_download() as download:
            self.page.get_by_role("button", name="Export").click()
            self.page.get_by_role("menuitem", name=name).click()
        path = Path(folder) / download.value.suggested_filename
        download.value.save_as(path)
        return path
