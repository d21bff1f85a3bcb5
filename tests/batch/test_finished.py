"""The log of finished objects: safe against kills, other runs and other processes."""

import numpy as np
import pytest

from vfm_isrefiner.batch.finished import Finished, FinishedLog

ABOUT = {"scene": "a.tif", "window": [512, 4096]}


def finished(name="1", seed=0):
    mask = np.zeros((30, 40), bool)
    mask[5:20, 7:30] = np.random.default_rng(seed).random((15, 23)) < 0.5
    return Finished.of(name, mask, (100, 200), 0.75, 3), mask


def test_a_mask_comes_back_at_its_place():
    one, mask = finished()
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    assert one.corner == (100 + rows[0], 200 + columns[0])
    assert np.array_equal(one.mask, mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
    full = Finished.of("2", np.ones((3, 5), bool), (0, 0), 1.0, 1)
    assert full.mask.all()
    assert full.size == (3, 5)


def test_going_on_after_any_cut(tmp_path):
    file = tmp_path / "log"
    with FinishedLog.open(file, ABOUT) as log:
        for number in range(3):
            log.add(finished(str(number), number)[0])
    content, kept = file.read_bytes(), []
    for length in range(0, len(content) + 1, 7):
        file.write_bytes(content[:length])
        with FinishedLog.open(file, ABOUT) as log:
            kept.append(len(log.done))
            assert list(log.done.values()) == [finished(str(number), number)[0] for number in range(kept[-1])]
            log.add(finished("9", 9)[0])
        with FinishedLog.open(file, ABOUT) as log:
            assert len(log.done) == kept[-1] + 1
    assert kept == sorted(kept)
    assert set(kept) >= {0, 1, 2}


def test_another_run_is_told(tmp_path):
    with FinishedLog.open(tmp_path / "log", ABOUT) as log:
        log.add(finished()[0])
    with pytest.raises(ValueError, match=r"1 finished objects of another run \(scene was a.tif, now b.tif\)"):
        FinishedLog.open(tmp_path / "log", {**ABOUT, "scene": "b.tif"})
    content = (tmp_path / "log").read_bytes()
    (tmp_path / "log").write_bytes(content.replace(b'"score"', b'"sc"'))
    with pytest.raises(ValueError, match=r"is damaged .*Delete it to begin again"):
        FinishedLog.open(tmp_path / "log", ABOUT)


def test_one_process_at_a_time(tmp_path):
    with FinishedLog.open(tmp_path / "log", ABOUT) as log:
        with pytest.raises(ValueError, match="Another process works on"):
            FinishedLog.open(tmp_path / "log", ABOUT)
        log.remove()
    assert not list(tmp_path.iterdir())
