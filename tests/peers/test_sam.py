"""The SAM family by its predictor calls, and the mask prompt made of a probability."""

import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from loop_parts import drawn
from peers.miniature import answer, write_sam

from vfm_isrefiner.clicks import Clicks
from vfm_isrefiner.evaluation import EvaluationProtocol, evaluate
from vfm_isrefiner.peers import PeerError, sam_peer
from vfm_isrefiner.peers.play_sam import low_logits
from vfm_isrefiner.zoom import ZoomRule

ITEM = drawn(40, 48, 1)
IMAGE = ITEM.image[None]
BLANK = torch.zeros(1, 1, 40, 48)
CLICKS = [(20.0, 11.0, True), (3.0, 40.0, False), (5.0, 5.0, True)]
RULE = EvaluationProtocol("quick", 0.5, ZoomRule((32, 32), min_crop=10), max_clicks=4)


def peer_of(folder, model="vit_b", hq=False, **settings):
    weights = write_sam(folder, hq)
    return sam_peer(sys.executable, str(folder), str(weights), model, timeout=200, **settings)


def clicks_of(made):
    return Clicks(
        torch.tensor([[each[:2] for each in made]]), torch.tensor([[int(each[2]) for each in made]], dtype=torch.int8)
    )


def asked(peer, made, image=IMAGE, prev=BLANK):
    return peer.logits(peer.encode(image)[0], None, clicks_of(made), prev).sigmoid()[0, 0].numpy()


def rule(made, bias=0.0, image=IMAGE, flip=False):
    pixels = image[0].permute(1, 2, 0).numpy() / 255
    return answer(pixels, np.zeros(pixels.shape[:2]), made, flip, bias)


def close(found, wanted):
    return np.allclose(found, wanted, atol=1e-5)


def test_each_later_click_comes_with_the_mask_before(tmp_path):
    with peer_of(tmp_path) as peer:
        # of three masks the one that it scores highest; its low mask is 5 throughout, that of a single mask is 3
        assert close(asked(peer, CLICKS[:1]), rule(CLICKS[:1]))
        assert close(asked(peer, CLICKS[:2]), rule(CLICKS[:2], bias=0.5))
        assert close(asked(peer, CLICKS), rule(CLICKS, bias=0.3))
        other = drawn(40, 48, 2).image[None]
        assert close(asked(peer, CLICKS[:2], other), rule(CLICKS[:2], bias=0.5, image=other))
        assert close(asked(peer, CLICKS), rule(CLICKS, bias=0.3))  # played again from the first click on
        assert len(evaluate(peer, [ITEM], peer.protocol(RULE)).results[0].clicks) == 4


def test_with_our_zoom_the_previous_mask_is_that_of_the_protocol(tmp_path):
    prev = torch.full((1, 1, 40, 48), 0.75)
    with peer_of(tmp_path, zoom="ours") as peer:
        assert peer.protocol(RULE) == RULE
        assert close(asked(peer, CLICKS[:2]), rule(CLICKS[:2]))  # nothing predicted yet: no mask prompt
        assert close(asked(peer, CLICKS[:2], prev=prev), rule(CLICKS[:2], bias=np.log(3) / 10))
        flipping = replace(peer, flip=True)
        assert close(asked(flipping, CLICKS[:2], prev=prev), rule(CLICKS[:2], bias=np.log(3) / 10, flip=True))
        crop = IMAGE / 255
        assert close(asked(peer, CLICKS[:2], image=crop), rule(CLICKS[:2]))


def test_sam_hq_and_its_flag(tmp_path):
    settings = {"family": "sam_hq", "hq_token_only": True, "mask_prompt": False, "multimask": "never"}
    with peer_of(tmp_path, hq=True, **settings) as peer:
        assert close(asked(peer, CLICKS[:2]), rule(CLICKS[:2], bias=1))


def test_sam_2(tmp_path):
    with peer_of(tmp_path, model="configs/tiny.yaml", family="sam2", flip=True, multimask="always") as peer:
        assert peer.protocol(RULE).name == "quick, peer's own zoom, flipped"
        assert close(asked(peer, CLICKS[:2]), rule(CLICKS[:2], bias=0.5, flip=True))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"family": "sam_hq"}, "is the original SAM: its predict has no hq_token_only"),
        ({"model": "vit_x"}, "model 'vit_x' is none of vit_b"),
        ({"family": "sam3"}, "family 'sam3' is none of sam, sam_hq, sam2"),
    ],
)
def test_what_the_package_does_not_have(tmp_path, settings, message):
    with pytest.raises(PeerError, match=message), peer_of(tmp_path, **settings):
        pass


def test_unknown_multimask(tmp_path):
    with pytest.raises(ValueError, match="multimask is one of first, always, never, got 'best'"):
        peer_of(tmp_path, multimask="best")


def test_mask_prompts_keep_their_place():
    prob = np.zeros((40, 80), np.float32)
    prob[10:20, 30:60] = 1
    padded, squared = low_logits(prob, square=False), low_logits(prob, square=True)
    assert padded.shape == squared.shape == (1, 256, 256)
    assert padded.dtype == np.float32
    scale = 256 / 80
    rows, columns = (padded[0] > 0).nonzero()
    assert (rows.min(), rows.max() + 1) == (10 * scale, 20 * scale)
    assert (columns.min(), columns.max() + 1) == (30 * scale, 60 * scale)
    assert not padded[0, 128:].any()
    rows, _ = (squared[0] > 0).nonzero()
    assert (rows.min(), rows.max() + 1) == (10 * 256 / 40, 20 * 256 / 40)
