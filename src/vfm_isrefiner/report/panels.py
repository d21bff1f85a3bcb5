"""Click-by-click panels, of one method or of several on one crop (Fig. 8), and modulated probability maps (Fig. 10)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from vfm_isrefiner.instance import Instance
from vfm_isrefiner.interaction import Interaction
from vfm_isrefiner.modulation import Modulation, modulate_isrefiner, modulate_mfp
from vfm_isrefiner.report import drawing
from vfm_isrefiner.report.saving import plain, save_figure

Played = Sequence[tuple[Instance, Sequence[Interaction]]]
Histories = Mapping[str, tuple[Instance, Sequence[Interaction]]]
"""What methods, by name, did on one instance: it, and the interaction after each click (`evaluation.trace`)."""

CLICKS = (1, 2, 3, 5, 10, 20)
MODULATIONS: Mapping[str, Modulation] = {"MFP's modulation": modulate_mfp, "ours": modulate_isrefiner}


def click_panels(played: Played, path: str | Path, *, threshold: float = 0.5, at: Sequence[int] = (1, 2, 3, 5, 10)) -> Path:
    """One row per instance: its image with the true outline, then predictions; green is matched, red is not.

    Args:
        played: instances and their interactions after each click (`evaluation.trace`).
        path: PNG, PDF or SVG to write. threshold: of the evaluation's protocol. at: numbers of clicks to show, where made.

    Raises:
        ValueError: nothing was played. OSError: the file could not be written.
    """
    shown = [number for number in at if played and number <= max(len(history) for _, history in played)]
    if not shown:
        raise ValueError(f"click_panels needs at least one instance with one of the clicks {tuple(at)}.")
    figure, axes = drawing.picture_grid(len(played), 1 + len(shown), row_title=0.25)
    for row, (instance, history) in enumerate(played):
        last = min(len(history), shown[-1])
        window = drawing.window_of(instance, [history[last - 1].clicks])
        drawing.draw_truth(axes[row, 0], instance, window)
        axes[row, 0].set_title(_name(instance), fontsize=7.5)
        for axis, number in zip(axes[row, 1:], shown, strict=True):
            if number <= len(history):
                score = drawing.draw_prediction(axis, instance, history[number - 1], window, threshold)
                axis.set_title(f"{_clicks(number)}: IoU {100 * score:.1f} %", fontsize=8.5)
    return save_figure(figure, path)


def draw_clicks(instance: Instance, history: Sequence[Interaction], path: str | Path, *, threshold: float = 0.5) -> Path:
    """`click_panels` of one instance."""
    return click_panels([(instance, history)], path, threshold=threshold)


def contrast_panels(
    instances: Sequence[Histories], path: str | Path, *, threshold: float = 0.5, at: Sequence[int] = CLICKS
) -> Path:
    """For each instance a row per method on one crop (Fig. 8): green is matched, red is not, with the IoU above each picture.

    Args:
        instances: what each method did; all with the same methods.
        path: PNG, PDF or SVG to write. threshold: of the evaluation's protocol. at: numbers of clicks to show, where made.

    Raises:
        ValueError: there is no instance, methods differ between instances, or instances between methods.
        OSError: the file could not be written.
    """
    methods = list(instances[0]) if instances else []
    _check(instances, methods, at)
    longest = max(len(history) for each in instances for _, history in each.values())
    shown = [number for number in at if number <= longest]
    side, title = drawing.PANEL * 0.86, 0.24
    size = (side * (1 + len(shown)) + 0.3, (side + title) * len(methods) * len(instances) + 0.15 * len(instances) + 0.3)
    figure = Figure(figsize=size, layout="constrained")
    blocks = figure.subfigures(len(instances), 1, squeeze=False).flatten()
    for block, histories in zip(blocks, instances, strict=True):
        grid = block.add_gridspec(len(methods), 1 + len(shown))
        instance = histories[methods[0]][0]
        ends = [history[min(len(history), shown[-1]) - 1].clicks for _, history in histories.values()]
        window = drawing.window_of(instance, ends)
        truth = block.add_subplot(grid[:, 0])
        drawing.draw_truth(truth, instance, window)
        truth.set_axis_off()
        lines = filter(None, (instance.category, instance.id))  # in one line the class would be cut off
        truth.set_title("\n".join(plain(line, 26) for line in lines), fontsize=7.5)
        for row, (method, (_, history)) in enumerate(histories.items()):
            for column, number in enumerate(shown, 1):
                axis = block.add_subplot(grid[row, column])
                axis.set(xticks=[], yticks=[])
                axis.spines[:].set_visible(False)
                if column == 1:
                    axis.set_ylabel(plain(method, 26), fontsize=8.5)
                if number <= len(history):
                    score = drawing.draw_prediction(axis, instance, history[number - 1], window, threshold)
                    axis.set_title(f"{_clicks(number)}: IoU {100 * score:.1f} %", fontsize=8)
    drawing.explain(figure)
    return save_figure(figure, path, dpi=150)


def modulation_panels(
    played: Played, path: str | Path, *, click: int = 2, modulations: Mapping[str, Modulation] = MODULATIONS
) -> Path:
    """The probability before click number `click`, and as modulations hand it to the network (Fig. 10; in image pixels).

    The contour is the object's outline. Below each map stands its mean on the object and off it, in the part shown.

    Args:
        played: as for `click_panels`. path: PNG, PDF or SVG to write.
        click: from 2, as there is no probability before the first. modulations: by the title of their column.

    Raises:
        ValueError: `click` is below 2, or an instance has fewer clicks. OSError: the file could not be written.
    """
    if click < 2 or not played or min(len(history) for _, history in played) < click:
        raise ValueError(f"modulation_panels needs click >= 2 and instances with that many clicks, got click={click}.")
    figure, axes = drawing.picture_grid(len(played), 2 + len(modulations), row_title=0.25, beside=0.8)
    for row, (instance, history) in enumerate(played):
        prob, clicks = history[click - 2].prob.cpu(), history[click - 1].clicks.to("cpu")
        window = drawing.window_of(instance, [clicks], expansion=2.0)
        drawing.show(axes[row, 0], drawing.rgb(instance, window), window)
        axes[row, 0].set_title(_name(instance), fontsize=7.5)
        maps = {f"before click {click}": prob, **{name: change(prob, clicks) for name, change in modulations.items()}}
        mask, counted = instance.mask[0][window], ~instance.ignore[0][window]
        for axis, (name, values) in zip(axes[row, 1:], maps.items(), strict=True):
            part = values[0, 0][window]
            drawing.show(axis, part.numpy(), window, cmap="magma", vmin=0, vmax=1)
            on, off = (part[region & counted].mean().item() if (region & counted).any() else 0.0 for region in (mask, ~mask))
            axis.set_title(f"{plain(name)}\n{on:.2f} on, {off:.2f} off the object", fontsize=8)
        for axis in axes[row]:
            drawing.outline(axis, instance, window, width=0.9)
            drawing.dots(axis, clicks, window)
    figure.colorbar(axes[0, 1].images[0], ax=axes, fraction=0.02, pad=0.01, label="probability")
    return save_figure(figure, path, dpi=150)


def _check(instances: Sequence[Histories], methods: Sequence[str], at: Sequence[int]) -> None:
    longest = max((len(history) for each in instances for _, history in each.values()), default=0)
    if not methods or not any(number <= longest for number in at):
        raise ValueError(
            f"contrast_panels needs at least one instance, one method and one of the clicks {tuple(at)}, got "
            f"{len(instances)} instances, {len(methods)} methods and {longest} clicks."
        )
    for histories in instances:
        if list(histories) != methods:
            raise ValueError(f"contrast_panels needs the same methods for all instances, got {methods} and {list(histories)}.")
        played = [f"{instance.source}/{instance.id}" for instance, _ in histories.values()]
        if len(set(played)) > 1:
            raise ValueError(f"contrast_panels needs one instance for all methods of a block, got {', '.join(played)}.")


def _name(instance: Instance, longest: int = 34) -> str:
    return plain(" ".join(filter(None, (instance.category, instance.id))), longest)


def _clicks(number: int) -> str:
    return f"{number} click{'s' * (number > 1)}"
