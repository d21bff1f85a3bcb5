"""The dispatcher: help at once, wrong commands told."""

import subprocess
import sys

import pytest

from vfm_isrefiner.cli.main import COMMANDS, main


def run(monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["isrefiner", *words])
    main()


def test_help_names_every_command(monkeypatch, capsys):
    with pytest.raises(SystemExit) as stop:
        run(monkeypatch, "--help")
    assert stop.value.code == 0
    out = capsys.readouterr().out
    assert all(name in out for name in COMMANDS)
    assert "examples:" in out


def test_no_command_is_wrong_usage(monkeypatch, capsys):
    with pytest.raises(SystemExit) as stop:
        run(monkeypatch)
    assert stop.value.code == 2
    assert "usage:" in capsys.readouterr().out


def test_unknown_command(monkeypatch, capsys):
    with pytest.raises(SystemExit) as stop:
        run(monkeypatch, "trian")
    assert stop.value.code == 2
    assert "unknown command 'trian', expected one of train" in capsys.readouterr().err


def test_version(monkeypatch, capsys):
    run(monkeypatch, "--version")
    assert capsys.readouterr().out.strip()[0].isdigit()


def test_help_imports_nothing_heavy():
    code = (
        "import sys; sys.argv = ['isrefiner', '--help']\nfrom vfm_isrefiner.cli.main import main\n"
        "try: main()\nexcept SystemExit: pass\nassert not {'torch', 'hydra', 'lightning'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_a_run_of_python_m_starts_its_other_processes_with_the_command(monkeypatch, capsys):
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", sys.modules["vfm_isrefiner.cli.main"].__spec__)
    with pytest.raises(SystemExit):
        run(monkeypatch, "model", "--help")
    assert sys.modules["__main__"].__spec__.name == "vfm_isrefiner.cli.model"
    assert sys.argv[0].endswith("model.py")
