"""The figures show what they say: colours of matched and wrong pixels, clicks, legends; and are written whole or not at all."""

import errno
import os
from dataclasses import replace

import numpy as np
import pytest
import torch
from loop_parts import Brightness, drawn
from PIL import Image

from vfm_isrefiner.evaluation import EvaluationProtocol, evaluate, trace
from vfm_isrefiner.instance import Instance
from vfm_isrefiner.modulation import modulate_isrefiner
from vfm_isrefiner.report import figures
from vfm_isrefiner.report.figures import click_panels, draw_clicks, miou_curves, modulation_panels
from vfm_isrefiner.rollout import Round
from vfm_isrefiner.zoom import ZoomRule

ROUND = Round(Brightness(), modulate_isrefiner)
RULE = EvaluationProtocol("quick", 0.5, ZoomRule((32, 32), min_crop=16), max_clicks=5)
ITEMS = [drawn(60, 80, seed, ignored=True) for seed in (1, 2)]


def played():
    return [(item, trace(ROUND, item, RULE)) for item in ITEMS]


def pixels(path):
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


@pytest.fixture
def drawn_figures(monkeypatch):
    """The figures as they are handed over for writing."""
    seen = []
    save = figures.save_figure

    def remember(figure, path):
        seen.append(figure)
        return save(figure, path)

    monkeypatch.setattr(figures, "save_figure", remember)
    return seen


def test_panels_have_a_column_for_each_shown_click(tmp_path, drawn_figures):
    path = click_panels(played(), tmp_path / "new" / "panels.png", at=(1, 2, 5, 10))
    picture = pixels(path)
    assert picture.shape[0] > 300
    assert picture.std() > 20  # not an empty sheet
    axes = np.array(drawn_figures[0].axes).reshape(2, 4)
    titles = [axis.get_title() for axis in axes[0]]
    assert titles[0] == "box image1/1"
    assert [title.split(":")[0] for title in titles[1:]] == ["1 click", "2 clicks", "5 clicks"]
    dots = [sum(len(dot.get_offsets()) == 1 and dot.get_zorder() == 3 for dot in axis.collections) for axis in axes[0]]
    assert dots == [0, 1, 2, 5]


def test_panels_colour_matched_and_wrong_pixels():
    image = torch.zeros(3, 8, 8, dtype=torch.uint8)
    mask, ignore, pred = (torch.zeros(1, 8, 8, dtype=torch.bool) for _ in range(3))
    mask[:, 2:6, 2:6] = pred[:, 2:6, 4:8] = True
    ignore[:, 7] = pred[:, 7] = True
    instance = Instance(image, mask, ignore, "1", "colours")
    shown = figures._overlay(instance, pred, (slice(0, 8), slice(0, 8)))
    assert np.allclose(shown[3, 4], 0.5 * np.array(figures.MATCH))
    assert np.allclose(shown[3, 2], 0.5 * np.array(figures.MISMATCH))  # missed
    assert np.allclose(shown[3, 7], 0.5 * np.array(figures.MISMATCH))  # too much
    assert np.allclose(shown[0, 0], 0)
    assert np.allclose(shown[7, 0], 0.4)  # pale, not red: ignored


def test_object_at_the_border_and_large_objects_fit(tmp_path):
    mask = torch.ones(1, 40, 20, dtype=torch.bool)
    instance = Instance(torch.zeros(3, 40, 20, dtype=torch.uint8), mask, torch.zeros_like(mask), "all", "full")
    assert pixels(draw_clicks(instance, trace(ROUND, instance, RULE), tmp_path / "one.png")).std() > 20


def test_curves_name_their_last_value(tmp_path, drawn_figures):
    summary = evaluate(ROUND, [*ITEMS, drawn(source="other")], RULE).summary()
    miou_curves({"ours": summary, "theirs": summary}, tmp_path / "curve.png")
    legend = [text.get_text() for text in drawn_figures[0].axes[0].get_legend().get_texts()]
    assert legend == [f"{name} [{100 * summary['miou']['5']:.2f}]" for name in ("ours", "theirs")]
    line = drawn_figures[0].axes[0].get_lines()[0]
    assert np.allclose(line.get_ydata(), [100 * value for value in summary["miou"].values()])
    miou_curves({"ours": summary}, tmp_path / "sources.png", by_source=True)
    for axis in (*drawn_figures[0].axes, *drawn_figures[1].axes):  # the legend covers no curve, and is all in the picture
        legend = axis.get_legend().get_window_extent()
        assert not legend.overlaps(axis.get_window_extent())
        assert axis.figure.bbox.containsx(legend.x0)
        assert axis.figure.bbox.containsx(legend.x1)
        assert axis.figure.bbox.containsy(legend.y0)
    assert [axis.get_title() for axis in drawn_figures[1].axes] == ["drawn", "other"]


def test_modulation_panels(tmp_path, drawn_figures):
    modulation_panels(played(), tmp_path / "modulation.png", click=3)
    first = drawn_figures[0].axes[:4]
    assert [axis.get_title() for axis in first] == ["image", "before click 3", "MFP's modulation", "ours"]
    item, history = played()[0]
    window = figures._window(item, history[2].clicks, expansion=2.0)
    expected = modulate_isrefiner(history[1].prob, history[2].clicks)[0, 0][window]
    assert np.allclose(first[3].images[0].get_array(), expected)


def test_full_disk_leaves_no_picture(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"panels\.png .*not written: No space left"):
        click_panels(played(), tmp_path / "panels.png")
    assert list(tmp_path.iterdir()) == []


def test_errors(tmp_path):
    with pytest.raises(ValueError, match="at least one instance with one of the clicks"):
        click_panels([], tmp_path / "panels.png")
    with pytest.raises(ValueError, match="at least one instance with one of the clicks"):
        click_panels(played(), tmp_path / "panels.png", at=(10,))
    for click in (1, 6):
        with pytest.raises(ValueError, match=f"got click={click}"):
            modulation_panels(played(), tmp_path / "modulation.png", click=click)
    nothing = replace(evaluate(ROUND, ITEMS, RULE), results=()).summary()
    with pytest.raises(ValueError, match="at least one evaluated instance"):
        miou_curves({"nothing": nothing}, tmp_path / "curve.png")
