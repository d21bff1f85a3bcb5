"""Runs with known numbers of clicks, without a network."""

from dataclasses import replace
from pathlib import Path

from vfm_isrefiner.evaluation import Evaluation, InstanceResult, protocol
from vfm_isrefiner.report.paper_tables import REFERENCE
from vfm_isrefiner.report.runs import Run

RULE = protocol("paper")


def curve(noc80, noc90, clicks=20):
    """IoU after each click: 0.5, then 0.86 from click `noc80` on, then 0.95 from `noc90` on; NoC85 is NoC80."""
    return tuple(0.95 if click >= noc90 else 0.86 if click >= noc80 else 0.5 for click in range(1, clicks + 1))


def evaluation(noc90, noc80=None, *, source="isaid", areas=None, classes=None, **changes):
    """Of one instance for each entry of `noc90`; NoC80 is 1 where it is not given."""
    noc80, areas, classes = (given or [usual] * len(noc90) for given, usual in ((noc80, 1), (areas, 500), (classes, "")))
    results = tuple(
        InstanceResult(
            number,
            f"image/{number}",
            source,
            classes[number],
            "image",
            areas[number],
            (0, 0, 9, 9),
            "ok",
            curve(noc80[number], noc90[number]),
            (),
            ((1.0, 1.0, True),) * 20,
            0.4,
            0.2,
        )
        for number in range(len(noc90))
    )
    return replace(Evaluation(results, RULE, "model", "data 1"), **changes)


def made_run(of, *, seed=0, name="run", folder="jobs", experiment=None, cost=None, **settings):
    """A run of our network at the paper's settings but for `settings`; `of` is its evaluation of iSAID or all by their sets.

    A setting's name has two underscores for a dot.
    """
    changed = {key.replace("__", "."): value for key, value in settings.items()}
    evaluations = {"isaid": of} if isinstance(of, Evaluation) else of
    telling = ",".join(f"{key}={value}" for key, value in changed.items())
    evaluations = {key: replace(each, model=f"{each.model} {telling} {seed}") for key, each in evaluations.items()}
    place = Path("outputs", folder, f"{name}-{telling}-seed{seed}")
    usual = {} if "checkpoint" in changed else {**REFERENCE, "size": "tiny", "model.size": "tiny"}
    return Run(place, name, {**usual, "seed": seed, **changed}, evaluations, cost or {}, experiment)
