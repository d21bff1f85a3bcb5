"""`isrefiner benchmark all`: the settings of every part are composed, and one that fails does not stop the others."""

import json
from functools import partial

import pytest

from vfm_isrefiner.cli import benchmark_all
from vfm_isrefiner.cli.settings import composed

PARTS = composed("benchmark_all", []).parts


@pytest.fixture
def run(isrefiner):
    """Runs the command as typed; gives its exit status."""
    return partial(isrefiner, "benchmark", "all")


@pytest.mark.parametrize("name", list(PARTS))
@pytest.mark.parametrize("device", ["cuda", "cpu"])
def test_settings_of_every_part_are_known(name, device) -> None:
    settings = PARTS[name][device]
    if settings is not None:
        cfg = composed(f"benchmark_{PARTS[name].word}", ["device=cpu", *settings])
        assert cfg.json is None


def test_a_failure_is_told_and_the_others_go_on(run, tmp_path, monkeypatch, capsys) -> None:
    small = ["model.size=test", "model.image_size=32", "input_size=32", "limit=1", "max_clicks=1", "data.val.synthetic.count=1"]
    numbers = "[" + ",".join(f"'{setting}'" for setting in small) + "]"
    words = (f"parts.same.cpu={numbers}", "parts.eval.cpu=['limit=0']", "only=[eval,same]", "json=speed.json", "device=cpu")
    assert "eval failed" in str(run(*words))
    found = json.loads((tmp_path / "speed.json").read_text())
    assert found["eval"]["error"].startswith("ValueError: limit must be 1 or more")
    assert found["same"]["measures"]
    assert "## same" in capsys.readouterr().out


def test_pictures_are_of_the_click(run, tmp_path, monkeypatch) -> None:
    seen = []
    monkeypatch.setattr(benchmark_all, "measured", lambda word, settings: seen.append((word, settings)) or {})
    assert run("only=[click,eval]", "figures=pictures", "device=cpu") == 0
    assert seen == [("click", ["device=cpu", "figures='pictures'"]), ("eval", ["device=cpu"])]


def test_an_unknown_part_is_told(run, capsys) -> None:
    assert run("only=[clock]", "device=cpu") == 1
    assert "there is no part clock; choose among click" in capsys.readouterr().err
