"""Miniature peers, written to a folder: packages with the names and calls of the real ones, and one rule that they all play.

`answer` is the rule. Its source goes into the packages, so that a test can compute in its own process what they must say.
"""

import inspect
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from vfm_isrefiner.interaction import ImageFeatures
from vfm_isrefiner.peers import to_logits


def answer(image, prev, clicks, flip, bias):
    """Bright pixels, red above all; disks round clicks; a share of the previous mask; more to the right. (H, W) float32."""

    def once(image, prev, clicks):
        rows, columns = np.mgrid[: prev.shape[0], : prev.shape[1]]
        logits = 8 * (image @ np.array([0.5, 0.3, 0.2]) - 0.6) + 2 * prev + columns / prev.shape[1] + bias
        for y, x, positive in clicks:
            near = (rows - y) ** 2 + (columns - x) ** 2 <= 25
            logits = logits + near * (6 if positive else -6)
        return logits

    logits = once(image, prev, clicks)
    if flip:
        mirrored = [(y, prev.shape[1] - 1 - x, positive) for y, x, positive in clicks]
        logits = 0.5 * (logits + once(image[:, ::-1], prev[:, ::-1], mirrored)[:, ::-1])
    return (1 / (1 + np.exp(-logits))).astype(np.float32)


ANSWER = f"import numpy as np\n\n\n{inspect.getsource(answer)}"

TORCH = """
import contextlib
import numpy as np
device, no_grad = str, contextlib.nullcontext
class Tensor(np.ndarray):
    def to(self, device):
        assert device == "cpu"
        return self
def from_numpy(array):
    return array.view(Tensor)
"""

UTILS = """
import importlib.util
import json
assert importlib.util.find_spec("play_isegm") is None, "the bridge's folder hides names of the peer's"
class Patches:
    grid_size, img_size = (4, 4), (64, 64)
class Backbone:
    pos_embed, patch_embed = "trained", Patches()
class Net:
    training, bias = True, 0.0
    def eval(self):
        self.training = False
def load_is_model(checkpoint, device, {argument}**kwargs):
    print("loading", checkpoint, device, kwargs)  # peers print to stdout as they like
    net = Net()
    net.bias = json.load(open(checkpoint))["bias"] + kwargs.get("more", 0)
    if {transformer}:
        assert eval_ritm is False
        net.backbone = Backbone()
    return net
"""

CLICKER = """
class Click:
    def __init__(self, is_positive, coords, indx=None):
        self.is_positive, self.coords, self.indx = is_positive, coords, indx
class Clicker:
    def __init__(self, gt_mask=None):
        self.clicks_list = []
    def add_click(self, click):
        click.indx = len(self.clicks_list)
        self.clicks_list.append(click)
    def get_clicks(self):
        return self.clicks_list
"""

PREDICTORS = """
import numpy as np
import torch
from answer import answer
class Predictor:
    def __init__(self, net, mode, with_flip, zoom, size):
        self.net, self.mode, self.with_flip, self.zoom, self.size = net, mode, with_flip, zoom, size
    def set_input_image(self, image):
        self.image = image / 255 if image.dtype == np.uint8 else image
        self.prev_prediction = torch.from_numpy(np.zeros(image.shape[:2], np.float32))[None, None]
    def get_prediction(self, clicker, prev_mask=None):
        assert not self.net.training
        if hasattr(self.net, "backbone"):
            wanted = self.image.shape[:2] if self.zoom is None else self.zoom["target_size"]
            assert self.net.backbone.pos_embed == ("resized", wanted), (self.net.backbone.pos_embed, wanted)
        clicks = [(*click.coords, click.is_positive) for click in clicker.get_clicks()]
        if self.mode == "FocalClick":
            self.image[clicks[-1][0], clicks[-1][1]]
        print("predicting", len(clicks))
        prev = np.asarray(self.prev_prediction)[0, 0]
        bias = self.net.bias + (0 if self.zoom is None else 0.5) + self.size
        prob = answer(self.image, prev, clicks, self.with_flip, bias)
        self.prev_prediction = torch.from_numpy(prob)[None, None]
        return prob
def get_predictor(net, brs_mode, device, prob_thresh=0.49, with_flip=True, zoom_in_params=dict(), infer_size=0):
    return Predictor(net, brs_mode, with_flip, zoom_in_params, infer_size)
"""

POSITIONS = """
def interpolate_pos_embed_inference(model, size, device):
    assert (model.pos_embed, model.patch_embed.grid_size, model.patch_embed.img_size) == ("trained", (4, 4), (64, 64))
    model.pos_embed, model.patch_embed.grid_size, model.patch_embed.img_size = ("resized", size), None, size
"""

SAM = """
import numpy as np
from answer import answer
calls = []
class Sam:
    training = True
    def to(self, device):
        assert device == "cpu"
    def eval(self):
        self.training = False
def vit_b(checkpoint):
    print("loading", checkpoint)
    return Sam()
sam_model_registry = {{"vit_b": vit_b}}
class SamPredictor:
    def __init__(self, model):
        assert not model.training
    def set_image(self, image, image_format="RGB"):
        assert image.dtype == np.uint8
        print("encoding", image.shape)
        self.image = image / 255
    def predict(self, point_coords=None, point_labels=None, box=None, mask_input=None, multimask_output=True,
                return_logits=False{argument}):
        assert return_logits
        clicks = [(y, x, bool(label)) for (x, y), label in zip(point_coords, point_labels)]
        size = self.image.shape[:2]
        assert mask_input is None or mask_input.shape == (1, 256, 256)
        # the low mask holds one number: how sure it was
        bias = (0 if mask_input is None else mask_input.max() / 10) + {bias}
        prob = answer(self.image, np.zeros(size), clicks, False, bias).astype(np.float64)
        logits = np.log(prob / (1 - prob))
        scores, worse = [0.2, 0.9, 0.4], logits - 9
        if not multimask_output:
            return logits[None], np.array([0.5]), np.full((1, 256, 256), 3, np.float32)
        lows = np.stack([np.full((256, 256), each, np.float32) for each in (99, 5, 99)])
        return np.stack([worse, logits, worse]), np.array(scores), lows
"""

SAM2 = """
from segment_anything import SamPredictor
class SAM2ImagePredictor(SamPredictor):
    pass
"""

BUILD_SAM2 = """
from segment_anything import Sam
def build_sam2(config_file, ckpt_path=None, device="cuda"):
    assert (config_file, device) == ("configs/tiny.yaml", "cpu")
    sam = Sam()
    sam.eval()
    return sam
"""


def write(folder, files):
    for name, text in files.items():
        path = Path(folder) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        for parent in list(path.relative_to(folder).parents)[:-1]:
            (Path(folder) / parent / "__init__.py").touch()


def write_isegm(folder, transformer=False, stub_torch=True):
    """A checkout; its checkpoint."""
    argument = "eval_ritm, " if transformer else ""
    files = {
        "answer.py": ANSWER,
        "isegm/inference/utils.py": UTILS.format(argument=argument, transformer=transformer),
        "isegm/inference/clicker.py": CLICKER,
        "isegm/inference/predictors/__init__.py": PREDICTORS,
        "isegm/model/modeling/pos_embed.py": POSITIONS,
        **({"torch.py": TORCH} if stub_torch else {}),
    }
    write(folder, files)
    weights = Path(folder) / "weights.pth"
    weights.write_text(json.dumps({"bias": -0.25}))
    return weights


def write_sam(folder, hq=False):
    """A checkout of SAM or SAM-HQ, and of SAM 2; its checkpoint."""
    argument = ", hq_token_only=False" if hq else ""
    sam = SAM.format(argument=argument, bias="hq_token_only" if hq else "0")
    write(folder, {"answer.py": ANSWER, "segment_anything/__init__.py": sam})
    write(folder, {"sam2/sam2_image_predictor.py": SAM2, "sam2/build_sam.py": BUILD_SAM2})
    weights = Path(folder) / "weights.pth"
    weights.write_text("none")
    return weights


def changed_template(file, code):
    """The template, with `code` run before its loop; the command that starts it."""
    home = Path(sys.modules["vfm_isrefiner.peers.process"].__file__).parent
    start = f"import sys\nsys.path.insert(0, {str(home)!r})\nimport template\n"
    Path(file).write_text(f"{start}{code}\ntemplate.main()\n")
    return [sys.executable, str(file)]


@dataclass(frozen=True)
class Reference:
    """A `RoundLike` that plays `answer` in this process: from the first click on where `remembers`, else one call."""

    bias: float
    remembers: bool
    own_flip: bool = False
    flip: bool = False

    def encode(self, image):
        return ImageFeatures(image), None

    def logits(self, features, flipped, clicks, prev_prob):
        probs = []
        for row in range(len(prev_prob)):
            image = features.image[row].permute(1, 2, 0).numpy()
            image = image / 255 if image.dtype == np.uint8 else image
            pairs = zip(clicks.yx[row].tolist(), clicks.label[row].tolist(), strict=True)
            made = [(y, x, label == 1) for (y, x), label in pairs if label >= 0]
            prob = prev_prob[row, 0].numpy()
            if self.remembers:
                prob = np.zeros_like(prob)
                for count in range(1, len(made)):
                    prob = answer(image, prob, made[:count], self.own_flip, self.bias)
            flip = self.own_flip if self.remembers else self.flip
            probs.append(torch.from_numpy(answer(image, prob, made, flip, self.bias)))
        return to_logits(torch.stack(probs)[:, None])


def told(result):
    """What of a result must not depend on who is asked, and when."""
    return result.index, result.id, result.ious, result.boundary_ious, result.clicks
