"""The figures show what they say: colours of matched and wrong pixels, clicks, legends; and are written whole or not at all."""

import errno
import os
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from loop_parts import Brightness, drawn
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from PIL import Image

from vfm_isrefiner.evaluation import EvaluationProtocol, evaluate, trace
from vfm_isrefiner.instance import Instance
from vfm_isrefiner.modulation import modulate_isrefiner
from vfm_isrefiner.report import curves, drawing, intervals, panels
from vfm_isrefiner.report.curves import instance_interval, seed_deviation
from vfm_isrefiner.report.figures import (
    breakdown_plot,
    click_curves,
    click_panels,
    contrast_panels,
    difference_plot,
    differences_of,
    draw_clicks,
    miou_curves,
    modulation_panels,
    save_figure,
)
from vfm_isrefiner.report.report_table import Cell, Column, Difference, ReportTable, Row
from vfm_isrefiner.report.saving import DASHES, LINES, MARKERS, line_style, plain
from vfm_isrefiner.rollout import Round
from vfm_isrefiner.zoom import ZoomRule

ROUND = Round(Brightness(), modulate_isrefiner)
RULE = EvaluationProtocol("quick", 0.5, ZoomRule((32, 32), min_crop=16), max_clicks=5)
ITEMS = [drawn(60, 80, seed, ignored=True) for seed in (1, 2)]


@cache
def played():
    return [(item, trace(ROUND, item, RULE)) for item in ITEMS]


def pixels(path):
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


@pytest.fixture
def drawn_figures(monkeypatch):
    """The figures as they are handed over for writing, which is left out: it takes most of the time."""
    seen = []

    def remember(figure, path, **settings):
        seen.append(figure)
        return path

    for module in (curves, intervals, panels):
        monkeypatch.setattr(module, "save_figure", remember)
    return seen


def counted(axis):
    """How many clicks are drawn."""
    return sum(len(dot.get_offsets()) == 1 and dot.get_zorder() == 3 for dot in axis.collections)


def test_panels_are_written(tmp_path):
    picture = pixels(click_panels(played(), tmp_path / "new" / "panels.png", at=(1, 2)))
    assert picture.shape[0] > 300
    assert picture.std() > 20  # not an empty sheet


def test_panels_have_a_column_for_each_shown_click(tmp_path, drawn_figures):
    click_panels(played(), tmp_path / "panels.png", at=(1, 2, 5, 10))
    axes = np.array(drawn_figures[0].axes).reshape(2, 4)
    titles = [axis.get_title() for axis in axes[0]]
    assert titles[0] == "box image1/1"
    assert [title.split(":")[0] for title in titles[1:]] == ["1 click", "2 clicks", "5 clicks"]
    assert [counted(axis) for axis in axes[0]] == [0, 1, 2, 5]


def test_panels_colour_matched_and_wrong_pixels():
    image = torch.zeros(3, 8, 8, dtype=torch.uint8)
    mask, ignore, pred = (torch.zeros(1, 8, 8, dtype=torch.bool) for _ in range(3))
    mask[:, 2:6, 2:6] = pred[:, 2:6, 4:8] = True
    ignore[:, 7] = pred[:, 7] = True
    instance = Instance(image, mask, ignore, "1", "colours")
    shown = drawing.overlay(instance, pred, (slice(0, 8), slice(0, 8)))
    assert np.allclose(shown[3, 4], 0.5 * np.array(drawing.MATCH))
    assert np.allclose(shown[3, 2], 0.5 * np.array(drawing.MISMATCH))  # missed
    assert np.allclose(shown[3, 7], 0.5 * np.array(drawing.MISMATCH))  # too much
    assert np.allclose(shown[0, 0], 0)
    assert np.allclose(shown[7, 0], 0.4)  # pale, not red: ignored


def test_object_at_the_border_and_large_objects_fit(tmp_path, drawn_figures):
    mask = torch.ones(1, 40, 20, dtype=torch.bool)
    instance = Instance(torch.zeros(3, 40, 20, dtype=torch.uint8), mask, torch.zeros_like(mask), "all", "full")
    draw_clicks(instance, trace(ROUND, instance, RULE), tmp_path / "one.png")
    for axis in drawn_figures[0].axes:
        assert axis.images[0].get_array().shape == (40, 20, 3)
        assert (axis.get_xlim(), axis.get_ylim()) == ((-0.5, 19.5), (39.5, -0.5))


def test_curves_name_their_last_value(tmp_path, drawn_figures):
    summary = evaluate(ROUND, [*ITEMS, drawn(source="other")], RULE).summary()
    miou_curves({"ours": summary, "theirs": summary}, tmp_path / "curve.png")
    legend = [text.get_text() for text in drawn_figures[0].axes[0].get_legend().get_texts()]
    assert legend == [f"{name} [{100 * summary['miou']['5']:.2f}]" for name in ("ours", "theirs")]
    line = drawn_figures[0].axes[0].get_lines()[0]
    assert np.allclose(line.get_ydata(), [100 * value for value in summary["miou"].values()])
    miou_curves({"ours": summary}, tmp_path / "sources.png", by_source=True)
    for figure in drawn_figures:
        figure.draw_without_rendering()  # places everything
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
    item, history = played()[0]
    window = drawing.window_of(item, [history[2].clicks], expansion=2.0)
    expected = modulate_isrefiner(history[1].prob, history[2].clicks)[0, 0][window]
    assert np.allclose(first[3].images[0].get_array(), expected)
    names = [axis.get_title().split("\n")[0] for axis in first]
    assert names == ["box image1/1", "before click 3", "MFP's modulation", "ours"]
    mask, counts = item.mask[0][window], ~item.ignore[0][window]
    means = [expected[region & counts].mean() for region in (mask, ~mask)]
    assert first[3].get_title().split("\n")[1] == f"{means[0]:.2f} on, {means[1]:.2f} off the object"


def test_full_disk_leaves_no_picture(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"curve\.png .*not written: No space left"):
        miou_curves({"ours": evaluate(ROUND, ITEMS, RULE).summary()}, tmp_path / "curve.png")
    assert list(tmp_path.iterdir()) == []


def test_errors(tmp_path):
    with pytest.raises(ValueError, match="at least one instance with one of the clicks"):
        click_panels([], tmp_path / "panels.png")
    with pytest.raises(ValueError, match="at least one instance with one of the clicks"):
        click_panels(played(), tmp_path / "panels.png", at=(10,))
    for click in (1, 6):
        with pytest.raises(ValueError, match=f"got click={click}"):
            modulation_panels(played(), tmp_path / "modulation.png", click=click)
    with pytest.raises(ValueError, match=r"written as \.png, \.pdf, \.svg, got '\.gif'"):
        save_figure(Figure(), tmp_path / "panels.gif")
    nothing = replace(evaluate(ROUND, ITEMS, RULE), results=()).summary()
    with pytest.raises(ValueError, match="at least one evaluated instance"):
        miou_curves({"nothing": nothing}, tmp_path / "curve.png")
    with pytest.raises(ValueError, match="at least one evaluated instance"):
        click_curves({"drawn": {"nothing": [replace(evaluate(ROUND, ITEMS, RULE), results=())]}}, tmp_path / "curve.png")
    assert list(tmp_path.iterdir()) == []


def test_names_are_no_formulas_and_keep_their_end():
    assert plain("a$b") == r"a\$b"
    assert plain("x" * 40) == "…" + "x" * 33


def test_many_lines_look_different():
    styles = [tuple(map(str, line_style(number).values())) for number in range(3 * len(LINES))]
    assert len(set(styles)) == 21
    assert len(DASHES) * len(LINES) == 21
    assert len(MARKERS) == len(LINES)


@pytest.mark.parametrize(("suffix", "begin"), [(".png", b"\x89PNG"), (".pdf", b"%PDF"), (".svg", b"<?xml")])
def test_formats_by_suffix_and_the_same_bytes_each_time(tmp_path, suffix, begin):
    def written(name):
        figure = Figure(figsize=(1, 1))
        axis = figure.subplots()
        axis.plot([1, 2])
        axis.set_title("searched for")
        return save_figure(figure, tmp_path / f"{name}{suffix}").read_bytes()

    content = written("one")
    assert content.startswith(begin)
    assert content == written("two")
    assert suffix != ".svg" or b">searched for</text>" in content


def test_methods_are_shown_on_one_crop(tmp_path, drawn_figures):
    item, history = played()[0]
    other = trace(Round(Brightness(bias=-3.0), modulate_isrefiner), item, RULE)[:3]
    contrast_panels([{"ours": (item, history), "ot$her": (item, other)}] * 2, tmp_path / "fig8.png", at=(1, 3, 5, 10))
    axes = drawn_figures[0].axes
    assert len(axes) == 2 * (1 + 2 * 3)
    truth, ours, theirs = axes[0], axes[1:4], axes[4:7]
    assert truth.get_title() == "box\nimage1/1"
    assert [axis.get_ylabel() for axis in (*ours, *theirs)] == ["ours", "", "", r"ot\$her", "", ""]
    assert [axis.get_title().split(":")[0] for axis in (*ours, *theirs)] == [
        *("1 click", "3 clicks", "5 clicks"),
        *("1 click", "3 clicks", ""),
    ]
    assert len({(axis.get_xlim(), axis.get_ylim()) for axis in (truth, *ours, *theirs[:2])}) == 1
    assert [counted(axis) for axis in (*ours, *theirs)] == [1, 3, 5, 1, 3, 0]
    score = float(theirs[1].get_title().split("IoU ")[1].removesuffix(" %"))
    assert score == pytest.approx(100 * evaluated_iou(other[2], item), abs=0.06)
    labels = [text.get_text() for text in drawn_figures[0].legends[0].get_texts()]
    assert labels == ["matched", "missed or too much", "true outline", "positive click", "negative click"]


def evaluated_iou(interaction, item):
    pred = (interaction.prob[0] > 0.5) & ~item.ignore
    return ((pred & item.mask).sum() / (pred | item.mask).sum()).item()


def test_contrast_errors(tmp_path):
    one, two = (dict(zip("ab", [each, each], strict=True)) for each in played())
    for nothing in ([], [{}]):
        with pytest.raises(ValueError, match="at least one instance, one method and one of the clicks"):
            contrast_panels(nothing, tmp_path / "a.png")
    with pytest.raises(ValueError, match="and 5 clicks"):
        contrast_panels([one], tmp_path / "a.png", at=(6,))
    with pytest.raises(ValueError, match="same methods for all instances"):
        contrast_panels([one, {"a": two["a"]}], tmp_path / "a.png")
    with pytest.raises(ValueError, match="one instance for all methods of a block, got drawn/image1/1, drawn/image2/1"):
        contrast_panels([{"a": one["a"], "b": two["b"]}], tmp_path / "a.png")


def shifted(evaluation, by):
    return replace(
        evaluation,
        results=tuple(replace(each, ious=tuple(min(1, max(0, iou + by)) for iou in each.ious)) for each in evaluation.results),
    )


def test_curves_of_seeds_have_a_band(tmp_path, drawn_figures):
    base = evaluate(ROUND, ITEMS, RULE)
    seeds = [base, shifted(base, -0.02)]
    mean = 100 * np.array([each.ious for each in base.results]).mean(0) - 1
    click_curves({"a": {"two": seeds, "one": [base]}, "b": {"one": [base]}}, tmp_path / "fig7.svg")
    first, second = drawn_figures[0].axes
    assert (first.get_title(), second.get_title()) == ("a", "b")
    assert np.allclose(first.get_lines()[0].get_ydata(), mean)
    deviation = np.sqrt(2)  # two points of IoU apart
    borders = first.collections[0].get_datalim(first.transData)
    assert (borders.y0, borders.y1) == pytest.approx((mean.min() - deviation, mean.max() + deviation))
    legend = [text.get_text() for text in first.get_legend().get_texts()]
    assert legend == [f"two [{mean[-1]:.2f} ± 1.41]", f"one [{mean[-1] + 1:.2f}]"]
    assert len(first.collections) == 1
    assert second.get_lines()[0].get_color() == first.get_lines()[1].get_color()


def test_curves_end_where_an_instance_stopped_and_seeds_must_agree(tmp_path, drawn_figures):
    base = evaluate(ROUND, ITEMS, RULE)
    short = replace(base, results=(base.results[0], replace(base.results[1], ious=base.results[1].ious[:2])))
    click_curves({"drawn": {"short": [short]}}, tmp_path / "fig7.png", band=instance_interval)
    assert len(drawn_figures[0].axes[0].get_lines()[0].get_ydata()) == 2
    with pytest.raises(ValueError, match=r"seeds of ours on drawn were not evaluated on the same instances \(2, 1\)"):
        click_curves({"drawn": {"ours": [base, replace(base, results=base.results[:1])]}}, tmp_path / "a.png")


def test_bands():
    ious = np.random.default_rng(0).random((1, 50, 3))
    assert seed_deviation(ious) is None
    assert instance_interval(ious[:, :1]) is None
    low, high = instance_interval(ious)
    half = 1.96 * ious[0].std(0) / np.sqrt(50)
    assert np.allclose((high - low) / 2, half, rtol=0.15)
    assert np.all((low < ious.mean((0, 1))) & (ious.mean((0, 1)) < high))


def table(*rows):
    return ReportTable("size", "by size", ("Run",), (Column("", "small"), Column("", "large")), rows)


def test_differences_are_filled_where_they_are_told_apart(tmp_path, drawn_figures):
    few, many = Difference(-1, -2, -0.5, 5), Difference(0.5, 0.1, 1, 50)
    rows = (
        Row(("ours",), (Cell(3), Cell(4)), reference=True),
        Row(("MFP",), (Cell(2, difference=few), Cell(5, difference=many))),
    )
    found = differences_of(table(*rows))
    assert found == {"MFP · small": few, "MFP · large": many}
    difference_plot(found, tmp_path / "differences.png")
    axis = drawn_figures[0].axes[0]
    faces = [line.get_markerfacecolor() for line in axis.get_lines() if line.get_marker() == "o"]
    assert [to_hex(face) for face in faces] == ["#ffffff", LINES[0].lower()]  # five instances tell nothing apart
    assert [text.get_text() for text in axis.get_yticklabels()] == list(found)
    assert axis.texts[0].get_text() == " −1.00 [ −2.00,  −0.50]"
    assert [text.get_text() for text in axis.texts[2:]] == ["← fewer ", " more →"]
    assert [text.get_position() for text in axis.texts[2:]] == [(0, 1), (0, 1)]
    difference_plot({"a": many}, tmp_path / "more.png")
    assert [text.get_text() for text in drawn_figures[1].axes[0].texts[1:]] == [" more →"]
    with pytest.raises(ValueError, match="at least one difference"):
        difference_plot({}, tmp_path / "a.png")


def test_breakdown_has_a_mark_for_each_score(tmp_path, drawn_figures):
    rows = Row(("ours",), (Cell(3, low=2, high=4), Cell(4))), Row(("MFP",), (Cell(5), Cell()))
    breakdown_plot(table(*rows), tmp_path / "size.png")
    axis = drawn_figures[0].axes[0]
    marks = {line.get_label(): line.get_xdata() for line in axis.get_lines() if line.get_marker() != "None"}
    assert {name: list(values) for name, values in marks.items()} == {"ours": [3, 4], "MFP": [5]}
    assert [2, 4] in [list(line.get_xdata()) for line in axis.get_lines()]
    assert [text.get_text() for text in axis.get_yticklabels()] == ["small", "large"]
    with pytest.raises(ValueError, match="table size has none"):
        breakdown_plot(table(Row(("MFP",), (Cell(), Cell()))), tmp_path / "a.png")


def test_clicks_outside_of_the_picture_are_left_out():
    _, history = played()[0]
    axis = Figure().subplots()
    yx = history[4].clicks.yx[0].long()
    y, x = yx[0].tolist()
    drawing.dots(axis, history[4].clicks, (slice(y, y + 1), slice(x, x + 1)))
    assert counted(axis) == sum((each == yx[0]).all().item() for each in yx)
