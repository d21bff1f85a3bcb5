import math

import pytest
import torch

from vfm_isrefiner.clicks import Clicks
from vfm_isrefiner.modulation import modulate_isrefiner, modulate_mfp, modulate_none

BOTH = pytest.mark.parametrize("modulate", [modulate_isrefiner, modulate_mfp])


def clicks_of(*rows):
    """One object's clicks from (y, x, label)."""
    values = torch.tensor(rows, dtype=torch.float32).reshape(-1, 3)
    return Clicks(values[None, :, :2].clone(), values[None, :, 2].to(torch.int8))


def flat(value, height=40, width=48):
    return torch.full((1, 1, height, width), value)


def random_prob(generator, batch=1, height=40, width=48):
    noise = torch.rand(batch, 1, height, width, generator=generator)
    return torch.nn.functional.avg_pool2d(noise, 7, 1, 3).sub(0.5).mul(12).sigmoid()


def one_by_one(prob, clicks, window_clicks, filtered, r_max=100.0):
    """Eq. 8-10 and protocol section 3.4 written as plainly as they are told: one object, the whole image, no guards."""
    p = prob[0, 0].double()
    (y, x), sign = clicks.yx[0, -1].double(), clicks.label[0, -1].item()
    rows, cols = torch.meshgrid(*(torch.arange(n, dtype=torch.float64) for n in p.shape), indexing="ij")
    distance = ((rows - y) ** 2 + (cols - x) ** 2).sqrt()
    opposite = clicks.yx[0][clicks.label[0] == 1 - sign].double()
    away = [((a - y) ** 2 + (b - x) ** 2).sqrt().float().double() for a, b in opposite]
    radius = max(min(away) / 2, torch.tensor(10.0).double()) if away else torch.tensor(r_max).double()
    window = distance <= radius
    for (a, b), reach in zip(opposite, away, strict=True):
        if reach < 10:
            window &= ~(((rows - a) ** 2 + (cols - b) ** 2).sqrt() <= reach)
    p_u = p[int(y), int(x)]
    if filtered:
        values = prob[0, 0][window]
        marks = [p_u, values.double().mean().float().double(), values.median().double()]
        window &= (p >= min(marks)) if sign else (p <= max(marks))
    result = p.clone()
    if p_u == (0 if sign else 1):
        ramp = distance[window] / distance[window].max()
        result[window] = 1 - ramp if sign else ramp
        return result.float()[None, None]
    if sign:
        gamma = 1 / (math.log(0.99) / math.log(p_u) + 1e-8) if p_u < 0.99 else 1.0
    else:
        gamma = math.log(0.01) / math.log(p_u) if p_u > 0.01 else 1.0
    if clicks.label.shape[1] - 1 < window_clicks:
        s = (p - p_u) ** 2
        s = s * (1000 / s[window].max())
        theta = s[window].median()
        exponent = (1 - (gamma - 1) / theta**3 * (s - theta) ** 3).clamp(min=1)
    else:
        exponent = gamma * (1 - distance / radius) + distance / radius
    result[window] = (p ** (1 / exponent) if sign else p**exponent)[window]
    result[round(y.item()), round(x.item())] = sign
    return result.float()[None, None]


@pytest.mark.parametrize("count", [1, 2, 4, 7, 8, 9])
def test_equals_the_plain_form(generator, count):
    for _ in range(12):
        prob = random_prob(generator)
        yx = torch.rand(1, count, 2, generator=generator) * torch.tensor([39.0, 47.0])
        yx = yx.round() if torch.rand((), generator=generator) < 0.5 else yx
        clicks = Clicks(yx, torch.randint(0, 2, (1, count), generator=generator).to(torch.int8))
        got = modulate_isrefiner(prob, clicks), modulate_mfp(prob, clicks)
        expected = one_by_one(prob, clicks, 0, True), one_by_one(prob, clicks, 7, False)
        torch.testing.assert_close(got, expected, rtol=0, atol=1e-5)


@BOTH
@pytest.mark.parametrize("r_max", [4.5, 100.0])
def test_near_opposite_clicks_cut_their_disks_out(generator, modulate, r_max):
    filtered = modulate is modulate_isrefiner
    prob = random_prob(generator)
    clicks = clicks_of((20, 15, 0), (25, 24, 0), (2, 40, 0), (20, 20, 1))
    got = modulate(prob, clicks, r_max=r_max, r_min=min(r_max, 10.0))
    if r_max == 100.0:
        torch.testing.assert_close(got, one_by_one(prob, clicks, 0 if filtered else 7, filtered), rtol=0, atol=1e-5)
        assert got[0, 0, 20, 17] == prob[0, 0, 20, 17]  # nearer to the opposite click than this click is
    assert got[0, 0, 20, 20] == 1


def test_the_radius_is_half_the_way_to_the_opposite_click_however_far(generator):
    prob = torch.rand(1, 1, 8, 300, generator=generator) * 0.2 + 0.4
    got = modulate_isrefiner(prob, clicks_of((4, 5, 1), (4, 295, 0)), r_max=20.0)
    changed = (got != prob)[0, 0].any(0).nonzero()
    assert changed.min() >= 150
    assert changed.min() < 160


def test_rows_do_not_depend_on_each_other(generator):
    prob = random_prob(generator, batch=5)
    yx = (torch.rand(5, 6, 2, generator=generator) * 40).round()
    label = torch.randint(-1, 2, (5, 6), generator=generator).to(torch.int8)
    label[3] = -1
    clicks = Clicks(yx, label)
    for modulate in (modulate_isrefiner, modulate_mfp):
        together = modulate(prob, clicks)
        for i in range(5):
            alone = modulate(prob[i : i + 1], clicks.rows(torch.tensor([i])))
            assert torch.equal(together[i : i + 1], alone)


@BOTH
def test_a_positive_click_raises_and_a_negative_one_lowers(generator, modulate):
    prob = random_prob(generator)
    up, down = modulate(prob, clicks_of((20, 24, 1))), modulate(prob, clicks_of((20, 24, 0)))
    assert (up >= prob - 1e-6).all()
    assert (down <= prob + 1e-6).all()
    assert (up[0, 0, 20, 24], down[0, 0, 20, 24]) == (1, 0)


@BOTH
def test_mirrored_input_gives_mirrored_output(generator, modulate):
    prob = random_prob(generator)
    clicks = clicks_of((4, 40, 0), (17, 13, 1), (20, 24, 1))
    mirrored = modulate(prob.flip(-1), clicks.flipped(48)).flip(-1)
    torch.testing.assert_close(mirrored, modulate(prob, clicks), rtol=0, atol=1e-6)


@BOTH
@pytest.mark.parametrize(("value", "label"), [(0.0, 1), (1.0, 0)])
def test_where_no_power_helps_the_window_is_a_ramp(modulate, value, label):
    got = modulate(flat(value), clicks_of((20, 24, label)))[0, 0]
    rows, cols = torch.meshgrid(torch.arange(40.0), torch.arange(48.0), indexing="ij")
    distance = torch.hypot(rows - 20, cols - 24)
    ramp = distance / distance.max()
    torch.testing.assert_close(got, 1 - ramp if label else ramp)


@BOTH
@pytest.mark.parametrize(("value", "label"), [(0.0, 1), (1.0, 0)])
def test_a_ramp_of_one_pixel_has_the_value_at_the_click(modulate, value, label):
    assert modulate(flat(value, 1, 1), clicks_of((0, 0, label))).item() == label


@BOTH
@pytest.mark.parametrize(("value", "label"), [(0.995, 1), (1.0, 1), (0.005, 0), (0.0, 0)])
def test_where_nothing_is_to_be_changed_only_the_clicked_pixel_is(modulate, value, label):
    expected = flat(value)
    expected[0, 0, 20, 24] = label
    torch.testing.assert_close(modulate(flat(value), clicks_of((20, 24, label))), expected)


@pytest.mark.parametrize(("label", "wanted"), [(1, 0.99), (0, 0.01)])
def test_mfp_where_the_whole_window_is_as_the_click(label, wanted):
    """max(s) = θ = 0: every pixel differs by nothing, so each gets γ_max, which takes p_u to 0.99 or 0.01."""
    got = modulate_mfp(flat(0.4), clicks_of((20, 24, label)))
    assert got[0, 0, 20, 24] == label
    got[0, 0, 20, 24] = wanted
    torch.testing.assert_close(got, flat(wanted), rtol=0, atol=1e-4)


def test_mfp_where_most_of_the_window_is_as_the_click():
    """θ = 0 but max(s) > 0: γ_max where the pixel is as p_u, 1 elsewhere."""
    prob = flat(0.4)
    prob[..., :10] = 0.7
    got = modulate_mfp(prob, clicks_of((20, 24, 1)))
    assert torch.equal(got[..., :10], prob[..., :10])
    torch.testing.assert_close(got[..., 30:], flat(0.99)[..., 30:], rtol=0, atol=1e-4)


@BOTH
def test_an_empty_window_changes_the_clicked_pixel_alone(modulate):
    """Four opposite clicks around a 3 x 3 image cut every pixel out, the clicked one included."""
    prob = flat(0.4, 3, 3)
    clicks = clicks_of((1, 5, 0), (1, -3, 0), (5, 1, 0), (-3, 1, 0), (1, 1, 1))
    expected = prob.clone()
    expected[0, 0, 1, 1] = 1
    assert torch.equal(modulate(prob, clicks, r_max=5.0, r_min=5.0), expected)


@BOTH
def test_without_a_click_nothing_changes(generator, modulate):
    prob = random_prob(generator, batch=2)
    assert torch.equal(modulate(prob, Clicks.empty(2)), prob)
    unused = Clicks(torch.full((2, 3, 2), 20.0), torch.full((2, 3), -1, dtype=torch.int8))
    assert torch.equal(modulate(prob, unused), prob)


@BOTH
@pytest.mark.parametrize("yx", [(-1.0, 5.0), (40.0, 5.0), (5.0, 48.0), (5.0, -7.5), (math.nan, 5.0), (math.inf, 5.0)])
def test_a_newest_click_outside_changes_nothing(generator, modulate, yx):
    prob = random_prob(generator)
    assert torch.equal(modulate(prob, clicks_of((20, 24, 0), (*yx, 1))), prob)


@BOTH
@pytest.mark.parametrize(("yx", "pixel"), [((39.7, 47.6), (39, 47)), ((-0.6, 3.5), (0, 4)), ((2.5, 3.4), (2, 3))])
def test_a_click_within_the_last_pixel_is_set_inside(generator, modulate, yx, pixel):
    prob = random_prob(generator)
    assert modulate(prob, clicks_of((*yx, 1)))[0, 0][pixel] == 1


@BOTH
@pytest.mark.parametrize("bad", [math.nan, math.inf, -0.2, 1.2])
@pytest.mark.parametrize("label", [0, 1])
@pytest.mark.parametrize("at_click", [True, False])
def test_values_that_are_no_probability_spoil_no_other_pixel(generator, modulate, bad, label, at_click):
    prob = random_prob(generator)
    prob[0, 0, 20, 24 if at_click else 28] = bad
    got = modulate(prob, clicks_of((20, 24, label)))
    sound = (prob >= 0) & (prob <= 1)
    assert ((got[sound] >= 0) & (got[sound] <= 1)).all()
    assert got[0, 0, 20, 24] == label


@BOTH
def test_result_is_float32_and_without_gradient(generator, modulate):
    prob = random_prob(generator).bfloat16().requires_grad_()
    before = prob.detach().clone()
    got = modulate(prob, clicks_of((20, 24, 1)))
    assert got.dtype == torch.float32
    assert not got.requires_grad
    assert torch.equal(prob, before)


def test_the_order_of_the_click_picks_mfps_exponent(generator):
    prob = random_prob(generator)
    seven = clicks_of(*[(20, 24, 1)] * 7)
    eight = seven.append(torch.tensor([[20.0, 24.0]]), torch.tensor([1]))
    assert torch.equal(modulate_mfp(prob, seven), modulate_mfp(prob, clicks_of((20, 24, 1))))
    assert not torch.equal(modulate_mfp(prob, seven), modulate_mfp(prob, eight))
    assert torch.equal(modulate_mfp(prob, seven, window_clicks=0), modulate_mfp(prob, eight))


def test_none_is_the_previous_probability(generator):
    prob = random_prob(generator)
    assert modulate_none(prob, clicks_of((1, 1, 1))) is prob


@BOTH
def test_other_input_is_refused(modulate):
    with pytest.raises(ValueError, match=r"prob \(B, 1, H, W\) with clicks of B objects, got \(1, 1, 40, 48\) and 2"):
        modulate(flat(0.5), Clicks.empty(2))
    with pytest.raises(ValueError, match=r"got \(1, 2, 40, 48\)"):
        modulate(torch.zeros(1, 2, 40, 48), Clicks.empty(1))
    with pytest.raises(ValueError, match=r"0 < r_min <= r_max, got r_min=10\.0 and r_max=5"):
        modulate(flat(0.5), Clicks.empty(1), r_max=5.0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@BOTH
def test_accelerator_agrees_without_waiting(generator, modulate):
    prob = random_prob(generator, batch=4)
    yx = (torch.rand(4, 6, 2, generator=generator) * 40).round()
    clicks = Clicks(yx, torch.randint(-1, 2, (4, 6), generator=generator).to(torch.int8))
    prob_there, clicks_there = prob.cuda(), clicks.to("cuda")
    torch.cuda.set_sync_debug_mode("error")
    try:
        got = modulate(prob_there, clicks_there)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    torch.testing.assert_close(got.cpu(), modulate(prob, clicks), rtol=0, atol=1e-6)
