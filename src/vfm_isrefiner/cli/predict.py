"""`isrefiner predict`: points or rough polygons on scenes to masks and polygons, resumable."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vfm_isrefiner.cli.scene_options import add_network, add_scene

if TYPE_CHECKING:
    from vfm_isrefiner.batch.job import Model, Report, Settings

STOPPED = 130  # as shells say of Ctrl-C
DESCRIPTION = """Objects of georeferenced scenes from prompts in a file: points with an object id and a label (1 on the object,
0 off it), or rough polygons to refine, in any reference system. A polygon is taken as the object's mask so far, and its
innermost pixel as a positive click where its id has no positive point. Stopped, the same command goes on where it was."""
EXAMPLES = """
examples:
  isrefiner predict scene.tif --prompts points.gpkg --out masks.gpkg
  isrefiner predict scene.tif --prompts rough.geojson --out masks.shp --simplify 0.5
  isrefiner predict s2.tif --bands 4,3,2 --stretch percentile --prompts points.gpkg --out coco.json
  isrefiner predict scenes.txt --prompts "points/{scene}.gpkg" --out "masks/{scene}.tif" --checkpoint FILE

--out by its suffix: .gpkg, .geojson, .shp: polygons with holes in the scene's reference system, the prompts' attributes,
score (estimate of the IoU), area_m2, area_px, clicks, cut; .json: COCO, run lengths; .tif: ids, and a table NAME.ids.csv.
Where objects overlap in .tif, a pixel is the earlier object's, in the order of the prompts; what others lose is told.
"""


def run(args: argparse.Namespace) -> None:
    """Predict as the command line says, and tell what came of each scene.

    Raises:
        ValueError: an argument is missing or wrong.
    """
    from vfm_isrefiner.batch.job import predict_scene
    from vfm_isrefiner.batch.output import check_suffix
    from vfm_isrefiner.batch.scenes import jobs_of
    from vfm_isrefiner.cli.bar import progress_bar
    from vfm_isrefiner.cli.settings import exit_if_a_job_failed, short_errors

    for name, what in (
        ("prompts", "a file of points or polygons"),
        ("out", "the file to write"),
    ):
        if getattr(args, name) is None:
            raise ValueError(f"--{name} FILE is needed: {what}.")
    jobs, settings, model = jobs_of(args.scenes, args.prompts, args.out), settings_of(args), model_of(args)
    check_suffix(Path(args.out))
    for number, job in enumerate(jobs, 1):
        title = job.scene.name if len(jobs) == 1 else f"{number}/{len(jobs)} {job.scene.name}"
        with short_errors(go_on=len(jobs) > 1):
            with progress_bar(title) as advance:
                report = predict_scene(
                    model, job.scene, job.prompts, job.out, settings, overwrite=args.overwrite, progress=advance
                )
            print(told(report))
            for line in warnings_of(report):
                print(f"warning: {line}", file=sys.stderr)
    exit_if_a_job_failed()


def settings_of(args: argparse.Namespace) -> Settings:
    """How scenes are read, prompted and written."""
    from vfm_isrefiner.batch.job import Settings
    from vfm_isrefiner.batch.pieces import Area, Smallest
    from vfm_isrefiner.batch.windows import WindowRule

    return Settings(
        bands=args.bands,
        stretch=args.stretch,
        prompt_layer=args.prompt_layer,
        object_field=args.object_field,
        label_field=args.label_field,
        skip_outside=args.skip_outside,
        windows=WindowRule(args.window, max(args.window, args.max_window)),
        workers=args.workers,
        smallest=Smallest(Area.of(args.min_area), Area.of(args.fill_holes)),
        simplify=args.simplify,
        out_layer=args.layer,
        category_field=args.category,
    )


def model_of(args: argparse.Namespace) -> Model:
    """The predictor, loaded once it is needed, named by the file's content and what else decides its masks."""
    from vfm_isrefiner.batch.job import Model
    from vfm_isrefiner.files import sha256
    from vfm_isrefiner.models.known_files import located, terms_of
    from vfm_isrefiner.predictor import Predictor

    files = [located(one) for one in (args.checkpoint, args.backbone_checkpoint) if one is not None]
    digests = [f"{path.name} {sha256(path)[:12]}" for path in files]

    # the released VFM-ISRefiner mixes the rows of a batch: its objects take turns
    gather = args.workers if args.workers > 1 and (args.flip or not args.released) else 0

    def load() -> Predictor:
        if terms := terms_of(args.checkpoint):
            print(terms, file=sys.stderr)
        return Predictor.from_checkpoint(
            args.checkpoint,
            device=args.device,
            precision=args.precision,
            backbone_checkpoint=args.backbone_checkpoint,
            released=args.released,
            threshold=args.threshold,
            flip=args.flip,
            gather=gather,
            waiting=max(64, args.workers),  # none is refused
            cache_bytes=2**26,  # a window's crops: what was seen before it does not come again
        )

    played = (
        f"threshold {args.threshold:g}, {args.precision}{', flip' if args.flip else ''}{', released' if args.released else ''}"
    )
    return Model(load, f"{', '.join(digests)}, {played}")


def told(report: Report) -> str:
    """The line of a scene."""
    if report.existed:
        return f"{report.out}: is there already: nothing to do (--overwrite makes it again)"
    earlier = f", {report.resumed:,} of them by an earlier run" if report.resumed else ""
    return f"{report.out}: {report.objects:,} objects{earlier}"


def warnings_of(report: Report) -> list[str]:
    """What the user ought to know."""
    lines = list(report.notes)
    if report.outside:
        lines.append(f"{report.outside:,} prompts outside of the scene were left out")
    if report.blank:
        lines.append(f"{report.blank:,} prompts without geometry were left out")
    if report.empty:
        lines.append(f"nothing was found for {len(report.empty):,} objects, such as {report.empty[0]}: they have no geometry")
    if report.small:
        lines.append(f"all pieces of {len(report.small):,} objects, such as {report.small[0]}, are smaller than --min-area")
    if report.cut:
        lines.append(f"{len(report.cut):,} objects, such as {report.cut[0]}, reach over the largest window; raise --max-window")
    return lines


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog="isrefiner predict", description=DESCRIPTION, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = made.add_argument
    add("scenes", nargs="+", metavar="SCENE", help="rasters, or a .txt file with one a line")
    add("--prompts", metavar="FILE", help="GeoPackage, GeoJSON or Shapefile; {scene} stands for the scene's name")
    add("--out", metavar="FILE", help="what to write; {scene} stands for the scene's name")
    add_network(made)
    add("--threshold", type=float, default=0.5, help="probability above which a pixel is object (default: %(default)s)")
    add("--flip", action="store_true", help="average with the mirrored image; twice the time")
    add_scene(made)
    add("--prompt-layer", metavar="NAME", help="layer of the prompts, where the file has several")
    add("--object-field", metavar="COLUMN", help="ids (default: object, where there is one; else each feature is an object)")
    add("--label-field", metavar="COLUMN", help="1 or 0 (default: label, where there is one; else all points are on it)")
    add("--skip-outside", action="store_true", help="leave out prompts outside of the scene instead of stopping")
    add(
        "--workers",
        type=int,
        default=1,
        metavar="N",
        help="objects at a time, in one forward; for a GPU (default: %(default)s)",
    )
    add("--min-area", default="0", metavar="AREA", help="drop pieces of masks under so many m², or pixels: 20, 50px")
    add(
        "--fill-holes", default="0", metavar="AREA", help="fill holes under so many m², or pixels, or all (default: holes stay)"
    )
    add("--simplify", type=float, default=0.0, metavar="METRES", help="drop vertices of polygons within so many metres")
    add("--layer", metavar="NAME", help="layer of a GeoPackage to write (default: the file's name)")
    add("--category", metavar="COLUMN", help="attribute that names COCO's categories")
    add("--overwrite", action="store_true", help="make an --out that is there again")
    return made


def main(words: Sequence[str] | None = None) -> None:
    """Read the command line and run."""
    args = parser().parse_args(words)

    from vfm_isrefiner.cli.settings import short_errors

    with short_errors():
        try:
            run(args)
        except KeyboardInterrupt:
            print("stopped: what is done stays; run the same again to go on", file=sys.stderr)
            sys.exit(STOPPED)


if __name__ == "__main__":
    main()
