"""Scenes of objects of one grey value each, behind a server in this process."""

from contextlib import ExitStack

import pytest
from annotator.client import serving
from annotator.colour_network import colour_predictor
from annotator.page_scene import write_page_scene
from annotator.served import Serve
from batch_scenes import SameGrey, write_scene

from vfm_isrefiner.annotator.app import create_app
from vfm_isrefiner.annotator.scene import AnnotatedScene


@pytest.fixture
def scene(tmp_path):
    """The scene of `batch_scenes` in UTM, opened."""
    one = AnnotatedScene("0", write_scene(tmp_path / "scene.tif"), tmp_path / "scene.gpkg", tmp_path, ["roof", "car"])
    yield one
    one.close()


@pytest.fixture
def network():
    return SameGrey()


@pytest.fixture
def serve(tmp_path, network):
    one = Serve(tmp_path, network)
    yield one
    one.stop()


@pytest.fixture
def client(serve):
    return serve()


@pytest.fixture(scope="module")
def browser():
    """Of the system; the tests are skipped where there is none."""
    from annotator.hands import chromium

    with chromium() as one:
        yield one


@pytest.fixture
def address(tmp_path):
    """A server on one scene with objects that are known, and one with six bands that lies nowhere."""
    files = [write_page_scene(tmp_path / "site.tif"), write_page_scene(tmp_path / "bands.tif", bands=6, ground=False)]
    scenes = [
        AnnotatedScene(str(n), one, one.with_suffix(".gpkg"), tmp_path, ["building", "vehicle", "water"])
        for n, one in enumerate(files)
    ]
    with serving(create_app(colour_predictor(), scenes, model="colours")) as port:
        yield f"http://127.0.0.1:{port}/"


@pytest.fixture
def people(browser, address):
    """`people()` opens the page in a browser of its own, `people(other)` in another tab of the same; none may complain."""
    from annotator.hands import Hands

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
    """One who has opened the page."""
    return people()
