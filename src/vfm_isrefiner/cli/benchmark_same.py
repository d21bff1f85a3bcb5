"""`isrefiner benchmark same`: whether the fast forms, bfloat16 or a compiler change clicks, maps or scores."""

from __future__ import annotations

import torch
from hydra.utils import instantiate
from omegaconf import DictConfig

from vfm_isrefiner.benchmark.agreement import Contest, both, evaluation_measures, step_measures, steps
from vfm_isrefiner.benchmark.machine import machine
from vfm_isrefiner.benchmark.measure import Measure, Report
from vfm_isrefiner.cli.benchmark_eval import instances_of, rule_of
from vfm_isrefiner.cli.benchmark_report import as_written, check_least, told
from vfm_isrefiner.cli.evaluate import network_of
from vfm_isrefiner.device import chosen_device
from vfm_isrefiner.models.inference import for_inference, usual_passes


def run(cfg: DictConfig) -> Report:
    """Compare as `cfg` (conf/benchmark_same.yaml) says, print a table and write `cfg.json`.

    Raises:
        ValueError: a number is out of range, or nothing is to be compared.
    """
    check_least(cfg, ("limit", "batch_size"))
    if not cfg.rounds and not cfg.evaluations:
        raise ValueError("rounds=false evaluations=false leaves nothing to compare; take one of them.")
    torch.manual_seed(cfg.seed)
    device, rule = chosen_device(cfg.device), rule_of(cfg)
    network, _ = network_of(cfg)
    network = network.to(device).eval()
    passes = cfg.first_click_passes or usual_passes(network.config)
    fast = for_inference(network, precision=cfg.precision, compiled=cfg.compile)
    contest = Contest(network, fast, instantiate(cfg.modulation), rule, passes, cfg.batch_size)
    instances = instances_of(cfg)
    rows: list[Measure] = []
    if cfg.rounds:
        rows += step_measures(list(steps(contest, instances, device)), exact=cfg.precision == "float32")
    if cfg.evaluations:
        rows += evaluation_measures(*both(contest, instances, device), trained=cfg.checkpoint is not None)
    return told(Report("same", machine(device), as_written(cfg), rows), cfg.json)
