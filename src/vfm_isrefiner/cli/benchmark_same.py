"""`isrefiner benchmark same`: whether the fast forms, bfloat16 or a compiler change clicks, maps or scores."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from vfm_isrefiner.benchmark.agreement import Contest, both, evaluation_measures, step_measures, steps
from vfm_isrefiner.benchmark.machine import machine
from vfm_isrefiner.benchmark.measure import Measure, Report
from vfm_isrefiner.cli.benchmark_eval import instances_of
from vfm_isrefiner.cli.evaluate import chosen_device, network_of
from vfm_isrefiner.models.inference import for_inference
from vfm_isrefiner.training.evaluate_noc import named


def run(cfg: DictConfig) -> Report:
    """Compare as `cfg` (conf/benchmark_same.yaml) says, print a table and write `cfg.json`.

    Raises:
        ValueError: a number is out of range, or nothing is to be compared.
    """
    for name in ("limit", "batch_size"):
        if cfg[name] < 1:
            raise ValueError(f"{name} must be 1 or more, got {cfg[name]}.")
    if not cfg.rounds and not cfg.evaluations:
        raise ValueError("rounds=false evaluations=false leaves nothing to compare; take one of them.")
    torch.manual_seed(cfg.seed)
    device, rule = chosen_device(cfg.device), named(cfg.protocol, cfg.input_size)
    if cfg.max_clicks is not None:
        rule = replace(rule, max_clicks=cfg.max_clicks)
    network, _ = network_of(cfg)
    network = network.to(device).eval()
    passes = cfg.first_click_passes or (2 if network.config.get("released") else 1)
    fast = for_inference(network, precision=cfg.precision, compiled=cfg.compile)
    contest = Contest(network, fast, instantiate(cfg.modulation), rule, passes, cfg.batch_size)
    instances = instances_of(cfg)
    rows: list[Measure] = []
    if cfg.rounds:
        rows += step_measures(list(steps(contest, instances, device)), exact=cfg.precision == "float32")
    if cfg.evaluations:
        rows += evaluation_measures(*both(contest, instances, device), trained=cfg.checkpoint is not None)
    settings = cast(dict[str, Any], OmegaConf.to_container(cfg, resolve=False))
    report = Report("same", machine(device), settings, rows)
    print(report.markdown())
    if cfg.json:
        report.save(Path(cfg.json))
    return report
