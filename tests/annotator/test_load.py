"""Several annotators at once: no error, no lost object, and memory that does not grow with what was clicked."""

from annotator.client import serving
from annotator.colour_network import colour_predictor
from annotator.load import SIDE, lost, work_of
from annotator.squares import write_squares

from vfm_isrefiner.annotator.app import create_app
from vfm_isrefiner.annotator.registry import WARM_PIXELS
from vfm_isrefiner.annotator.scene import AnnotatedScene


def test_a_crowd(tmp_path):
    scene = AnnotatedScene("0", write_squares(tmp_path / "s.tif", SIDE), tmp_path / "s.gpkg", tmp_path)
    app = create_app(colour_predictor(), [scene])
    with serving(app) as port:
        seen = work_of(port, people=8, seconds=4, pause=0.02)
        registry = app.state.desk.registry
        assert sum(one.running.pixels for one in registry._entries.values()) <= min(WARM_PIXELS, 8 * 512**2)
    assert seen.errors == []
    assert len(seen.accepted) >= 8
    assert lost(seen, tmp_path / "s.gpkg") == []


def test_more_than_fit_are_put_off_and_come_through(tmp_path, monkeypatch):
    scene = AnnotatedScene("0", write_squares(tmp_path / "s.tif", SIDE), tmp_path / "s.gpkg", tmp_path)
    app = create_app(colour_predictor(), [scene])
    app.state.desk.clicking._waiting = 2
    with serving(app) as port:
        seen = work_of(port, people=6, seconds=1, pause=0)
    assert seen.errors == []
    assert seen.busy > 0
    assert lost(seen, tmp_path / "s.gpkg") == []
