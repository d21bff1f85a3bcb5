"""The weights that ship with the package, loaded by name, and the published files that it can read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vfm_isrefiner.files import sha256
from vfm_isrefiner.models.network_file import CheckpointError, must_exist

FOLDER = Path(__file__).resolve().parents[1] / "weights"
SUMS = "SHA256SUMS"


@dataclass(frozen=True)
class KnownFile:
    """A checkpoint that others can get too.

    name: what `checkpoint=` takes where it ships, else the publisher's file name. what: network and training data. source: who
    offers it. terms: of use. use: arguments of `isrefiner`.
    """

    name: str
    what: str
    source: str
    terms: str
    use: str


SHIPPED = (
    KnownFile(
        "default_stage1",
        "MFP, ViT-Ti: a foundation model, trained whole on drawn scenes and remote-sensing images",
        "this package",
        "CC BY-NC 4.0, for non-commercial use, as its training images are",
        "evaluate checkpoint=default_stage1",
    ),
    KnownFile(
        "default_stage2",
        "VFM-ISRefiner, ViT-Ti: that foundation model frozen, extractor and decoder trained on remote-sensing images",
        "this package",
        "CC BY-NC 4.0, for non-commercial use, as its training images are",
        "evaluate checkpoint=default_stage2",
    ),
)
ALIASES = {"default": "default_stage1"}  # the better of the two on validation: weights/README.md
PUBLISHED = (
    KnownFile(
        "VFM-ISRefiner_ViT_base448_RSImage.pth",
        "VFM-ISRefiner, ViT-B: the authors' trained network",
        "the README of github.com/wondelyan/VFM-ISRefiner",
        "its publisher's",
        "evaluate checkpoint=FILE model.released=true",
    ),
    KnownFile(
        "MFP_vit_base_cocolvis.pth",
        "MFP, ViT-B, COCO + LVIS: the paper's frozen foundation model",
        "the README of github.com/cwlee00/MFP",
        "its publisher's",
        "evaluate checkpoint=FILE first_click_passes=2",
    ),
    KnownFile(
        "cocolvis_vit_base.pth",
        "SimpleClick, ViT-B, COCO + LVIS; also its vit_large and vit_huge",
        "the README of github.com/uncbiag/SimpleClick",
        "its publisher's",
        "evaluate checkpoint=FILE protocol=simpleclick",
    ),
    KnownFile(
        "mae_pretrain_vit_base.pth",
        "MAE's ViT-B alone, no click model",
        "the README of github.com/facebookresearch/mae",
        "CC BY-NC 4.0: non-commercial",
        "train model.backbone_checkpoint=FILE",
    ),
)


def located(path: str | Path) -> Path:
    """The file that a path or the name of shipped weights stands for.

    Raises:
        CheckpointError: there is no such file, or shipped weights are not what was shipped.
    """
    name = ALIASES.get(str(path), str(path))
    if name not in {known.name for known in SHIPPED}:
        must_exist(Path(path))
        return Path(path)
    file = FOLDER / f"{name}.safetensors"
    if not file.is_file():
        raise CheckpointError(f"The weights {name!r} are not in {FOLDER}: this installation is incomplete; install it again.")
    if sha256(file) != _sums().get(file.name):
        raise CheckpointError(f"{file} is not what was shipped (its checksum differs from {SUMS}): install the package again.")
    return file


def terms_of(path: str | Path) -> str | None:
    """A line that says on which terms weights may be used that ship; None of any other file."""
    name = ALIASES.get(str(path), str(path))
    return next((f"The weights {name} are {known.terms}." for known in SHIPPED if known.name == name), None)


def _sums() -> dict[str, str]:
    """File name -> checksum, as `sha256sum` writes them."""
    lines = (FOLDER / SUMS).read_text().splitlines()
    return {name.lstrip(" *"): digest for digest, _, name in (line.partition(" ") for line in lines)}
