"""Fixtures of every test: the optional data folder beside the checkout, and a seeded generator."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch


@pytest.fixture(scope="session")
def shared() -> Path:
    """The optional data folder: VFM_SHARED, or `../shared` beside the checkout."""
    folder = Path(os.environ.get("VFM_SHARED") or Path(__file__).resolve().parents[2] / "shared")
    if not folder.is_dir():
        pytest.skip(f"no data folder at {folder}; set VFM_SHARED to one")
    return folder


@pytest.fixture(scope="session")
def golden(shared: Path) -> Path:
    """The folder of reference vectors."""
    folder = shared / "golden"
    if not folder.is_dir():
        pytest.skip(f"no reference vectors at {folder}")
    return folder


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(20240607)
