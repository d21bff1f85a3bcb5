import pytest
import torch

from vfm_isrefiner.models.resize import resized


def test_maps_of_the_size_stay_as_they_are(generator):
    maps = torch.rand(2, 5, 6, 7, generator=generator)
    assert resized(maps, maps.shape[-2:]) is maps
    line = resized(torch.tensor([[[[0.0, 1.0]]]]), torch.Size((2, 4)))
    assert line.tolist() == [[[[0.0, 0.25, 0.75, 1.0]] * 2]]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_gpu_agrees_also_in_gradients(generator):
    maps = torch.rand(2, 5, 6, 7, generator=generator, requires_grad=True)
    there = maps.detach().cuda().requires_grad_()
    near, far = resized(maps, torch.Size((9, 4))), resized(there, torch.Size((9, 4)))
    assert far.is_contiguous()
    torch.testing.assert_close(far.cpu(), near)
    near.square().sum().backward()
    far.square().sum().backward()
    torch.testing.assert_close(there.grad.cpu(), maps.grad)
