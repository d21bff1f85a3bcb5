"""What a finished run shows on W&B: a table of its instances, pictures with masks, and the fields that a dashboard sorts by."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, final

import cv2
import numpy as np
import torch

from vfm_isrefiner.clicks import POSITIVE, Clicks
from vfm_isrefiner.evaluation import INSTANCES_FILE, SUMMARY_FILE, Evaluation
from vfm_isrefiner.instance import Instance
from vfm_isrefiner.interaction import Interaction
from vfm_isrefiner.metrics import iou, noc
from vfm_isrefiner.training.dashboard import Picture

Draw = Callable[[Instance, list[Interaction], Path], Any]

RUN_FILE, CONFIG_FILE = "run.json", ".hydra/config.yaml"
KEPT_RUN_FILE = "isrefiner-run.json"  # another name: W&B's copy lies below the run's folder, and is no second run there
AT_CLICKS = (1, 3, 5, 10, 20)
AT_IOUS = {"NoC80": 0.80, "NoC85": 0.85, "NoC90": 0.90}
COLUMNS = ("id", "source", "category", "area", "status", *AT_IOUS, *(f"IoU@{click}" for click in AT_CLICKS), "clicks")
MOST_PICTURES, LONGEST_SIDE = 16, 768
# field of the summary -> where `run.json` has it
SORTED_BY = {
    "theta": "model.theta",
    "fusion": "model.early_fusion",
    "modulation": "modulation",
    "mode": "mode",
    "size": "size",
    "model": "model.kind",
    "use_vit": "model.use_vit",
    "use_hq": "model.use_hq",
    "seed": "seed",
}
GREEN, RED, WHITE = (33, 191, 82), (237, 41, 46), (255, 255, 255)


@final
class KeepPictures:
    """A `Draw` that also keeps the first `MOST_PICTURES` of each source for a dashboard.

    Args:
        draw: what draws the file. threshold: above this probability a pixel counts as object.
    """

    def __init__(self, draw: Draw, threshold: float = 0.5) -> None:
        self.draw, self.threshold = draw, threshold
        self.pictures: list[Picture] = []

    def __call__(self, instance: Instance, history: list[Interaction], file: Path) -> Any:
        if sum(picture.source == instance.source for picture in self.pictures) < MOST_PICTURES:
            self.pictures.append(picture_of(instance, history, self.threshold))
        return self.draw(instance, history, file)


def picture_of(instance: Instance, history: Sequence[Interaction], threshold: float = 0.5) -> Picture:
    """`instance` after its first, fifth and last click, at most `LONGEST_SIDE` pixels a side, all its clicks drawn."""
    height, width = instance.image.shape[1:]
    shrink = min(1.0, LONGEST_SIDE / max(height, width))
    size = (max(1, round(width * shrink)), max(1, round(height * shrink)))
    image = cv2.resize(instance.image.permute(1, 2, 0).contiguous().numpy(), size, interpolation=cv2.INTER_AREA)
    truth = torch.where(instance.ignore, 2, instance.mask.to(torch.uint8))[0].to(torch.uint8).numpy()
    predictions, ious = {}, []
    for click in sorted({1, min(5, len(history)), len(history)}):
        found = (history[click - 1].prob > threshold).cpu()
        ious.append(iou(found, instance.mask[None], instance.ignore[None]).item())
        predictions[click] = _shrunk(found[0, 0].to(torch.uint8).numpy(), size).astype(bool)
    _draw_clicks(image, history[-1].clicks.to("cpu"), shrink)
    return Picture(instance.id, instance.source, instance.category, image, _shrunk(truth, size), predictions, tuple(ious))


def shown(folder: Path, pictures: Sequence[Picture]) -> dict[str, Any]:
    """The table of instances of each evaluation of the run in `folder`, and its pictures, as W&B takes them."""
    import wandb  # here and below: half a second that a run without it need not wait for

    entries: dict[str, Any] = {}
    for name, evaluation in _evaluations(folder).items():
        entries[f"instances/{name}"] = wandb.Table(columns=list(COLUMNS), data=rows(evaluation))
    for source in dict.fromkeys(picture.source for picture in pictures):
        chosen = [picture for picture in pictures if picture.source == source][:MOST_PICTURES]
        entries[f"panels/{source}"] = [_image(picture) for picture in chosen]
    return entries


def rows(evaluation: Evaluation) -> list[list[Any]]:
    """One row of `COLUMNS` an instance; None where a score is not defined (skipped, or stopped before it)."""
    found = []
    for result in evaluation.results:
        ious = torch.tensor([result.ious], dtype=torch.float64)
        stop = evaluation.target_iou
        counts = [
            int(noc(ious, at, evaluation.protocol.max_clicks)) if result.ious and (stop is None or at <= stop) else None
            for at in AT_IOUS.values()
        ]
        reached = [result.ious[click - 1] if click <= len(result.ious) else None for click in AT_CLICKS]
        what = (result.id, result.source, result.category, result.area, result.status)
        found.append([*what, *counts, *reached, len(result.clicks)])
    return found


def summary_fields(folder: Path) -> dict[str, Any]:
    """Plain values by which a dashboard sorts: what was set, what it cost, and the scores on each set of instances."""
    content = _content(folder)
    settings = content.get("settings", {})
    fields = {field: settings[name] for field, name in SORTED_BY.items() if settings.get(name) is not None}
    fields |= {name: value for name, value in content.get("cost", {}).items() if value is not None}
    for name, place in content.get("evaluations", {}).items():
        summary = json.loads((folder / place / SUMMARY_FILE).read_text())
        scores = {f"noc{at}": value for at, value in summary["noc"].items()}
        scores |= {f"miou@{click}": summary["miou"].get(str(click)) for click in AT_CLICKS}
        scores |= {"instances": summary["instances"], "seconds_per_click": summary["seconds_per_click"]["total"]}
        fields |= {f"{name}/{score}": value for score, value in scores.items() if value is not None}
    return fields


def tags_of(settings: Mapping[str, Any]) -> list[str]:
    """Words to find a run by: what kind of network, at what size, trained how; settings that are not there give none."""
    plain = [settings.get(name) for name in ("model.kind", "size", "mode")]
    named = {"modulation": "modulation", "theta": "model.theta", "fusion": "model.early_fusion"}
    pairs = [f"{tag}={settings[name]}" for tag, name in named.items() if settings.get(name) is not None]
    return [str(word)[:64] for word in (*plain, *pairs) if word is not None]  # W&B takes 64 characters


def kept_files(folder: Path) -> dict[str, Path]:
    """The files from which `isrefiner report` builds the run again, by their names on W&B."""
    places = _content(folder).get("evaluations", {}).values()
    paths = [Path(place) / name for place in places for name in (SUMMARY_FILE, INSTANCES_FILE)]
    files = {KEPT_RUN_FILE: folder / RUN_FILE} | {path.as_posix(): folder / path for path in (Path(CONFIG_FILE), *paths)}
    return {name: file for name, file in files.items() if file.is_file()}


def _content(folder: Path) -> dict[str, Any]:
    return json.loads((folder / RUN_FILE).read_text())


def _evaluations(folder: Path) -> dict[str, Evaluation]:
    return {name: Evaluation.load(folder / place) for name, place in _content(folder).get("evaluations", {}).items()}


def _image(picture: Picture) -> Any:
    import wandb

    masks = {"truth": {"mask_data": picture.truth, "class_labels": {1: picture.category or "object", 2: "ignored"}}}
    for number, (click, found) in enumerate(picture.predictions.items(), 3):  # W&B colours by class: one for each
        name = f"after {click} click{'s' * (click > 1)}"
        masks[name] = {"mask_data": number * found.astype(np.uint8), "class_labels": {number: name}}
    reached = ", ".join(f"{click}: {100 * value:.1f}" for click, value in zip(picture.predictions, picture.ious, strict=True))
    caption = " ".join(filter(None, (picture.category, picture.name)))
    return wandb.Image(picture.image, masks=masks, caption=f"{caption}; IoU (%) after click {reached}")


def _shrunk(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST)


def _draw_clicks(image: np.ndarray, clicks: Clicks, shrink: float) -> None:
    """Dots with a white rim on `image`, in place; green is positive."""
    radius = max(2, max(image.shape[:2]) // 100)
    used = clicks.used[0]
    for (row, column), label in zip(clicks.yx[0][used].tolist(), clicks.label[0][used].tolist(), strict=True):
        centre = (int((column + 0.5) * shrink), int((row + 0.5) * shrink))
        cv2.circle(image, centre, radius + 1, WHITE, -1, cv2.LINE_AA)
        cv2.circle(image, centre, radius, GREEN if label == POSITIVE else RED, -1, cv2.LINE_AA)
