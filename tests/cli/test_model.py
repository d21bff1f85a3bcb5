"""`isrefiner model`: the table adds up."""

import sys

import pytest

from vfm_isrefiner.cli import model
from vfm_isrefiner.models.build import build_isrefiner


def test_rows_add_up():
    *parts, whole = model.table(build_isrefiner("test", image_size=64), 64)
    sums = [sum(row[column] for row in parts) for column in range(1, 5)]
    assert sums == list(whole[1:])
    assert min(whole[1:]) > 0
    assert dict(row[:2] for row in parts).keys() >= {"vit", "image_extractor", "mask_decoder"}


def test_frozen_parts_have_nothing_trainable():
    rows = {row[0]: row for row in model.table(build_isrefiner("test", image_size=64), 64)}
    assert rows["vit"][2] == rows["fpn"][2] == 0
    assert rows["image_extractor"][3] > 0 == rows["image_extractor"][4], "computed once per image, not per click"


def test_command(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["model", "model.size=test", "model.image_size=64"])
    model.main()
    assert "trainable" in capsys.readouterr().out


def test_unknown_size_is_told_in_a_line(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["model", "model.size=huge"])
    with pytest.raises(SystemExit) as stop:
        model.main()
    assert stop.value.code == 1
    error = capsys.readouterr().err
    assert error.startswith("error:")
    assert "'huge' is unknown" in error
    assert "Traceback" not in error
