"""Figures of evaluations: curves of the mean IoU (Fig. 7), click-by-click panels (Fig. 8), modulated maps (Fig. 10)."""

from vfm_isrefiner.report.curves import click_curves, instance_interval, miou_curves, seed_deviation
from vfm_isrefiner.report.intervals import breakdown_plot, difference_plot, differences_of
from vfm_isrefiner.report.panels import click_panels, contrast_panels, draw_clicks, modulation_panels
from vfm_isrefiner.report.saving import save_figure

__all__ = [
    "breakdown_plot",
    "click_curves",
    "click_panels",
    "contrast_panels",
    "difference_plot",
    "differences_of",
    "draw_clicks",
    "instance_interval",
    "miou_curves",
    "modulation_panels",
    "save_figure",
    "seed_deviation",
]
