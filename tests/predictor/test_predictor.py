"""SAM's calls: shapes, what each argument means, and that going on is the same as playing from the start."""

import sys
import types

import numpy as np
import pytest
import torch
from PIL import Image

from vfm_isrefiner.clicks import Clicks
from vfm_isrefiner.models.build import build_isrefiner, build_mfp
from vfm_isrefiner.models.checkpoints import save_network
from vfm_isrefiner.modulation import modulate_isrefiner, modulate_mfp
from vfm_isrefiner.predictor import Click, Predictor
from vfm_isrefiner.predictor.network_settings import settings_of
from vfm_isrefiner.predictor.prompts import low_logits, prob_from
from vfm_isrefiner.rollout import Round
from vfm_isrefiner.zoom import ZoomIn, ZoomRule

POINTS, LABELS = np.array([[30.0, 20.0], [40.5, 30.0], [8.0, 40.0], [33.0, 18.0]]), np.array([1, 1, 0, 1])
RULE = ZoomRule((64, 64), min_crop=16)


def from_the_start(network, image, **arguments):
    predictor = Predictor(network, zoom=RULE)
    predictor.set_image(image)
    return predictor.predict(**arguments)


def same(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_the_readme_of_sam_2_runs(tiny, image):
    predictor = Predictor(tiny)
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
        predictor.set_image(image)
        masks, scores, logits = predictor.predict(point_coords=POINTS[:1], point_labels=LABELS[:1], multimask_output=True)
        order = np.argsort(scores)[::-1]
        masks, scores, logits = masks[order], scores[order], logits[order]
        mask_input = logits[np.argmax(scores), :, :]
        masks, scores, _ = predictor.predict(
            point_coords=POINTS[:2], point_labels=LABELS[:2], mask_input=mask_input[None, :, :], multimask_output=False
        )
    assert masks.shape == (1, *image.shape[:2])
    assert masks.dtype == bool
    assert scores.shape == (1,)
    assert 0 <= scores[0] <= 1
    assert logits.shape == (1, 256, 256)
    assert logits.dtype == np.float32
    plain = Predictor(tiny)
    plain.set_image(image)
    assert np.array_equal(masks, plain.predict(POINTS[:2], LABELS[:2])[0])


def test_an_autocast_around_the_call_changes_nothing(tiny, image):
    arguments = {"point_coords": POINTS, "point_labels": LABELS, "return_logits": True}
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = from_the_start(tiny, image, **arguments)
    assert same(inside, from_the_start(tiny, image, **arguments))


def test_points_are_played_by_the_one_loop(tiny, image):
    logits, _, _ = from_the_start(tiny, image, point_coords=POINTS, point_labels=LABELS, return_logits=True)
    segmenter = ZoomIn(Round(tiny, modulate_isrefiner), RULE)
    with torch.no_grad():
        interaction = segmenter.start(torch.from_numpy(image).permute(2, 0, 1)[None])
        for count in range(1, 5):
            yx = torch.from_numpy(POINTS[:count, ::-1].copy()).float()[None]
            clicks = Clicks(yx, torch.from_numpy(LABELS[:count]).to(torch.int8)[None])
            interaction = segmenter.refine(interaction, clicks)
    expected = interaction.prob[0].clamp(1e-6, 1 - 1e-6).logit().numpy()
    np.testing.assert_allclose(logits, expected, atol=1e-5)
    assert np.ptp(logits) > 0.1


def test_a_point_more_is_played_alone_and_gives_the_same(network, predictor, image, tiny):
    predictor.set_image(image)
    for count in range(1, 5):
        network.passes.clear()
        predictor.predict(POINTS[:count], LABELS[:count])
        assert len(network.passes) == 1
    going_on = Predictor(tiny, zoom=RULE)
    going_on.set_image(image)
    for count in (1, 2, 4):
        arguments = {"point_coords": POINTS[:count], "point_labels": LABELS[:count], "return_logits": True}
        assert same(going_on.predict(**arguments), from_the_start(tiny, image, **arguments))


def test_other_points_are_played_from_where_they_part(tiny, image):
    predictor = Predictor(tiny, zoom=RULE)
    predictor.set_image(image)
    predictor.predict(POINTS, LABELS)
    for order in ([0, 1, 3], [0], [2, 1], [1, 0, 2, 3]):
        arguments = {"point_coords": POINTS[order], "point_labels": LABELS[order], "return_logits": True}
        assert same(predictor.predict(**arguments), from_the_start(tiny, image, **arguments))
    flipped = {"point_coords": POINTS[:2], "point_labels": 1 - LABELS[:2], "return_logits": True}
    assert same(predictor.predict(**flipped), from_the_start(tiny, image, **flipped))


def test_the_same_points_again_give_the_same_without_the_network(network, predictor, image):
    predictor.set_image(image)
    first = predictor.predict(POINTS, LABELS)
    network.passes.clear()
    assert same(predictor.predict(POINTS, LABELS), first)
    assert same(predictor.predict(POINTS, LABELS, mask_input=first[2]), first)
    assert network.passes == []


def test_the_last_logits_stand_for_the_full_mask(tiny, image):
    image = np.tile(image, (8, 6, 1))  # larger than the logits
    predictor = Predictor(tiny, zoom=RULE)
    predictor.set_image(image)
    _, _, low = predictor.predict(POINTS[:2], LABELS[:2])
    goes_on = predictor.predict(POINTS[:3], LABELS[:3], mask_input=low, return_logits=True)
    assert same(goes_on, from_the_start(tiny, image, point_coords=POINTS[:3], point_labels=LABELS[:3], return_logits=True))
    full, _, low = predictor.predict(POINTS[:3], LABELS[:3], mask_input=goes_on[2], return_logits=True)
    alone = predictor.predict(POINTS[3:], LABELS[3:], mask_input=low, return_logits=True)
    session = Predictor(tiny, zoom=RULE).session(image)
    session.play(clicks_at(POINTS[:3], LABELS[:3]))
    session.start_from(session.prediction.prob)
    prob = session.click(*POINTS[3], bool(LABELS[3])).prob
    np.testing.assert_allclose(1 / (1 + np.exp(-alone[0][0])), prob, atol=2e-6)
    assert not np.array_equal(alone[0], full)


def clicks_at(points, labels):
    return [Click(x, y, bool(label)) for (x, y), label in zip(points, labels, strict=True)]


def test_a_mask_input_of_elsewhere_is_where_the_points_start(network, predictor, image):
    other = np.full((1, 256, 256), -20, np.float32)
    other[:, 128:, :128] = 20  # the lower left quarter
    predictor.set_image(image)
    predictor.predict(POINTS, LABELS)
    network.passes.clear()
    masks, _, _ = predictor.predict(POINTS[:1], LABELS[:1], mask_input=other)
    assert network.passes[0][0].max() > 0.9  # the crop of the quarter and of the click holds the mask
    session = predictor.session(image)
    session.start_from(prob_from(other, session.size))
    assert np.array_equal(masks[0], session.click(*POINTS[0]).mask)
    network.passes.clear()
    predictor.predict(POINTS[:2], LABELS[:2], mask_input=other)  # SAM code may pass the first one again and again
    assert len(network.passes) == 1
    fresh = predictor.predict(POINTS[:2], LABELS[:2])
    again = Predictor(network, zoom=predictor._segmenter.rule)
    again.set_image(image)
    assert same(fresh, again.predict(POINTS[:2], LABELS[:2]))


def test_an_empty_mask_input_is_no_mask(predictor, image):
    predictor.set_image(image)
    empty = low_logits(torch.zeros(1, 1, 48, 64))
    assert same(predictor.predict(POINTS, LABELS, mask_input=empty), predictor.predict(POINTS, LABELS))


def test_low_logits_there_and_back():
    prob = torch.zeros(1, 1, 300, 400)
    prob[..., 100:200, 50:300] = 0.9
    back = prob_from(low_logits(prob), (300, 400))
    assert (back == 0)[:90].all()
    assert back[110:190, 60:290] == pytest.approx(0.9, abs=1e-4)
    assert ((back > 0.5) != (prob[0, 0].numpy() > 0.5)).mean() < 0.01
    assert prob_from(np.full((1, 64, 64), 20, np.float32), (5, 7)).shape == (5, 7)


def test_coordinates_are_x_and_y_and_may_be_fractions(network, predictor, image):
    predictor.set_image(image)
    one = predictor.predict([[40, 10]], [1], return_logits=True)
    assert predictor._said.session.clicks[0].x == 40
    assert predictor._said.session._history.now.clicks.yx.tolist() == [[[10, 40]]]
    two = predictor.predict([[40 / 64, 10 / 48]], [1], return_logits=True, normalize_coords=False)
    np.testing.assert_allclose(one[0], two[0], atol=1e-4)


def test_masks_and_logits_agree(predictor, image):
    predictor = Predictor(predictor._segmenter.round.round.network, zoom=RULE, threshold=0.7)
    predictor.set_image(image)
    masks, _, _ = predictor.predict(POINTS, LABELS)
    logits, _, _ = predictor.predict(POINTS, LABELS, return_logits=True)
    assert logits.dtype == np.float32
    assert predictor.mask_threshold == pytest.approx(np.log(0.7 / 0.3))
    assert np.array_equal(masks, logits > predictor.mask_threshold)
    assert masks.any()
    assert not masks.all()


def test_what_is_returned_is_the_callers(predictor, image):
    predictor.set_image(image)
    masks, scores, logits = (each.copy() for each in predictor.predict(POINTS, LABELS))
    for each in predictor.predict(POINTS, LABELS):
        each[...] = 0
    assert same(predictor.predict(POINTS, LABELS), (masks, scores, logits))


def test_images_of_several_kinds_are_one(network, image):
    def first(picture, **format):
        predictor = Predictor(network, zoom=RULE)
        predictor.set_image(picture, **format)
        return predictor.predict(POINTS, LABELS, return_logits=True)

    plain = first(image)
    assert same(plain, first(Image.fromarray(image)))
    assert same(plain, first(image[..., ::-1], image_format="BGR"))
    assert same(plain, first(np.asfortranarray(image)))


@pytest.mark.parametrize("forget", ["reset_predictor", "reset_image"])
def test_no_image(predictor, image, forget):
    with pytest.raises(RuntimeError, match="call set_image"):
        predictor.predict(POINTS, LABELS)
    predictor.set_image(image)
    getattr(predictor, forget)()
    with pytest.raises(RuntimeError, match="call set_image"):
        predictor.predict(POINTS, LABELS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"box": [0, 0, 5, 5]}, "takes clicks, no box.*start_from"),
        ({}, "one point at least"),
        ({"point_coords": POINTS}, "one point at least"),
        ({"point_coords": np.zeros((0, 2)), "point_labels": np.zeros(0)}, "N at least 1"),
        ({"point_coords": POINTS[None], "point_labels": LABELS[None]}, r"got \(1, 4, 2\).*once for each object"),
        ({"point_coords": POINTS, "point_labels": LABELS[:3]}, "point_labels"),
        ({"point_coords": POINTS, "point_labels": LABELS - 1}, r"got \[-1, 0\]"),
        ({"point_coords": [[64, 3]], "point_labels": [1]}, "x=64, y=3 lies outside of the image, 64 pixels wide and 48 high"),
        ({"point_coords": [[np.nan, 3]], "point_labels": [1]}, "lies outside"),
        ({"point_coords": POINTS, "point_labels": LABELS, "mask_input": np.zeros((256, 256))}, r"got \(256, 256\)"),
        ({"point_coords": POINTS, "point_labels": LABELS, "mask_input": np.full((1, 9, 9), np.inf)}, "are no numbers"),
    ],
)
def test_arguments_that_do_not_fit(predictor, image, arguments, message):
    predictor.set_image(image)
    before = predictor.predict(POINTS, LABELS)
    with pytest.raises(ValueError, match=message):
        predictor.predict(**arguments)
    assert same(predictor.predict(POINTS, LABELS), before)


def test_a_failing_network_leaves_nothing_behind(network, predictor, image, monkeypatch):
    predictor.set_image(image)
    _, _, low = predictor.predict(POINTS[:2], LABELS[:2])
    with monkeypatch.context() as patch:
        patch.setattr(type(network), "__call__", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            predictor.predict(POINTS[[0, 2]], LABELS[[0, 2]], mask_input=low)
    assert same(predictor.predict(POINTS[:2], LABELS[:2]), from_small(network, image))


def from_small(network, image):
    predictor = Predictor(network, zoom=ZoomRule((24, 24), min_crop=10))
    predictor.set_image(image)
    return predictor.predict(POINTS[:2], LABELS[:2])


def test_flip_is_averaged_in(tiny, image):
    plain, flipped = (Predictor(tiny, zoom=RULE, flip=flip) for flip in (False, True))
    mirrored = np.ascontiguousarray(image[:, ::-1])
    points = POINTS[:1]
    maps = []
    for predictor, picture, at in ((flipped, image, points), (flipped, mirrored, [63, 0] + points * [-1, 1])):
        predictor.set_image(picture)
        maps.append(predictor.predict(at, [1], return_logits=True)[0])
    np.testing.assert_allclose(maps[0], maps[1][..., ::-1], atol=1e-4)
    plain.set_image(image)
    assert not np.allclose(plain.predict(points, [1], return_logits=True)[0], maps[0], atol=1e-4)


def test_a_checkpoint_says_how_it_is_played(tmp_path, tiny, image):
    path = save_network(tiny, tmp_path / "network.safetensors")
    predictor = Predictor.from_checkpoint(path, device="cpu")
    assert predictor.device == torch.device("cpu")
    assert predictor._segmenter.rule == ZoomRule((64, 64))
    predictor.set_image(image)
    other = Predictor(tiny)
    other.set_image(image)
    assert same(predictor.predict(POINTS, LABELS), other.predict(POINTS, LABELS))
    assert Predictor.from_checkpoint(path, zoom=RULE, device="auto")._segmenter.rule == RULE


def test_released_networks_make_two_passes():
    network = build_isrefiner("test", image_size=32, released=True).eval()
    assert Predictor(network)._segmenter.round.round.first_click_passes == 2
    assert Predictor(network, first_click_passes=1)._segmenter.round.round.first_click_passes == 1


def test_a_network_of_mfp_is_played_with_its_modulation():
    torch.manual_seed(0)
    networks = {"mfp": build_mfp("test", image_size=32).eval(), "ours": build_isrefiner("test", image_size=32).eval()}
    used = {kind: settings_of(network.config)["modulation"] for kind, network in networks.items()}
    assert used == {"mfp": modulate_mfp, "ours": modulate_isrefiner}
    image = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    maps = []
    for modulation in (None, modulate_mfp, modulate_isrefiner):
        session = Predictor(networks["mfp"], modulation=modulation).session(image)
        session.click(20, 20)
        maps.append(session.click(3, 3, positive=False).prob)
    assert np.array_equal(maps[0], maps[1])
    assert not np.array_equal(maps[0], maps[2])


def test_precision_and_compilation_are_those_of_for_inference(tmp_path, tiny, network, monkeypatch):
    asked = []

    def for_inference(given, precision="float32", compiled=False):
        asked.append((type(given), precision, compiled))
        return network

    module = types.ModuleType("vfm_isrefiner.models.inference")
    module.for_inference = for_inference
    monkeypatch.setitem(sys.modules, module.__name__, module)
    path = save_network(tiny, tmp_path / "network.safetensors")
    predictor = Predictor.from_checkpoint(path, device="cpu", precision="bf16", compiled=True)
    assert asked == [(type(tiny), "bf16", True)]
    assert predictor._segmenter.rule == ZoomRule((64, 64))  # of the file's config, which a wrapper need not have
    Predictor.from_checkpoint(path, device="cpu")
    assert len(asked) == 1


def test_bfloat16_predicts_nearly_the_same(tmp_path, tiny, image):
    path = save_network(tiny, tmp_path / "network.safetensors")
    maps = []
    for precision in ("float32", "bf16"):
        predictor = Predictor.from_checkpoint(path, device="cpu", precision=precision)
        predictor.set_image(image)
        maps.append(predictor.predict(POINTS, LABELS, return_logits=True)[0])
    assert not np.array_equal(*maps)
    assert np.abs(maps[0] - maps[1]).mean() < 0.05 * maps[0].std() + 0.01


def test_the_score_is_calibrated_by_the_networks_table(tiny, image, monkeypatch):
    def score(predictor):
        predictor.set_image(image)
        return predictor.predict(POINTS, LABELS)[1][0]

    raw = score(Predictor(tiny, threshold=0.3))
    assert raw > 0
    monkeypatch.setitem(tiny.config, "score_calibration", [[0.0, 0.1], [1.0, 0.3]])
    assert score(Predictor(tiny, threshold=0.3)) == pytest.approx(0.1 + 0.2 * raw, abs=1e-6)
    assert score(Predictor(tiny, threshold=0.3, calibration=())) == raw


def test_a_network_in_training_is_refused(network):
    network.training = True
    with pytest.raises(ValueError, match=r"call network\.eval"):
        Predictor(network)


def test_a_threshold_is_a_probability(network):
    with pytest.raises(ValueError, match=r"threshold is a probability.*got 0\.0"):
        Predictor(network, threshold=0.0)


@pytest.mark.skipif(torch.cuda.is_available(), reason="torch sees a GPU")
def test_no_gpu(tmp_path):
    with pytest.raises(ValueError, match="torch sees no GPU"):
        Predictor.from_checkpoint(tmp_path / "none", device="cuda")
