"""What people write for SAM 2's image predictor, run against ours: only the import and the constructor are other lines."""

import inspect
import textwrap

import numpy as np
import pytest
import torch
from PIL import Image

from vfm_isrefiner.models.checkpoints import save_network
from vfm_isrefiner.predictor import Predictor

# A machine without a GPU takes these lines too; torch then says that it switches the autocast off.
pytestmark = pytest.mark.filterwarnings("ignore:.*CUDA is not available.*:UserWarning")

IMPORT = "from vfm_isrefiner.predictor import Predictor as SAM2ImagePredictor"
BUILT = f"{IMPORT}\npredictor = SAM2ImagePredictor(network)"
LOADED = f"{IMPORT}\npredictor = SAM2ImagePredictor.from_checkpoint(checkpoint)"

# As in the README: an image, then prompts.
README = """
with torch.inference_mode(), torch.autocast("cuda", dtype=torch.bfloat16):
    predictor.set_image(image)
    masks, scores, logits = predictor.predict(
        point_coords=point_coords, point_labels=point_labels, multimask_output=False
    )
"""

# As in the notebook that the README points to: three masks, the best one, and it again with one point more.
NOTEBOOK = """
predictor.set_image(image)
masks, scores, logits = predictor.predict(
    point_coords=point_coords[:1],
    point_labels=point_labels[:1],
    multimask_output=True,
)
sorted_ind = np.argsort(scores)[::-1]
masks = masks[sorted_ind]
scores = scores[sorted_ind]
logits = logits[sorted_ind]
mask_input = logits[np.argmax(scores), :, :]
masks, scores, logits = predictor.predict(
    point_coords=point_coords,
    point_labels=point_labels,
    mask_input=mask_input[None, :, :],
    multimask_output=False,
)
"""


@pytest.fixture
def written(tiny, image, tmp_path):
    """The names that such a script has: arrays of an image and of points, and what it made its predictor of."""
    save_network(tiny, tmp_path / "network.safetensors")
    points = {"point_coords": np.array([[30, 20], [8, 40]]), "point_labels": np.array([1, 0])}
    return {"torch": torch, "np": np, "image": image, "network": tiny, "checkpoint": tmp_path / "network.safetensors", **points}


def run(lines, names):
    exec(textwrap.dedent(lines), names)  # the lines themselves are what is tested
    return names


@pytest.mark.parametrize("constructor", [BUILT, LOADED], ids=["built", "loaded"])
@pytest.mark.parametrize("lines", [README, NOTEBOOK], ids=["readme", "notebook"])
def test_the_lines_run_and_give_what_they_expect(written, constructor, lines):
    got = run(f"{constructor}\n{lines}", written)
    height, width = written["image"].shape[:2]
    assert (got["masks"].shape, got["masks"].dtype) == ((1, height, width), np.bool_)
    assert (got["scores"].shape, got["scores"].dtype) == ((1,), np.float32)
    assert (got["logits"].shape, got["logits"].dtype) == ((1, 256, 256), np.float32)
    assert 0 <= got["scores"][0] <= 1
    session = Predictor(written["network"]).session(written["image"])
    session.click(30, 20)
    expected = session.click(8, 40, positive=False)
    assert np.array_equal(got["masks"][0], expected.mask)
    assert got["scores"][0] == pytest.approx(expected.score, abs=1e-6)
    assert 0 < expected.mask.sum() < expected.mask.size


def test_the_next_image_forgets_the_last_one(written):
    got = run(f"{BUILT}\n{README}", written)
    first = got["masks"]
    again = run(README, {**got, "image": Image.fromarray(written["image"][::-1].copy())})  # PIL images too
    assert not np.array_equal(again["masks"], first)
    assert np.array_equal(run(README, {**again, "image": written["image"]})["masks"], first)
    got["predictor"].reset_predictor()
    with pytest.raises(RuntimeError, match="no image"):
        got["predictor"].predict(point_coords=written["point_coords"], point_labels=written["point_labels"])


def test_what_it_does_not_know_is_told_and_not_passed_over(written):
    run(f"{BUILT}\npredictor.set_image(image)", written)
    with pytest.raises(ValueError, match="takes clicks, no box"):
        run("masks, _, _ = predictor.predict(point_coords=None, point_labels=None, box=np.array([5, 5, 20, 20]))", written)


def test_arguments_come_in_sam_2s_order():
    names = list(inspect.signature(Predictor.predict).parameters)
    assert names[1:] == [
        "point_coords",
        "point_labels",
        "box",
        "mask_input",
        "multimask_output",
        "return_logits",
        "normalize_coords",
    ]
    assert list(inspect.signature(Predictor.set_image).parameters)[1] == "image"
