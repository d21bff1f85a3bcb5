"""Draws docs/images/annotate/{light,dark}.png: a person at work on a drawn scene. `python tests/annotator/screenshots.py`.

The clicks are those of a person who knows the objects: the middle of the object, then the middle of the largest error. An
object of which the mask stays below an IoU of 0.7 is discarded, as that person would; what all of them got is printed.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from annotator.client import Client, serving
from annotator.colour_network import colour_predictor
from annotator.hands import Hands, chromium

from vfm_isrefiner.annotator.app import create_app
from vfm_isrefiner.annotator.example import GSD, SEED, SIZE, example_scene
from vfm_isrefiner.annotator.scene import AnnotatedScene
from vfm_isrefiner.data.synthetic import draw_scene
from vfm_isrefiner.predictor import Predictor

OUT = Path(__file__).parents[2] / "docs/images/annotate"
VIEW = {"width": 1280, "height": 800}
LABELS = {"building": "building", "small-vehicle": "vehicle", "vehicle": "vehicle", "large-vehicle": "vehicle", "pool": "pool"}
CENTRE, REACH = (620, 470), (300, 215)  # of the part of the scene that is shown: pixels, half its sides
LEAST = {"building": 700, "vehicle": 60, "pool": 60}  # pixels
MOST_CLICKS, LEAST_IOU = 6, 0.7
SECONDS_A_CLICK = 3.5  # of a person; the page's clock is put forward by so much


def middle(mask):
    """(x, y) of the pixel farthest inside."""
    depth = cv2.distanceTransform(np.pad(mask.astype(np.uint8), 1), cv2.DIST_L2, 5)[1:-1, 1:-1]
    y, x = np.unravel_index(depth.argmax(), depth.shape)
    return int(x), int(y)


def chosen(ids, categories, count):
    """(label, mask) of objects in the part that is shown, from the middle outwards; half of them buildings."""
    near = []
    for number, category in categories.items():
        mask, label = ids == number, LABELS.get(category)
        if label is None or mask.sum() < LEAST[label]:
            continue
        x, y = middle(mask)
        if abs(x - CENTRE[0]) < REACH[0] and abs(y - CENTRE[1]) < REACH[1]:
            near.append((np.hypot(x - CENTRE[0], y - CENTRE[1]), label, mask))
    near.sort(key=lambda one: one[0])
    buildings = [one[1:] for one in near if one[1] == "building"]
    others = [one[1:] for one in near if one[1] != "building"]
    first, *buildings = buildings[: count - count // 2]  # the one in the middle is in work at the end
    return [*others[: count // 2], *buildings, first]


def drawn(polygon, size):
    """(H, W) bool of a polygon of the API."""
    mask = np.zeros(size, np.uint8)
    for rings in polygon["coordinates"] if polygon else []:
        piece = np.zeros(size, np.uint8)
        cv2.fillPoly(piece, [np.round(np.array(rings[0])).astype(np.int32)], 1)
        for hole in rings[1:]:
            cv2.fillPoly(piece, [np.round(np.array(hole)).astype(np.int32)], 0)
        mask |= piece
    return mask.astype(bool)


def state_of(hands, client):
    named = "Object.keys(sessionStorage).find((key) => key.startsWith('isrefiner.session.'))"
    key = hands.page.evaluate(f"() => sessionStorage.getItem({named})")
    return client.get(f"/api/sessions/{key}")


def annotate(hands, client, truth, most=MOST_CLICKS, good=0.9):
    """Click until the mask is good; its IoU."""
    for number in range(1, most + 2):
        mask = drawn(state_of(hands, client)["polygon"], truth.shape)
        iou = (mask & truth).sum() / (mask | truth).sum()
        if iou >= good or number > most:
            return iou
        missing, wrong = truth & ~mask, mask & ~truth
        positive = missing.sum() >= wrong.sum() or number == 1
        with hands.page.expect_response("**/click"):
            hands.click(*middle(missing if positive else wrong), button="left" if positive else "right")
        hands.says(f"{number} click")
        hands.page.clock.fast_forward(int(SECONDS_A_CLICK * 1000))


def work(hands, client, objects):
    """All objects are accepted whose mask is good enough, but the last; that one runs."""
    names = ["building", "vehicle", "pool"]
    for label, truth in objects[:-1]:
        x, y = middle(truth)
        if any(drawn(one["polygon"], truth.shape)[y, x] for one in client.objects()["objects"]):
            continue  # another object reaches over it
        hands.key(str(names.index(label) + 1))
        iou = annotate(hands, client, truth)
        print(f"{label}: IoU {iou:.2f} after {len(state_of(hands, client)['clicks'])} clicks", flush=True)
        if iou >= LEAST_IOU:
            hands.accept()
        else:
            hands.key("Escape")
            hands.says("Click on an object")
    label, truth = objects[-1]
    hands.key(str(names.index(label) + 1))
    annotate(hands, client, truth, most=3, good=0.99)
    hands.page.clock.fast_forward(20_000)  # notices have left
    hands.page.mouse.move(*hands.where(*middle(truth)))
    hands.page.wait_for_timeout(2500)


def look_at_the_middle(hands, path):
    """The page opens anew at the part of the scene in file `path` that is shown."""
    place = {"center": [CENTRE[0], -CENTRE[1]], "resolution": 2 * REACH[0] / 1000}
    stored = [f"isrefiner.place.{path.name}", json.dumps(place)]
    hands.page.evaluate("([name, place]) => localStorage.setItem(name, place)", stored)
    hands.page.reload()
    hands.wait_until_open()


def picture(browser, predictor, scheme, out, count):
    """One session from an empty file."""
    image_size = SIZE
    _, ids, categories = draw_scene(np.random.default_rng([SEED, *image_size]), image_size, "urban", GSD)
    with tempfile.TemporaryDirectory() as folder:
        path = example_scene(Path(folder))
        scene = AnnotatedScene("0", path, path.with_suffix(".gpkg"), Path(folder), ["building", "vehicle", "pool"])
        with serving(create_app(predictor, [scene])) as port:
            page = browser.new_context(viewport=VIEW, color_scheme=scheme, device_scale_factor=1).new_page()
            page.clock.install()
            hands = Hands(page, f"http://127.0.0.1:{port}/").open()
            look_at_the_middle(hands, path)
            work(hands, Client(port), chosen(ids, categories, count))
            page.screenshot(path=out / f"{scheme}.png")
            page.context.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", default="default", help='the network, or "colours": one without weights')
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--objects", type=int, default=22)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    with chromium() as browser:
        for scheme in ("light", "dark"):
            predictor = colour_predictor() if args.checkpoint == "colours" else Predictor.from_checkpoint(args.checkpoint)
            picture(browser, predictor, scheme, args.out, args.objects)


if __name__ == "__main__":
    main()
