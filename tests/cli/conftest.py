"""The commands, run in this process as a user would type them."""

import logging
import sys

import pytest
from hydra.core.global_hydra import GlobalHydra

from vfm_isrefiner.cli.main import main


@pytest.fixture
def isrefiner(monkeypatch, tmp_path):
    """`isrefiner("train", "experiment=smoke")` runs the command in an empty folder; gives its exit status."""
    monkeypatch.chdir(tmp_path)

    def run(*words):
        GlobalHydra.instance().clear()
        monkeypatch.setattr(sys, "argv", ["isrefiner", *words])
        try:
            main()
        except SystemExit as stop:
            return stop.code or 0
        finally:
            GlobalHydra.instance().clear()
            # Hydra leaves the run's log open, until the next job of whichever test begins and drops it
            for handler in [one for one in logging.root.handlers if type(one) is logging.FileHandler]:
                logging.root.removeHandler(handler)
                handler.close()
        return 0

    return run
