import pytest
import torch

from vfm_isrefiner.losses import focal_divergence, normalized_focal_loss


@pytest.fixture
def sample(generator):
    logits = torch.randn(3, 1, 16, 20, generator=generator) * 3
    mask = torch.rand(3, 1, 16, 20, generator=generator) < 0.3
    ignore = torch.rand(3, 1, 16, 20, generator=generator) < 0.2
    return logits, mask, ignore


@pytest.mark.parametrize(("alpha", "gamma"), [(0.5, 2.0), (0.25, 0.0), (0.9, 3.0)])
def test_equals_the_formula(sample, alpha, gamma):
    logits, mask, ignore = sample
    expected = []
    for z, y, skip in zip(*sample, strict=True):
        p = z[~skip].double().sigmoid()
        y = y[~skip]
        p_t = torch.where(y, p, 1 - p)
        beta = (1 - p_t) ** gamma
        beta = beta * len(p) / beta.sum()
        expected.append((-torch.where(y, alpha, 1 - alpha) * beta * p_t.log()).mean())
    got = normalized_focal_loss(logits, mask, ignore, alpha, gamma)
    assert got.shape == (3,)
    torch.testing.assert_close(got.double(), torch.stack(expected), rtol=1e-5, atol=0)


def test_samples_and_ignored_pixels_do_not_matter_to_others(sample):
    logits, mask, ignore = sample
    alone = torch.cat([normalized_focal_loss(*(each[i : i + 1] for each in sample)) for i in range(3)])
    torch.testing.assert_close(normalized_focal_loss(*sample), alone)
    changed = torch.where(ignore, torch.nan, logits)
    torch.testing.assert_close(normalized_focal_loss(changed, mask ^ ignore, ignore), alone)


def test_rescaling_is_a_constant_to_the_gradient(sample):
    logits, mask, ignore = sample
    logits.requires_grad_()
    (got,) = torch.autograd.grad(normalized_focal_loss(logits, mask, ignore).sum(), logits)
    p_t = torch.where(mask, logits.sigmoid(), 1 - logits.sigmoid())
    beta = (1 - p_t) ** 2
    counted = (~ignore).flatten(1)
    scale = (counted.sum(1) / (beta.flatten(1) * counted).sum(1)).detach()[:, None, None, None]
    loss = (-0.5 * beta * scale * p_t.log() * ~ignore).flatten(1).sum(1) / counted.sum(1)
    (expected,) = torch.autograd.grad(loss.sum(), logits)
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-7)
    assert not got[ignore].any()


def test_all_ignored_gives_zero_and_no_gradient(sample):
    logits, mask, ignore = sample
    ignore[1] = True
    logits.requires_grad_()
    loss = normalized_focal_loss(logits, mask, ignore)
    loss.sum().backward()
    assert loss[1] == 0
    assert loss[0] > 0
    assert logits.grad.isfinite().all()
    assert not logits.grad[1].any()


@pytest.mark.parametrize("value", [-200.0, -30.0, 0.0, 30.0, 200.0])
def test_extreme_logits_stay_finite(value):
    logits = torch.full((1, 1, 4, 4), value, requires_grad=True)
    mask = torch.eye(4, dtype=torch.bool)[None, None]
    loss = normalized_focal_loss(logits, mask, torch.zeros_like(mask))
    loss.sum().backward()
    assert loss.isfinite().all()
    assert logits.grad.isfinite().all()


def test_half_precision_is_computed_in_single(sample):
    logits, mask, ignore = sample
    rounded = logits.bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        got = normalized_focal_loss(rounded, mask, ignore)
    assert got.dtype == torch.float32
    torch.testing.assert_close(got, normalized_focal_loss(rounded.float(), mask, ignore))


def test_other_input_is_refused(sample):
    logits, mask, ignore = sample
    with pytest.raises(ValueError, match=r"bool masks of one shape, got logits \(3, 1, 16, 20\), mask torch.float32"):
        normalized_focal_loss(logits, mask.float(), ignore)
    with pytest.raises(ValueError, match=r"ignore torch.bool \(2, 1, 16, 20\)"):
        normalized_focal_loss(logits, mask, ignore[:2])


def test_divergence_from_a_mask_is_the_focal_loss_of_it(sample):
    logits, mask, ignore = sample
    torch.testing.assert_close(
        focal_divergence(logits, mask.float(), ignore), normalized_focal_loss(logits, mask, ignore), rtol=1e-5, atol=0
    )


@pytest.mark.parametrize("gamma", [0.0, 1.0, 2.0])
def test_divergence_equals_its_formula(sample, generator, gamma):
    logits, _, ignore = sample
    prob = torch.rand(logits.shape, generator=generator)
    expected = []
    for z, q, skip in zip(logits, prob, ignore, strict=True):
        p, q = z[~skip].double().sigmoid(), q[~skip].double()
        beta = (q - p).abs() ** gamma
        beta = beta * len(p) / beta.sum()
        expected.append(0.5 * (beta * (q * (q / p).log() + (1 - q) * ((1 - q) / (1 - p)).log())).mean())
    torch.testing.assert_close(focal_divergence(logits, prob, ignore, gamma).double(), torch.stack(expected), rtol=1e-4, atol=0)


def test_divergence_is_nothing_between_equals_and_points_to_the_other(sample, generator):
    logits, _, ignore = sample
    assert focal_divergence(logits, logits.sigmoid(), ignore).abs().max() < 1e-6
    prob = torch.rand(logits.shape, generator=generator)
    logits.requires_grad_()
    (got,) = torch.autograd.grad(focal_divergence(logits, prob, ignore).sum(), logits)
    assert not got[ignore].any()
    assert torch.equal(got[~ignore].sign(), (logits.sigmoid() - prob)[~ignore].sign())


def test_divergence_where_all_is_ignored_is_nothing(sample, generator):
    logits, _, ignore = sample
    ignore[1] = True
    logits.requires_grad_()
    loss = focal_divergence(logits, torch.rand(logits.shape, generator=generator), ignore)
    loss.sum().backward()
    assert loss[1] == 0
    assert not logits.grad[1].any()
    with pytest.raises(ValueError, match=r"prob \(2, 1, 16, 20\)"):
        focal_divergence(logits, torch.rand(2, 1, 16, 20), ignore)
