"""Scores: what the raw one is, and that a calibration makes a score of s mean an IoU of s."""

import numpy as np
import pytest

from vfm_isrefiner.predictor.scores import calibrated, calibration_error, checked_knots, fit_calibration, raw_score


def test_raw_score_is_expected_intersection_over_expected_union():
    prob = np.zeros((4, 5), np.float32)
    prob[0] = [0.9, 0.8, 0.4, 0.35, 0.2]  # the last is faint
    assert raw_score(prob, 0.5) == pytest.approx(1.7 / 2.75)
    assert raw_score(prob, 0.37) == pytest.approx(2.1 / 3.35)
    assert raw_score(prob, 0.95) == 0
    assert raw_score(np.ones((3, 3), np.float32), 0.5) == 1


def test_raw_score_does_not_depend_on_strips_or_memory():
    prob = np.random.default_rng(0).random((200, 70), np.float32)
    mask = prob > 0.6
    expected = prob[mask].sum() / (mask.sum() + prob[~mask & (prob > 0.3)].sum())
    assert raw_score(prob, 0.6) == pytest.approx(float(expected), abs=1e-5)
    assert raw_score(np.asfortranarray(prob), 0.6) == pytest.approx(float(expected), abs=1e-5)


def test_raw_score_is_that_of_independent_pixels():
    random = np.random.default_rng(0)
    prob = random.random((40, 50), np.float32) ** 4
    prob[prob < 0.3] = 0
    mask = prob > 0.5
    drawn = random.random((400, 40, 50)) < prob
    ious = (drawn & mask).sum((1, 2)) / (drawn | mask).sum((1, 2))
    assert raw_score(prob, 0.5) == pytest.approx(ious.mean(), abs=0.02)


def test_faint_probabilities_of_a_large_image_do_not_count():
    prob = np.full((500, 500), 0.2, np.float32)
    prob[10:20, 10:20] = 0.9
    assert raw_score(prob, 0.5) == pytest.approx(0.9)


def pairs(count=4000, seed=0):
    """Raw scores that promise too much: a mask of raw score r has an IoU of r² on average."""
    random = np.random.default_rng(seed)
    raw = random.uniform(0.2, 1, count)
    return raw, np.clip(raw**2 + random.normal(0, 0.08, count), 0, 1)


def test_a_fitted_table_calibrates_other_masks():
    knots = fit_calibration(*pairs())
    raw, iou = pairs(seed=1)
    before = calibration_error(raw, iou)
    after = calibration_error([calibrated(value, knots) for value in raw], iou)
    assert before > 0.1
    assert after < 0.015
    assert len(knots) == 16
    assert calibrated(0.6, knots) == pytest.approx(0.36, abs=0.02)


def test_a_table_rises_whatever_it_is_fitted_to():
    random = np.random.default_rng(1)
    knots = np.array(fit_calibration(random.random(60), random.random(60), knots=30))
    assert (np.diff(knots[:, 0]) > 0).all()
    assert (np.diff(knots[:, 1]) >= 0).all()
    checked_knots(knots.tolist())
    falling = np.linspace(0, 1, 50)
    assert fit_calibration(falling, 1 - falling) == [[pytest.approx(0.5), pytest.approx(0.5)]]
    assert fit_calibration([0.5] * 9, [0.0, 1.0, 0.5] * 3, knots=3) == [[pytest.approx(0.5), pytest.approx(0.5)]]


def test_pooled_means_are_those_of_isotonic_regression():
    knots = fit_calibration([0.1, 0.2, 0.3, 0.4], [0.2, 0.6, 0.4, 0.9], knots=4)
    assert np.array(knots) == pytest.approx(np.array([[0.1, 0.2], [0.25, 0.5], [0.4, 0.9]]))


def test_between_and_beyond_the_knots():
    knots = [[0.2, 0.1], [0.6, 0.5]]
    assert calibrated(0.4, knots) == pytest.approx(0.3)
    assert calibrated(0.0, knots) == pytest.approx(0.1)
    assert calibrated(1.0, knots) == pytest.approx(0.5)
    assert calibrated(0.37, ()) == 0.37


def test_calibration_error_is_a_mean_distance():
    assert calibration_error([0.2, 0.4, 0.6, 0.8], [0.3, 0.5, 0.7, 0.9]) == pytest.approx(0.1)
    assert calibration_error([0.5, 0.5], [0.0, 1.0], bins=1) == 0


@pytest.mark.parametrize(
    "knots",
    [
        [[0.1, 0.2], [0.1, 0.3]],
        [[0.1, 0.2], [0.2, 0.1]],
        [[0.1, 1.2]],
        [[0.1]],
        [[0.1, 0.2], [0.3]],
        [[float("nan"), 0.5]],
    ],
)
def test_tables_that_are_none(knots):
    with pytest.raises(ValueError, match="score calibration is a list"):
        checked_knots(knots)


@pytest.mark.parametrize("fit", [fit_calibration, calibration_error])
def test_pairs_that_are_none(fit):
    for raw, iou in (([0.1, 0.2], [0.1]), ([], []), ([[0.1]], [[0.1]])):
        with pytest.raises(ValueError, match="of the same masks were expected"):
            fit(raw, iou)
    for raw, iou in (([1.1], [0.5]), ([0.5], [float("nan")])):
        with pytest.raises(ValueError, match="within 0 and 1"):
            fit(raw, iou)


def test_a_table_has_a_knot():
    with pytest.raises(ValueError, match="at least 1 knot, got 0"):
        fit_calibration([0.1], [0.1], knots=0)
