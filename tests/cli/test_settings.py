"""What the user reads when something is wrong, and what keeps its trace."""

import signal

import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf

from vfm_isrefiner.cli import settings
from vfm_isrefiner.training.errors import SaveError, StoppedBySignal, TrainingError


@pytest.mark.parametrize("error", [TrainingError("the loss is nan"), SaveError("the disk is full"), ValueError("no such size")])
def test_errors_of_the_input_are_one_line_and_status_1(capsys, error):
    with pytest.raises(SystemExit) as stop, settings.short_errors():
        raise error
    assert stop.value.code == 1
    assert capsys.readouterr().err.startswith(f"error: {error}\n")


def test_error_of_a_constructor_comes_out_of_hydras_wrapping(capsys):
    part = OmegaConf.create({"_target_": "vfm_isrefiner.training.simulate_clicks.SimulateClicks", "max_rounds": 0})
    with pytest.raises(SystemExit), settings.short_errors():
        instantiate(part)
    assert capsys.readouterr().err.startswith("error: max_rounds must be at least 1")


def test_a_fault_of_the_code_keeps_its_trace():
    with pytest.raises(ZeroDivisionError), settings.short_errors():
        raise ZeroDivisionError


def test_full_errors_on_demand(monkeypatch):
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    with pytest.raises(ValueError, match="whole"), settings.short_errors():
        raise ValueError("whole")


@pytest.mark.parametrize(("signum", "status"), [(signal.SIGTERM, 143), (signal.SIGUSR1, 128 + signal.SIGUSR1)])
def test_a_stop_by_signal_has_its_own_status(capsys, signum, status):
    with pytest.raises(SystemExit) as stop, settings.short_errors():
        raise StoppedBySignal(signum, "last.ckpt")
    assert stop.value.code == status
    assert "Resume with ckpt_path=last.ckpt" in capsys.readouterr().err


def test_a_package_without_conf_is_told(monkeypatch, tmp_path):
    monkeypatch.setattr(settings, "__file__", str(tmp_path / "site" / "vfm_isrefiner" / "cli" / "settings.py"))
    with pytest.raises(FileNotFoundError, match="install vfm-isrefiner again"):
        settings.conf_folder()
