"""Scores over many instances: NoC, NoF, mean IoU per click, boundary IoU, seconds per click."""

from __future__ import annotations
