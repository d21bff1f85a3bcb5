"""What a finished run shows on W&B."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from training.blobs import SIDE, Blobs, module

from vfm_isrefiner.evaluation import evaluate, trace
from vfm_isrefiner.instance import Instance
from vfm_isrefiner.training.evaluate_noc import named
from vfm_isrefiner.training.simulate_clicks import in_eval_mode
from vfm_isrefiner.training.wandb_report import (
    COLUMNS,
    KeepPictures,
    kept_files,
    picture_of,
    rows,
    shown,
    summary_fields,
    tags_of,
)

SETTINGS = {
    "model.kind": "isrefiner",
    "model.theta": "learnable",
    "model.early_fusion": "gated",
    "modulation": "mfp",
    "mode": "adapter",
    "size": None,
    "seed": 3,
}


@pytest.fixture(scope="module")
def played():
    """Two instances, one that nothing can be clicked on, and the first one's interactions."""
    trained, rule = module(), named("simpleclick", SIDE)
    first = Blobs(1)[0]
    hidden = replace(first, id="hidden", ignore=torch.ones_like(first.ignore))
    with in_eval_mode(trained.network):
        return evaluate(trained.round, [first, hidden], rule), first, trace(trained.round, first, rule)


@pytest.fixture
def folder(tmp_path, played):
    played[0].save(tmp_path / "test" / "blobs")
    content = {
        "name": "a",
        "settings": SETTINGS,
        "cost": {"parameters": 12, "trainable": 3, "flops_per_click": None},
        "evaluations": {"blobs": "test/blobs"},
    }
    (tmp_path / "run.json").write_text(json.dumps(content))
    return tmp_path


def test_a_row_an_instance(played):
    evaluation, _, history = played
    first, hidden = (dict(zip(COLUMNS, row, strict=True)) for row in rows(evaluation))
    result = evaluation.results[0]
    assert (first["id"], first["source"], first["category"], first["area"]) == ("0/1", "blobs", "blob", result.area)
    assert (first["IoU@1"], first["IoU@20"], first["clicks"]) == (result.ious[0], result.ious[19], len(history))
    reached = [click for click, value in enumerate(result.ious, 1) if value >= 0.80]
    assert first["NoC80"] == (reached[0] if reached else 20)
    assert (hidden["status"], hidden["NoC80"], hidden["IoU@1"], hidden["clicks"]) == ("all_ignored", None, None, 0)


def test_scores_beyond_the_stop_are_not_defined(played):
    row = dict(zip(COLUMNS, rows(replace(played[0], target_iou=0.85))[0], strict=True))
    assert row["NoC85"] is not None
    assert row["NoC90"] is None


def test_the_fields_that_a_dashboard_sorts_by(folder, played):
    fields = summary_fields(folder)
    assert fields["theta"] == "learnable"
    assert fields["fusion"] == "gated"
    assert fields["modulation"] == "mfp"
    assert fields["trainable"] == 3
    assert "size" not in fields, "what was not set sorts nothing"
    assert "flops_per_click" not in fields
    assert fields["blobs/noc80"] == played[0].summary()["noc"]["80"]
    assert fields["blobs/instances"] == 1


def test_tags_have_no_empty_words():
    assert tags_of(SETTINGS) == ["isrefiner", "adapter", "modulation=mfp", "theta=learnable", "fusion=gated"]
    assert tags_of({}) == []
    assert tags_of({"model.theta": "x" * 80}) == [f"theta={'x' * 58}"]


def test_the_files_that_build_the_run_again(folder):
    files = {name: file.relative_to(folder).as_posix() for name, file in kept_files(folder).items()}
    same = {name: name for name in ("test/blobs/summary.json", "test/blobs/instances.parquet")}
    assert files == {"isrefiner-run.json": "run.json"} | same


def test_a_picture_has_the_truth_the_predictions_and_the_clicks(played):
    _, instance, history = played
    instance = replace(instance, ignore=torch.zeros_like(instance.ignore).index_fill(1, torch.tensor([0]), True))
    picture = picture_of(instance, history)
    assert np.array_equal(picture.truth == 1, instance.mask[0].numpy())
    assert (picture.truth[0] == 2).all()
    assert list(picture.predictions) == [1, 5, 20]
    assert np.array_equal(picture.predictions[20], (history[-1].prob[0, 0] > 0.5).numpy())
    row, column = history[0].clicks.yx[0, 0].long().tolist()
    first = picture_of(instance, history[:1])
    assert first.image[row, column].tolist() == [33, 191, 82], "the first click is positive"
    assert not np.array_equal(picture.image, instance.image.permute(1, 2, 0).numpy())


def test_large_pictures_shrink(played):
    history = played[2]
    mask = torch.zeros(1, 1600, 800, dtype=torch.bool)
    mask[:, :800] = True
    large = Instance(torch.zeros(3, 1600, 800, dtype=torch.uint8), mask, torch.zeros_like(mask), "a", "large")
    wide = [replace(step, image=large.image[None], prob=mask[None].float(), clicks=step.clicks) for step in history[:1]]
    picture = picture_of(large, wide)
    assert picture.image.shape == (768, 384, 3)
    assert picture.truth.shape == picture.predictions[1].shape == (768, 384)
    assert picture.truth.mean() == pytest.approx(0.5)
    assert picture.ious == (1.0,)


def test_at_most_16_pictures_an_evaluation_are_kept(tmp_path, played):
    _, instance, history = played
    drawn = []
    keep = KeepPictures(lambda *given: drawn.append(given))
    for number in range(18):
        keep(replace(instance, id=str(number)), history, tmp_path)
    keep(replace(instance, source="other"), history, tmp_path)
    assert len(drawn) == 19
    assert [picture.name for picture in keep.pictures] == [*map(str, range(16)), "0/1"]


def test_tables_and_masks_as_wandb_takes_them(folder, played):
    _, instance, history = played
    entries = shown(folder, [picture_of(instance, history)])
    assert list(entries) == ["instances/blobs", "panels/blobs"]
    assert entries["instances/blobs"].columns == list(COLUMNS)
    (image,) = entries["panels/blobs"]
    assert {"truth", "after 1 click", "after 5 clicks", "after 20 clicks"} == set(image._masks)
