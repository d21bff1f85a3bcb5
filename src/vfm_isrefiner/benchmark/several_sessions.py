"""Clicks a second of several sessions on one network: taking turns, and gathered into shared forwards."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from vfm_isrefiner.benchmark.measure import Measure
from vfm_isrefiner.benchmark.timing import Timing, Work, interleaved, ratio
from vfm_isrefiner.predictor import Predictor, Session

STEP = 9  # pixels from one click to the next


def several(
    make: Callable[..., Predictor],
    where: str,
    device: torch.device,
    *,
    sessions: int,
    clicks: int,
    image: int,
    repeats: int,
    warm_up: int,
) -> list[Measure]:
    """Both ways in turn, every session in a thread and on an image of its own.

    Args:
        make: gives a predictor with these settings of `Predictor`. where: what it is, for the rows.
        sessions: that click at the same time. clicks: that each makes in a turn. image: side in pixels.

    Returns:
        Clicks a second taking turns, gathered, and how many times as many.

    Raises:
        ValueError: a number is below 1.
    """
    if min(sessions, clicks, image) < 1:
        raise ValueError(
            f"sessions, clicks and the image's side must be 1 or more, got {sessions}, {clicks} and {image}; "
            "predictor.sessions=0 leaves this out."
        )
    drawn = np.random.default_rng(0)
    images = [drawn.integers(0, 256, (image, image, 3), dtype=np.uint8) for _ in range(sessions)]
    predictors = {"taking turns": make(), "gathered": make(gather=sessions)}
    with ThreadPoolExecutor(sessions) as pool:

        def work(predictor: Predictor) -> Work:
            running = [predictor.session(each) for each in images]  # each image is encoded here, and counts no more
            return lambda: list(pool.map(lambda session: _click(session, clicks), running))

        works = {name: work(predictor) for name, predictor in predictors.items()}
        taken = interleaved(works, repeats=repeats, warm_up=warm_up, device=device)
    for predictor in predictors.values():
        predictor.close()
    rows = [
        Measure.of(f"{where}, {sessions} sessions {name}", _rate(seconds, sessions * clicks), "clicks/s")
        for name, seconds in taken.items()
    ]
    return [*rows, Measure.of(f"{where}, gathered", ratio(taken["taking turns"], taken["gathered"]), "× taking turns")]


def _click(session: Session, clicks: int) -> None:
    height, width = session.size
    for _ in range(clicks):
        made = len(session.clicks)
        session.click((width // 2 + STEP * made) % width, height // 2, made % 2 == 0)


def _rate(taken: Timing, clicks: int) -> Timing:
    return Timing(tuple(clicks / seconds for seconds in taken.seconds))
