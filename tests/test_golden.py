"""The reference vectors, file by file, and the command that checks them."""

import shutil
import subprocess
import sys
from pathlib import Path

import golden as command
import numpy as np
import pytest

SLOW = pytest.mark.slow
FILES = [
    "click_maps",
    "mfp_small",
    "model_small",
    pytest.param("model_vitb", marks=SLOW),
    "modulation",
    "next_click",
    "noc",
    "normalized_focal_loss",
    "simpleclick_small",
    "transcript_inputs",
    "transcript_paper",
    "transcript_ritm",
    "transcript_simpleclick",
    "zoom_roi",
]


@pytest.mark.parametrize("name", FILES)
def test_file_is_reproduced(golden, name):
    row = command.run(golden / f"{name}.npz")
    assert row.passed, row
    assert row.cases >= 1


def test_every_file_of_the_folder_is_tested(golden):
    named = {getattr(entry, "values", (entry,))[0] for entry in FILES}
    assert {path.stem for path in golden.glob("*.npz")} <= named


def loss_file(path: Path, error: float = 0.0, **changes: np.ndarray) -> Path:
    """A vector file of two pixels whose loss is known: both wrong by one half, so 0.5 * log(2) each."""
    logits, labels = np.zeros((1, 1, 1, 2), np.float32), np.array([[[[1, 0]]]], np.int8)
    values = {"0.logits": logits, "0.labels": labels, "0.nfl": np.array([0.5 * np.log(2) + error], np.float32)}
    np.savez(path, **(values | changes))
    return path


def test_a_file_is_known_by_its_stem_with_or_without_hidden():
    for stem in ("modulation_more", "hidden_noc", "hidden_next_click2", "normalized_focal_loss"):
        assert command.check_of(Path(f"{stem}.npz"))
    for stem in ("no", "amodulation", "hidden_", "hidden_hidden_noc"):
        assert command.check_of(Path(f"{stem}.npz")) is None
    with pytest.raises(ValueError, match="of no known form"):
        command.run(Path("something.npz"))


def test_the_command_prints_a_row_for_each_known_file(tmp_path, capsys):
    loss_file(tmp_path / "normalized_focal_loss.npz")
    loss_file(tmp_path / "hidden_normalized_focal_loss.npz")
    loss_file(tmp_path / "else.npz")
    assert command.main([str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["file", "cases", "worst", "error", "tolerance", "verdict"]
    assert [line.split()[0] for line in lines[1:3]] == ["hidden_normalized_focal_loss.npz", "normalized_focal_loss.npz"]
    assert all(line.split()[-1] == "pass" or " pass " in line for line in lines[1:3])
    assert lines[3] == "2 of 2 files pass; of no known form: else.npz"


@pytest.mark.parametrize(
    ("error", "changes", "why"),
    [
        (1e-4, {}, "MISS"),
        (np.nan, {}, "MISS"),
        (0.0, {"0.nfl": np.zeros(2, np.float32)}, "our result is (1,), the expected one (2,)"),
        (0.0, {"1.logits": np.zeros(1)}, "lacks 1.labels, 1.nfl"),
    ],
)
def test_one_miss_fails_the_command(tmp_path, capsys, error, changes, why):
    loss_file(tmp_path / "hidden_normalized_focal_loss.npz")
    loss_file(tmp_path / "normalized_focal_loss.npz", error, **changes)
    assert command.main([str(tmp_path)]) == 1
    output = capsys.readouterr().out
    assert why in output
    assert "1 of 2 files pass" in output


def test_an_unreadable_or_empty_file_fails_the_command(tmp_path, capsys):
    (tmp_path / "modulation.npz").write_bytes(b"PK\x03\x04 cut off")
    assert command.main([str(tmp_path)]) == 1
    np.savez(tmp_path / "modulation.npz")
    assert command.main([str(tmp_path)]) == 1
    assert "lacks any case" in capsys.readouterr().out


def test_no_known_file_or_no_folder_fails_the_command(tmp_path, capsys):
    assert command.main([str(tmp_path)]) == 2
    assert "no file of a known form (of 0 .npz files)" in capsys.readouterr().err
    assert command.main([str(tmp_path / "absent")]) == 2
    assert "is not a folder" in capsys.readouterr().err


CORRUPTED = {
    "click_maps": "maps",
    "modulation": "isrefiner",
    "next_click": "clicks",
    "noc": "noc",
    "normalized_focal_loss": "nfl",
}


@pytest.mark.parametrize(("name", "output"), CORRUPTED.items())
def test_a_corrupted_copy_is_a_miss(golden, tmp_path, name, output):
    with np.load(golden / f"{name}.npz") as vectors:
        values = dict(vectors)
    key = next(key for key in reversed(values) if key.rpartition(".")[2] == output)
    changed = values[key].copy()
    changed.flat[changed.size // 3] += 1
    np.savez(tmp_path / f"hidden_{name}.npz", **(values | {key: changed}))
    assert not command.run(tmp_path / f"hidden_{name}.npz").passed
    shutil.copy(golden / f"{name}.npz", tmp_path / f"hidden_{name}.npz")
    assert command.run(tmp_path / f"hidden_{name}.npz").passed


@pytest.mark.parametrize("name", ["model_small", "simpleclick_small"])  # MFP's depth is SimpleClick's
def test_a_network_without_its_listing_is_known_by_its_name(golden, tmp_path, name):
    shutil.copy(golden / f"{name}.npz", tmp_path / f"hidden_{name}.npz")
    assert command.run(tmp_path / f"hidden_{name}.npz").passed
    shutil.copy(golden / f"{name}.npz", tmp_path / "model_unknown.npz")
    assert "model_unknown_state_dict.json must lie beside" in command.run(tmp_path / "model_unknown.npz").note


def test_it_runs_as_a_program_from_another_folder(tmp_path):
    loss_file(tmp_path / "normalized_focal_loss.npz", error=0.1)
    result = subprocess.run([sys.executable, command.__file__, "."], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 1, result.stderr
    assert "0 of 1 files pass" in result.stdout
