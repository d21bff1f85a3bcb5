"""`isrefiner calibrate`: makes a network's scores tell the IoU, and checks that they do."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from vfm_isrefiner.evaluation import EvaluationProtocol
    from vfm_isrefiner.instance import Instance
    from vfm_isrefiner.rollout import Round

DESCRIPTION = """The score that the predictor gives with a mask is an estimate of its IoU. This command plays known objects
and compares scores with IoUs after each of the first clicks. With out=FILE it writes the network with a table that makes them
agree; without, it tells how far they agree already: do that on objects that the table was not made from (split=test)."""
EXAMPLES = """examples:
  isrefiner calibrate checkpoint=network.safetensors data=real split=val limit=150 out=calibrated.safetensors half=true
  isrefiner calibrate checkpoint=default data=real split=test sets=isaid limit=100

settings: those of isrefiner evaluate (crops are as the predictor makes them; input_size= is kept in FILE), and
  out=FILE.safetensors   write the network with its table    half=true    parameters in float16
  clicks=8               of each object
"""
Pair = tuple[NDArray[np.float64], NDArray[np.float64]]  # raw scores and IoUs
OWN = {"out": "", "half": "false", "clicks": "8"}


def run(cfg: DictConfig, out: Path | None, half: bool, clicks: int) -> dict[str, float]:
    """Play, compare, and write the network where `out` is given.

    Returns:
        Mean distance of score and IoU: "raw", "calibrated" (by the network's own table), and with `out` "fitted": of the new
        table, fitted on one half of the objects and tested on the other, both ways.

    Raises:
        ValueError: `out` is not to be written, no object is there, or a number is out of range.
    """
    from hydra.utils import instantiate

    from vfm_isrefiner.cli.evaluate import chosen_sets, name_modulation, network_of
    from vfm_isrefiner.models.checkpoints import save_network
    from vfm_isrefiner.models.inference import usual_passes
    from vfm_isrefiner.predictor.network_settings import settings_of
    from vfm_isrefiner.predictor.scores import calibrated, calibration_error, fit_calibration
    from vfm_isrefiner.rollout import Round
    from vfm_isrefiner.training.evaluate_noc import named

    if out is not None and (out.suffix != ".safetensors" or out.exists()):
        raise ValueError(f"out={out}: a new file that ends in .safetensors was expected.")
    if clicks < 1:
        raise ValueError(f"clicks={clicks}: at least 1 was expected.")
    network, _ = network_of(cfg)
    name_modulation(cfg, network)
    network.eval()
    if cfg.input_size is not None:
        network.config = {**network.config, "input_size": cfg.input_size}
    zoom = settings_of(network.config)["zoom"]  # scores are the predictor's, so it is played as the predictor plays it
    rule = replace(named(cfg.protocol, None), zoom=zoom, flip=bool(cfg.flip), max_clicks=clicks)
    round = Round(network, instantiate(cfg.modulation), first_click_passes=usual_passes(network.config))
    datamodule = instantiate(cfg.data)
    datamodule.prepare_data()
    datamodule.setup("test" if cfg.split == "test" else "validate")
    sets = chosen_sets(datamodule.evaluation_sets(cfg.split), cfg.sets)
    chosen = [each if cfg.limit is None else each.where(limit=cfg.limit) for each in sets.values()]
    played = list(pairs(round, (each[index] for each in chosen for index in range(len(each))), rule))
    if not played:
        raise ValueError("There is no object to play; see data=, split= and sets=.")
    raw, iou = _joined(played)
    own = network.config.get("score_calibration", ())
    errors = {
        "raw": calibration_error(raw, iou),
        "calibrated": calibration_error([calibrated(one, own) for one in raw], iou),
    }
    if out is not None:
        errors["fitted"] = across_halves(played)
        network.config = {**network.config, "score_calibration": fit_calibration(raw, iou)}
        save_network(network, out, half=half)
    return errors


def pairs(round: Round, instances: Iterator[Instance], rule: EvaluationProtocol) -> Iterator[Pair]:
    """Of each object that can be clicked on: the raw scores and the IoUs after each click."""
    from vfm_isrefiner.evaluation import trace
    from vfm_isrefiner.evaluation.running import described
    from vfm_isrefiner.metrics import iou
    from vfm_isrefiner.predictor.scores import raw_score

    for number, instance in enumerate(instances):
        if not described(number, instance).evaluated:
            continue
        history = [interaction.prob for interaction in trace(round, instance, rule)]
        found = [float(iou(prob > rule.threshold, instance.mask[None], instance.ignore[None])) for prob in history]
        yield np.array([raw_score(prob[0, 0].numpy(), rule.threshold) for prob in history]), np.array(found)


def across_halves(played: Sequence[Pair]) -> float:
    """The error of a table on objects that it was not made from; NaN for a single object."""
    from vfm_isrefiner.predictor.scores import calibrated, calibration_error, fit_calibration

    if len(played) < 2:
        return float("nan")
    found = []
    for one, other in ((0, 1), (1, 0)):
        (raw, iou), (raw_of_others, iou_of_others) = _joined(played[one::2]), _joined(played[other::2])
        fitted = fit_calibration(raw, iou)
        found.append(calibration_error([calibrated(score, fitted) for score in raw_of_others], iou_of_others))
    return sum(found) / 2


def _joined(played: Sequence[Pair]) -> Pair:
    return np.concatenate([raw for raw, _ in played]), np.concatenate([iou for _, iou in played])


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(
        prog="isrefiner calibrate",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("settings", nargs="*", metavar="name=value", help="of this command, and of isrefiner evaluate")
    words = parser.parse_args().settings
    own, rest = dict(OWN), []
    for word in words:
        name, _, value = word.partition("=")
        if name in own:
            own[name] = value
        else:
            rest.append(word)
    if not own["clicks"].isdigit() or own["half"] not in ("true", "false"):
        print("error: clicks= takes a number, half= true or false", file=sys.stderr)
        sys.exit(2)

    from vfm_isrefiner.cli.settings import composed, quiet, short_errors

    quiet()
    with short_errors():
        cfg = composed("evaluate", rest)
        out = Path(own["out"]) if own["out"] else None
        errors = run(cfg, out, own["half"] == "true", int(own["clicks"]))
        print("mean distance of score and IoU: " + ", ".join(f"{name} {value:.3f}" for name, value in errors.items()))
        if out is not None:
            print(f"left {out}")


if __name__ == "__main__":
    main()
