"""The image extractor in strips against its plain form."""

import pytest
import torch
from moved_weights import moved

from vfm_isrefiner.models import extract_on_cpu as subject
from vfm_isrefiner.models.extract_on_cpu import extract, extract_on_cpu
from vfm_isrefiner.models.forms import plain_forms
from vfm_isrefiner.models.image_extractor import ImageExtractor


def extractor(spread: float = 1.0) -> ImageExtractor:
    torch.manual_seed(0)
    made = moved(ImageExtractor(24, (4, 8, 12, 16))).eval()
    with torch.no_grad():
        for block in list(made.blocks)[1:]:
            block.offset.weight.mul_(spread)
    return made


@pytest.mark.parametrize("size", [(64, 64), (70, 55), (33, 1), (1, 1)])
@pytest.mark.parametrize("spread", [1.0, 30.0])
@torch.no_grad()
def test_equals_the_plain_form(size: tuple[int, int], spread: float, monkeypatch: pytest.MonkeyPatch) -> None:
    made, image = extractor(spread), torch.randn(2, 3, *size)
    expected = made(image)
    torch.testing.assert_close(extract_on_cpu(made, image), expected, atol=2e-5, rtol=1e-4)
    monkeypatch.setattr(subject, "COLUMN_BYTES", 2000)  # several strips
    monkeypatch.setattr(subject, "STEM_ROWS", 4)
    torch.testing.assert_close(extract_on_cpu(made, image), expected, atol=2e-5, rtol=1e-4)


@torch.no_grad()
def test_a_pixel_that_is_no_number_shows() -> None:
    made, image = extractor(), torch.randn(1, 3, 32, 32)
    image[0, 0, 5, 5] = torch.nan
    assert extract_on_cpu(made, image).isnan().any()
    assert made(image).isnan().any()


def test_the_plain_form_is_taken_where_it_must(monkeypatch: pytest.MonkeyPatch) -> None:
    made, image = extractor(), torch.randn(1, 3, 32, 32)
    calls = []
    monkeypatch.setattr(subject, "extract_on_cpu", lambda *_: calls.append(1))
    assert extract(made, image).requires_grad
    with torch.no_grad():
        with plain_forms():
            extract(made, image)
        extract(made.train(), image)
        assert not calls
        extract(made.eval(), image)
    assert calls == [1]


def test_training_mode_is_refused() -> None:
    with pytest.raises(ValueError, match="eval mode"):
        extract_on_cpu(extractor().train(), torch.zeros(1, 3, 16, 16))
