"""Tables I-VIII of the paper: which rows each has, by the settings of the runs behind them, and which columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# the paper's network and its training; what a run does not say is as here
REFERENCE: Mapping[str, Any] = {
    "mode": "adapter",
    "modulation": "isrefiner",
    "model.kind": "isrefiner",
    "model.theta": "learnable",
    "model.early_fusion": "gated",
    "model.use_vit": True,
    "model.use_hq": True,
}
OURS = "VFM-ISRefiner (ours)"
METHODS = {"simpleclick": "SimpleClick", "mfp": "MFP", "isrefiner": OURS}
BACKBONES = {"paper": "ViT-B", "small": "ViT-S", "tiny": "ViT-Ti"}
YES, NO = "✓", "×"
# of a network that was not trained, the rest of the settings does not matter
EVALUATED = ("size", "model.size", "model.image_size", "protocol", "input_size", "test_limit")
# ways to tune differ in their network, its modulation and their schedule
OF_THE_MODE = ("fit", "model.", "optimizer.", "scheduler.", "first_click_passes")


@dataclass(frozen=True)
class PaperRow:
    """One row: its labels, and the settings of its runs that are not as in `REFERENCE`.

    Attributes:
        only: whether `settings` are all that counts, `REFERENCE` left aside.
        untrained: whether settings of the training do not matter.
    """

    labels: tuple[str, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    only: bool = False
    untrained: bool = False

    @property
    def wanted(self) -> dict[str, Any]:
        """All settings that a run of this row has."""
        return dict(self.settings) if self.only else {**REFERENCE, **self.settings}


@dataclass(frozen=True)
class PaperTable:
    """One table.

    Attributes:
        key: "table1" and so on. number: as printed. title, labels: of the table.
        rows: in the paper's order, ours last; none for a table of whatever networks there are.
        axes: settings that its rows may differ in (and those below them). free: beginnings of others that may differ too.
        at: IoUs in percent of its NoC columns; none for a table of costs.
    """

    key: str
    number: str
    title: str
    labels: tuple[str, ...]
    rows: tuple[PaperRow, ...] = ()
    axes: tuple[str, ...] = ()
    free: tuple[str, ...] = ()
    at: tuple[str, ...] = ()


_METHOD_LABELS = ("Method", "Backbone")
_MODES = (
    PaperRow(("Pretrained weights",), {"mode": "pretrained", "model.kind": "mfp"}, only=True, untrained=True),
    PaperRow(("Full fine-tuning",), {"mode": "full", "model.kind": "mfp"}, only=True),
    PaperRow(("LoRA fine-tuning",), {"mode": "lora", "model.kind": "mfp"}, only=True),
    PaperRow((OURS,)),
)
_MODE_AXES = ("mode", "modulation")

PAPER_TABLES = {
    table.key: table
    for table in (
        PaperTable("table1", "I", "Methods", _METHOD_LABELS, at=("80", "85", "90")),
        PaperTable("table2", "II", "Ways to fine-tune", ("Method",), _MODES, _MODE_AXES, OF_THE_MODE, ("85", "90")),
        PaperTable("table3", "III", "Cost of the methods", _METHOD_LABELS),
        PaperTable("table4", "IV", "Cost of the ways to fine-tune", ("Method",), _MODES, _MODE_AXES, OF_THE_MODE),
        PaperTable(
            "table5",
            "V",
            "F_ViT and F_HQ",
            ("F_ViT", "F_HQ"),
            tuple(
                PaperRow((YES if vit else NO, YES if hq else NO), {"model.use_vit": vit, "model.use_hq": hq})
                for hq in (False, True)
                for vit in (False, True)
            ),
            ("model.use_vit", "model.use_hq"),
            at=("80", "90"),
        ),
        PaperTable(
            "table6",
            "VI",
            "The weight θ of the early features",
            ("θ",),
            (
                PaperRow(("1",), {"model.theta": 1.0}),
                PaperRow(("0.5",), {"model.theta": 0.5}),
                PaperRow(("learnable, one number",), {"model.theta": "learnable_scalar"}),
                PaperRow(("learnable, per channel",)),
            ),
            ("model.theta",),
            at=("80", "90"),
        ),
        PaperTable(
            "table7",
            "VII",
            "Fusion of the early features",
            ("Early fusion",),
            (
                PaperRow(("first only",), {"model.early_fusion": "first"}),
                PaperRow(("second only",), {"model.early_fusion": "second"}),
                PaperRow(("fixed",), {"model.early_fusion": "fixed"}),
                PaperRow(("gated",)),
            ),
            ("model.early_fusion",),
            at=("80", "90"),
        ),
        PaperTable(
            "table8",
            "VIII",
            "Modulation of the probability",
            ("Modulation",),
            (
                PaperRow(("none",), {"modulation": "none"}),
                PaperRow(("MFP",), {"modulation": "mfp"}),
                PaperRow(("VFM-ISRefiner",)),
            ),
            ("modulation",),
            at=("80", "90"),
        ),
    )
}
