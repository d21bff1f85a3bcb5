"""`isrefiner benchmark eval`: an evaluation beside its network's own time at its best batch size."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import cast

import torch
from hydra.utils import instantiate
from omegaconf import DictConfig
from torch.utils.data import ConcatDataset

from vfm_isrefiner.benchmark.drawing import draw_growth
from vfm_isrefiner.benchmark.eval_growth import over_clicks, over_instances, shares
from vfm_isrefiner.benchmark.eval_speed import Job, flops, whole
from vfm_isrefiner.benchmark.machine import machine, measured_peaks
from vfm_isrefiner.benchmark.measure import Report
from vfm_isrefiner.cli.benchmark_report import as_written, check_least, told
from vfm_isrefiner.cli.evaluate import chosen_sets, network_of
from vfm_isrefiner.device import chosen_device
from vfm_isrefiner.evaluation import EvaluationProtocol
from vfm_isrefiner.evaluation.loop import Instances
from vfm_isrefiner.models.build import AnyNetwork
from vfm_isrefiner.models.inference import for_inference, usual_passes
from vfm_isrefiner.rollout import Network
from vfm_isrefiner.training.evaluate_noc import named

POSITIVE = ("limit", "batch_size", "repeats", "share_instances", "growth_clicks")


def run(cfg: DictConfig) -> Report:
    """Measure as `cfg` (conf/benchmark_eval.yaml) says, print a table and write `cfg.json`.

    Raises:
        ValueError: a number is out of range, or the protocol has no fixed input size.
    """
    check_least(cfg, POSITIVE)
    torch.manual_seed(cfg.seed)
    device = chosen_device(cfg.device)
    network, _ = network_of(cfg)
    job = job_of(cfg, network, device)
    operations = flops(network, job.size)
    peaks = measured_peaks(device, torch.bfloat16 if cfg.precision == "bf16" else torch.float32)
    job.play(job.batch_size)  # warm-up: what is compiled or chosen by trial at the first call
    if cfg.compile:  # any number of regions may move in one round; three times, so that a CUDA graph is recorded too
        for rows in (1 << k for k in range((cfg.batch_size - 1).bit_length() + 1)):
            for _ in range(3):
                job.network.encode_image(torch.rand(rows, 3, *job.size, device=device))
    measures = whole(job, list(cfg.batch_sizes), cfg.repeats, operations, peaks)
    report = Report(
        "eval",
        machine(device),
        as_written(cfg),
        [*measures, *shares(job, cfg.share_instances)],
        {"instances": over_instances(job, list(cfg.growth_instances)), "click": over_clicks(job, cfg.growth_clicks)},
    )
    if cfg.figures:
        where = report.machine.gpu or report.machine.processor
        draw_growth(report.growth, Path(cfg.figures) / "evaluation_growth.png", f"An evaluation, and one round of it. {where}")
    return told(report, cfg.json)


def job_of(cfg: DictConfig, network: AnyNetwork, device: torch.device) -> Job:
    """The evaluation that `cfg` describes, of `network` moved to `device`."""
    rule, passes = rule_of(cfg), cfg.first_click_passes or usual_passes(network.config)
    played = for_inference(network.to(device).eval(), precision=cfg.precision, compiled=cfg.compile)
    return Job(cast(Network, played), instantiate(cfg.modulation), instances_of(cfg), rule, cfg.batch_size, passes, device)


def rule_of(cfg: DictConfig) -> EvaluationProtocol:
    """The protocol that `cfg` names, with its own number of clicks where it gives one."""
    rule = named(cfg.protocol, cfg.input_size)
    return rule if cfg.max_clicks is None else replace(rule, max_clicks=cfg.max_clicks)


def instances_of(cfg: DictConfig) -> Instances:
    """Those of all sets that `cfg` names, at most `cfg.limit` of each."""
    datamodule = instantiate(cfg.data)
    datamodule.prepare_data()
    datamodule.setup("test" if cfg.split == "test" else "validate")
    sets = chosen_sets(datamodule.evaluation_sets(cfg.split), cfg.sets)
    return ConcatDataset([instances.where(limit=cfg.limit) for instances in sets.values()])
