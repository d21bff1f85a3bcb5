"""What decides a run's result, the folder named after it, and who may work there."""

import json
import os

import pytest

from vfm_isrefiner.cli.jobs import (
    begin,
    claimed,
    deciding_settings,
    fingerprint_of,
    finished_row,
    is_first_process,
    run_folder,
    run_label,
    write_row,
)
from vfm_isrefiner.cli.settings import composed


def settings(*overrides):
    return deciding_settings(composed("train", ["size=test", *overrides]))


def test_settings_are_flat_and_named_shortly():
    found = settings("mode=adapter", "model.theta=0.5", "modulation=mfp", "data=real", "paths.shared=/data")
    assert found["mode"] == "adapter"
    assert found["model.kind"] == "isrefiner"
    assert found["model.theta"] == 0.5
    assert found["modulation"] == "mfp"
    assert found["data.train_weights.isaid"] == 0.70
    assert found["callbacks.simulate_clicks.max_rounds"] == 3
    assert not any(isinstance(value, dict) for value in found.values())


@pytest.mark.parametrize(
    "change",
    ["seed=1", "model.theta=0.5", "modulation=none", "budget=100", "minutes=3", "optimizer.lr=1.0", "data.merge_probability=0"],
)
def test_what_decides_changes_the_fingerprint(change):
    assert fingerprint_of(settings()) != fingerprint_of(settings(change))


@pytest.mark.parametrize("change", ["name=x", "paths.outputs=x", "logger=wandb", "data.num_workers=3", "test_panels=0"])
def test_what_does_not_decide_leaves_it(change):
    assert fingerprint_of(settings()) == fingerprint_of(settings(change))


def test_a_file_counts_by_its_content(tmp_path):
    one, same, other = (tmp_path / name for name in ("one.pth", "same.pth", "other.pth"))
    one.write_bytes(b"1")
    same.write_bytes(b"1")
    other.write_bytes(b"2")
    prints = [fingerprint_of(settings("mode=full", f"pretrained={file}")) for file in (one, same, other)]
    assert prints[0] == prints[1] != prints[2]
    assert settings("mode=full", "pretrained=gone.pth")["model.checkpoint"] == "gone.pth"
    taught = [
        fingerprint_of(settings("distillation=teacher", f"distillation.checkpoint={file}")) for file in (one, same, other)
    ]
    assert prints[0] != taught[0] == taught[1] != taught[2]


def test_a_run_with_a_teacher_is_called_so():
    words = ("distillation=teacher", "distillation.checkpoint=default")
    assert run_label(composed("train", ["size=test", *words])) == "isrefiner, distilled"
    assert run_label(composed("train", ["size=test", "method=mfp", *words])).endswith("distilled")


def test_folders_tell_what_differs_from_the_papers_network():
    start, _, _ = run_folder(composed("train", ["size=test", "mode=adapter", "seed=3"])).rpartition("-")
    assert start == "test/adapter-seed3"
    name = run_folder(composed("train", ["size=test", "mode=adapter", "model.theta=1.0", "model.use_hq=false"]))
    assert name.startswith("test/adapter-hq-False-theta-1.0-seed0-")
    assert run_folder(composed("train", ["size=test", "mode=lora"])).startswith("test/mfp-lora-seed0-")
    assert run_folder(composed("evaluate", ["checkpoint=some/MFP.pth"])).startswith("paper/MFP-seed0-")


def test_a_finished_row_is_known_by_its_fingerprint(tmp_path):
    assert finished_row(tmp_path, "ab") is None
    write_row(tmp_path, {"val/noc80": 3.0}, name="a", fingerprint="ab", evaluations={"isaid": "test"})
    assert finished_row(tmp_path, "ab") == {"val/noc80": 3.0}
    assert finished_row(tmp_path, "cd") is None
    assert json.loads((tmp_path / "run.json").read_text())["evaluations"] == {"isaid": "test"}


def test_a_folder_is_one_runs_until_it_ends(tmp_path):
    with claimed(tmp_path / "job") as mine, claimed(tmp_path / "job") as other:
        assert (mine, other) == (True, False)
    with claimed(tmp_path / "job") as again:
        assert again


@pytest.mark.parametrize("variable", ["RANK", "SLURM_PROCID", "LOCAL_RANK"])
def test_only_the_first_process_of_a_distributed_run_claims(tmp_path, monkeypatch, variable):
    for name in ("RANK", "SLURM_PROCID", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    assert is_first_process()
    monkeypatch.setenv(variable, "1")
    assert not is_first_process()
    with claimed(tmp_path / "job") as free:
        assert free
    assert not os.path.exists(tmp_path / "job")


@pytest.mark.parametrize(
    "change",
    ["callbacks.best=null", "callbacks=bare", "callbacks.evaluate_noc.max_instances=3", "trainer.devices=2", "test_limit=1"],
)
def test_which_weights_are_kept_and_how_they_are_trained_decides_too(change):
    assert fingerprint_of(settings()) != fingerprint_of(settings(change))


def test_one_is_one_point_nought():
    assert fingerprint_of(settings("model.theta=1")) == fingerprint_of(settings("model.theta=1.0"))


def test_minutes_take_the_place_of_other_limits():
    runs = [("minutes=3", *words) for words in ((), ("trainer.max_epochs=2",), ("scheduler=cosine",), ("trainer.max_steps=9",))]
    assert len({fingerprint_of(settings(*words)) for words in runs}) == 1
    assert fingerprint_of(settings("minutes=3")) != fingerprint_of(settings("minutes=4"))


def test_of_a_network_that_is_not_trained_the_training_does_not_decide():
    fixed = [fingerprint_of(settings("mode=pretrained", *words)) for words in ((), ("optimizer.lr=1", "budget=9"))]
    assert fixed[0] == fixed[1]


def test_a_peer_has_no_network_of_ours(tmp_path):
    weights = tmp_path / "RITM.pth"
    weights.write_bytes(b"1")
    given = ["peer=isegm", "peer.code=.", f"peer.checkpoint={weights}"]
    one, slow = (composed("evaluate", [*given, f"peer.python={name}", f"peer.timeout={name}0"]) for name in (1, 2))
    found = deciding_settings(one)
    assert not [name for name in found if name.startswith(("model", "modulation"))]
    assert run_folder(one) == run_folder(slow)
    assert run_folder(one).startswith("given/RITM-seed0-")
    weights.write_bytes(b"2")
    assert deciding_settings(one)["peer.checkpoint"] != found["peer.checkpoint"]


def test_a_begun_folder_is_for_one_run(tmp_path):
    begin(tmp_path, "ab")
    begin(tmp_path, "ab")
    with pytest.raises(ValueError, match="holds a run of other settings"):
        begin(tmp_path, "cd")


def test_a_process_inside_a_batch_script_is_known_by_its_own_number(monkeypatch):
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.setenv("SLURM_PROCID", "0")  # of the script itself
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert not is_first_process()
