"""`isrefiner benchmark click`: one click beside a plain ViT, its growth, its profile, and the predictor on a large image."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np
import torch
from hydra.utils import instantiate
from omegaconf import DictConfig

from vfm_isrefiner.benchmark.click_growth import growth
from vfm_isrefiner.benchmark.click_speed import Played, Scene, beside_plain, measures, plain_vit, roofline
from vfm_isrefiner.benchmark.drawing import draw_growth, draw_profile
from vfm_isrefiner.benchmark.eval_speed import flops
from vfm_isrefiner.benchmark.forms_speed import forms
from vfm_isrefiner.benchmark.machine import machine, measured_peaks, multiplies_bfloat16
from vfm_isrefiner.benchmark.measure import Measure, Report, Target
from vfm_isrefiner.benchmark.profile import profiled
from vfm_isrefiner.benchmark.several_sessions import several
from vfm_isrefiner.benchmark.timing import interleaved
from vfm_isrefiner.cli.benchmark_report import as_written, check_least, told
from vfm_isrefiner.cli.evaluate import network_of
from vfm_isrefiner.device import chosen_device
from vfm_isrefiner.models.build import BUILDERS, AnyNetwork, build_isrefiner
from vfm_isrefiner.models.inference import Inference, for_inference, usual_modulation
from vfm_isrefiner.models.isrefiner import ISRefiner
from vfm_isrefiner.modulation import Modulation
from vfm_isrefiner.predictor import Predictor
from vfm_isrefiner.predictor.network_settings import MODULATIONS
from vfm_isrefiner.rollout import Network

PREDICTOR_SECONDS = Target(0.35)


def run(cfg: DictConfig) -> Report:
    """Measure as `cfg` (conf/benchmark_click.yaml) says, print a table, write `cfg.json` and the pictures.

    Raises:
        ValueError: a number is out of range, or there is no network of a name.
    """
    check_least(cfg, ("repeats", "repeats_of_growth"))
    torch.manual_seed(0)
    if cfg.threads is not None:
        torch.set_num_threads(cfg.threads)
    device, modulation = chosen_device(cfg.device), instantiate(cfg.modulation)
    network = network_of(cfg)[0].to(device)
    side = int(network.config["image_size"])
    players = players_of(cfg, network, modulation)
    rows = beside_plain_rows(cfg, network, players, device)
    if isinstance(network, ISRefiner):
        rows += forms(network, side, device, repeats=cfg.repeats, warm_up=cfg.warm_up)
    rows += through_predictor(cfg, device)
    curves = {}
    if cfg.growth:
        numbers = {"clicks": cfg.growth_clicks, "batches": cfg.growth_batches, "sides": cfg.growth_sides}
        lists = {name: list(values) for name, values in numbers.items()}
        played = players[network.config["kind"]][0]
        curves = growth(played, modulation, side, device, repeats=cfg.repeats_of_growth, **lists)
    report = told(Report("click", machine(device), as_written(cfg), rows, curves), cfg.json)
    if cfg.figures:
        draw(Path(cfg.figures), report, network, modulation, side, device)
    return report


def beside_plain_rows(
    cfg: DictConfig, network: AnyNetwork, players: Mapping[str, tuple[AnyNetwork | Inference, Modulation]], device: torch.device
) -> list[Measure]:
    """The table of all networks beside the plain ViT, and the roofline of the first."""
    side, bf16 = int(network.config["image_size"]), cfg.precision == "bf16"
    taken = beside_plain(players, plain_vit(network).to(device), side, device, repeats=cfg.repeats, warm_up=cfg.warm_up)
    # what the targets are for
    of_the_paper = (network.config["kind"], network.config["size"], side) == ("isrefiner", "paper", 448)
    rows = measures(taken, list(players), device, bf16=bf16, compiled=cfg.compile, targets=of_the_paper)
    emulated = bf16 and device.type == "cpu" and not multiplies_bfloat16()
    if emulated:
        rows.append(Measure("bf16", None, "", note="this processor has no products of bfloat16 matrices; they are emulated"))
    peaks = measured_peaks(device, torch.bfloat16 if bf16 and not emulated else torch.float32)
    seconds = taken[f"{network.config['kind']} later"].median
    parameters = sum(each.numel() for each in network.parameters())
    return [*rows, *roofline(flops(network, (side, side)).play, parameters, seconds, peaks, 2 if bf16 else 4)]


def players_of(
    cfg: DictConfig, network: AnyNetwork, modulation: Modulation
) -> dict[str, tuple[AnyNetwork | Inference, Modulation]]:
    """The network and those beside it, of its size, as `cfg` wants them computed; by kind.

    Raises:
        ValueError: `cfg.beside` names an unknown network.
    """
    unknown = [name for name in cfg.beside if name not in BUILDERS]
    if unknown:
        raise ValueError(
            f"beside={list(cfg.beside)}: there is no network {', '.join(unknown)}; known are {', '.join(BUILDERS)}."
        )
    kind, size, side = (network.config[name] for name in ("kind", "size", "image_size"))
    how = {"precision": cfg.precision, "compiled": cfg.compile}
    players = {kind: (for_inference(network, **how), modulation)}
    for name in cfg.beside:
        if name != kind:
            other = BUILDERS[name](size, image_size=side).to(next(network.parameters()).device)
            players[name] = (for_inference(other, **how), MODULATIONS[usual_modulation({"kind": name})])
    return players


def maker(cfg: DictConfig, device: torch.device) -> Callable[..., Predictor]:
    """Makes predictors of the network that `cfg.predictor` names, with these settings of `Predictor`."""
    wanted, how = cfg.predictor, {"precision": cfg.precision, "compiled": cfg.compile}
    if wanted.checkpoint is not None:
        return partial(Predictor.from_checkpoint, wanted.checkpoint, device=device, **how)
    network = for_inference(build_isrefiner(wanted.size, image_size=wanted.input_size).to(device), **how)
    return partial(Predictor, cast(Network, network), device=device)


def through_predictor(cfg: DictConfig, device: torch.device) -> list[Measure]:
    """Seconds of the first and of a later click of a session on a large image; clicks a second of several sessions."""
    wanted, make = cfg.predictor, maker(cfg, device)
    predictor = make()
    # another image each time, or its features would be known from the last one
    drawn = np.random.default_rng(0)
    images = iter([drawn.integers(0, 256, (wanted.image, wanted.image, 3), dtype=np.uint8) for _ in range(cfg.repeats + 1)])
    middle, session = wanted.image // 2, predictor.session(np.zeros((8, 8, 3), np.uint8))

    def first() -> None:
        nonlocal session
        session = predictor.session(next(images))
        session.click(middle, middle)

    def later() -> None:
        session.click(middle + 9 * len(session.clicks), middle, len(session.clicks) % 2 == 0)

    taken = interleaved({"first": first, "later": later}, repeats=cfg.repeats, warm_up=1, device=device)
    trained = wanted.checkpoint is not None
    where = f"predictor, {'checkpoint' if trained else wanted.size}, {wanted.image} px image"
    target = PREDICTOR_SECONDS if wanted.image == 1024 and device.type == "cpu" else None
    note = "" if trained else "untrained: the crop never moves, so only the first click encodes; give predictor.checkpoint"
    rows = [
        Measure.of(f"{where}, first click", taken["first"], "s", target),
        Measure.of(f"{where}, later click", taken["later"], "s", target, note=note),
    ]
    if not wanted.sessions:
        return rows
    numbers = {"sessions": wanted.sessions, "clicks": wanted.clicks, "image": wanted.image}
    return rows + several(make, where, device, **numbers, repeats=cfg.repeats, warm_up=1)


def draw(folder: Path, report: Report, network: AnyNetwork, modulation: Modulation, side: int, device: torch.device) -> None:
    """growth.png and profile.png."""
    name = f"{network.config['kind']} {network.config['size']}, {side} px"
    draw_growth(
        report.growth, folder / "growth.png", f"A later click: {name}. {report.machine.gpu or report.machine.processor}"
    )
    parts = profiled(Played(network, modulation, Scene.made(side, device=device)), network, device)
    titles = {"encoding the image\n(once per crop)": parts["image"], "every click": parts["click"]}
    draw_profile(titles, folder / "profile.png", f"Where the time goes: {name}, float32")
    print(f"left in {folder}: growth.png, profile.png")
