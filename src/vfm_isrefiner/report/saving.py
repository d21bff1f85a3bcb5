"""Writing figures, and the line styles that all of them share."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from vfm_isrefiner.files import write_whole

# told apart also by those who see red and green alike (Okabe and Ito)
LINES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = "osD^vPX"
DASHES = ("-", (0, (5, 1.6)), (0, (1.2, 1.4)))
FORMATS = ("png", "pdf", "svg")
# nothing that changes from one writing to the next, so that equal figures are equal files
METADATA: dict[str, dict[str, Any]] = {"png": {"Software": None}, "pdf": {"CreationDate": None}, "svg": {"Date": None}}
# letters stay text in PDF (TrueType) and SVG: they can be searched, and edited for a paper
TEXT: Any = {"pdf.fonttype": 42, "svg.fonttype": "none", "svg.hashsalt": "vfm-isrefiner"}


def save_figure(figure: Figure, path: str | Path, *, dpi: int = 130) -> Path:
    """Write a PNG, PDF or SVG, as the suffix of `path` says, complete or not at all.

    Args:
        figure: what to write. path: the file. dpi: of pixels, also of pictures inside PDF and SVG.

    Raises:
        ValueError: another suffix. OSError: the file could not be written.
    """
    path = Path(path)
    kind = path.suffix.removeprefix(".").lower()
    if kind not in FORMATS:
        raise ValueError(f"{path}: figures are written as .{', .'.join(FORMATS)}, got {path.suffix or 'no suffix'!r}.")
    content = io.BytesIO()
    with mpl.rc_context(TEXT):
        figure.savefig(content, format=kind, dpi=dpi, facecolor="white", metadata=METADATA[kind])
    write_whole(path, content.getvalue())
    return path


def line_style(number: int) -> dict[str, Any]:
    """Colour, marker and dashes of line `number`; a colour's second use has another marker and other dashes."""
    turn = number // len(LINES)
    return {
        "color": LINES[number % len(LINES)],
        "marker": MARKERS[(number + turn) % len(MARKERS)],
        "linestyle": DASHES[turn % len(DASHES)],
    }


def plain(text: str, longest: int = 34) -> str:
    """`text` for a figure: its end where it is too long, and no formula where it has dollar signs."""
    return (text if len(text) <= longest else f"…{text[1 - longest :]}").replace("$", r"\$")
