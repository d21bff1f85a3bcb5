"""`isrefiner benchmark data` on images on the disk, and the plain loop that it measures beside the loader."""

import json
from functools import partial

import numpy as np
import pytest
from PIL import Image

from vfm_isrefiner.cli import benchmark
from vfm_isrefiner.cli.benchmark_data import plain
from vfm_isrefiner.data.folder import FolderInstances
from vfm_isrefiner.data.labelled_folder import LabelledFolder
from vfm_isrefiner.data.sampling import TrainingSamples

QUICK = ("samples=8", "epochs=2", "plain_samples=2", "crop=24", "data.batch_size=4", "data.augmentation.crop_size=32")


@pytest.fixture
def folder(tmp_path):
    """images/ and masks/ of four pictures of 40 × 50 with the objects 1 and 7."""
    for k in range(4):
        rng = np.random.default_rng(k)
        ids = np.zeros((40, 50), np.uint8)
        ids[2:20, 3:21] = 1
        ids[22:40, 30:48] = 7
        for name, array in (("images", rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)), ("masks", ids)):
            (tmp_path / name).mkdir(exist_ok=True)
            Image.fromarray(array).save(tmp_path / name / f"p{k}.png")
    return tmp_path


@pytest.fixture
def run(isrefiner, folder):
    """Runs the command as typed; gives its exit status."""
    return partial(isrefiner, "benchmark")


def on(folder):
    parts = (f"data.train.folder.{part}={folder / part}" for part in ("images", "masks"))
    return ("data=folder", *parts)


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
@pytest.mark.parametrize("words", [("workers=[0,1]",), ("workers=[0]", "data.resident=true")])
def test_every_epoch_of_every_number_of_workers_is_told(run, folder, capsys, words):
    assert run("data", *on(folder), *QUICK, "json=speed.json", *words) == 0
    rows = json.loads((folder / "speed.json").read_text())
    workers = [0, 0, 1, 1] if "workers=[0,1]" in words else [0, 0]
    assert [(row["workers"], row["epoch"]) for row in rows] == [(count, k % 2) for k, count in enumerate(workers)]
    for row in rows:
        assert row["samples_per_second"] > 0
        assert row["memory_mb"] > 10
        assert row["ratio"] == pytest.approx(row["samples_per_second"] / row["plain_per_second"])
    out = capsys.readouterr()
    assert "samples/s" in out.out
    assert f"workers {workers[-1]}, epoch 2:" in out.err


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        (("data", "samples=0"), 1, "samples must be 1 or more, got 0"),
        (("data", "modle.size=test"), 1, "modle"),
        (("speed",), 2, "invalid choice: 'speed'"),
        ((), 2, "required: word"),
    ],
)
def test_wrong_input_is_told(run, capsys, words, status, told):
    assert run(*words) == status
    assert told in capsys.readouterr().err


def test_help_names_the_words_and_settings_say_what_a_row_is(run, capsys):
    assert run("--help") == 0
    out = capsys.readouterr().out
    assert all(f"  {word} " in out for word in benchmark.WORDS)
    assert run("data", "--settings") == 0
    assert "A row is one epoch: samples per second" in capsys.readouterr().out


def test_the_plain_loop_cuts_the_object(folder):
    of = FolderInstances(folder / "images", folder / "masks")
    samples = TrainingSamples({"a": of.subset([0, 3, 4, 5])}, 20, 32)
    for number in range(20):
        image, mask = plain(samples, number, 24)
        record = samples.sets[0].records[samples.draw(number).objects[0]]
        whole = of[of.records.index(record)]
        assert image.shape == (24, 24, 3)
        assert mask.sum() == 18 * 18
        assert any(
            (whole.image[:, y : y + 24, x : x + 24].permute(1, 2, 0).numpy() == image).all() for y in (0, 16) for x in (0, 26)
        )


def test_the_plain_loop_reads_every_set(folder, tmp_path):
    entry = {"h": 40, "w": 50, "ignore": None, "instances": [{"id": 7, "cls": "c", "area": 324, "bbox": [30, 22, 18, 18]}]}
    (folder / "train" / "l").mkdir(parents=True)
    for part in ("images", "masks"):
        (folder / part).rename(folder / "train" / "l" / part)
    (folder / "train" / "l" / "meta.json").write_text(json.dumps({f"p{k}": entry for k in range(4)}))
    labelled = LabelledFolder(folder, "train", "l")
    binary = FolderInstances(folder / "train/l/images", folder / "train/l/masks", kind="components")
    for of, area in ((labelled, 324), (binary, 324)):
        image, mask = plain(TrainingSamples({"a": of}, 5, 32), 3, 100)
        assert image.shape == (40, 50, 3)
        assert mask.sum() == area
