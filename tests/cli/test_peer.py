"""`isrefiner evaluate peer=...`: another process clicks, the results are ours, and a stopped one goes on."""

import json
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from vfm_isrefiner import peers

TEMPLATE = Path(peers.__file__).with_name("template.py")
SET = (
    "data=synthetic",
    "data.augmentation.crop_size=64",
    "data.val.synthetic.count=2",
    "limit=4",
    "panels=1",
    "protocol=close",
)


def words(command, folder):
    given = ",".join(f"'{word}'" for word in command)
    return ("evaluate", "peer=custom", f"peer.command=[{given}]", *SET, f"paths.run={folder}")


def results(folder):
    rows = pq.read_table(folder / "instances.parquet").to_pylist()
    return [{name: value for name, value in row.items() if not name.startswith("seconds")} for row in rows]


def test_a_peer_is_evaluated_like_a_network(isrefiner, tmp_path):
    assert isrefiner(*words([sys.executable, str(TEMPLATE)], "disks")) == 0
    summary = json.loads((tmp_path / "disks" / "summary.json").read_text())
    assert summary["instances"] == 4
    assert 0 < summary["miou"]["1"] < 1
    row = json.loads((tmp_path / "disks" / "run.json").read_text())
    assert row["evaluations"] == {"synthetic": "."}
    assert row["cost"] == {}
    assert list((tmp_path / "disks" / "panels").glob("*.png"))


def test_a_peer_that_died_goes_on_behind_its_last_instance(isrefiner, tmp_path, capsys):
    assert isrefiner(*words([sys.executable, str(TEMPLATE)], "undisturbed")) == 0
    flag, line = tmp_path / "dies", '    state["size"] = image.shape[:2]\n'
    fragile = tmp_path / "fragile.py"
    count = 'state["images"] = state.get("images", 0) + 1'
    death = f'    {count}\n    if state["images"] == 3 and os.path.exists({str(flag)!r}):\n        sys.exit("no licence")\n'
    text = TEMPLATE.read_text()
    assert line in text
    fragile.write_text(text.replace(line, line + death))
    flag.touch()
    again = words([sys.executable, str(fragile)], "again")
    assert isrefiner(*again) == 1
    assert "no licence" in capsys.readouterr().err
    assert not (tmp_path / "again" / "summary.json").exists()
    flag.unlink()
    assert isrefiner(*again) == 0
    assert "2 of 4 instances were finished before" in capsys.readouterr().out
    assert results(tmp_path / "again") == results(tmp_path / "undisturbed")
    assert not (tmp_path / "again" / "partial.jsonl").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("peer=isegm", "peer.python=gone", "peer.code=.", "peer.checkpoint=gone.pth"), "it holds no folder isegm"),
        (("peer=isegm",), "peer.python"),
    ],
)
def test_wrong_words_are_told(isrefiner, capsys, change, message):
    assert isrefiner("evaluate", *SET, *change) == 1
    assert message in capsys.readouterr().err
