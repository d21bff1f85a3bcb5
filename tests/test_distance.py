import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.ndimage import distance_transform_edt

from vfm_isrefiner.distance import HAS_TRITON, squared_distance, squared_distance_opencv, squared_distance_separable

FORMS = pytest.mark.parametrize("form", [squared_distance_opencv, squared_distance_separable])


def by_scipy(mask):
    padded = np.pad(mask.numpy(), ((0, 0), (1, 1), (1, 1)))
    return np.rint(np.stack([distance_transform_edt(one) ** 2 for one in padded])[:, 1:-1, 1:-1])


def random_masks(generator, shape):
    """From nearly empty to nearly full, with blobs as well as noise."""
    noise = torch.rand(shape, generator=generator)
    blobs = torch.nn.functional.avg_pool2d(noise[:, None], 9, 1, 4)[:, 0]
    return torch.cat([noise < share for share in (0.02, 0.5, 0.98, 0.999)] + [blobs < level for level in (0.45, 0.5, 0.6)])


@FORMS
@pytest.mark.parametrize("size", [(48, 64), (64, 33), (1, 40), (37, 1), (1, 1), (2, 2)])
def test_both_forms_equal_scipy(generator, form, size):
    masks = random_masks(generator, (2, *size))
    masks[0] = True
    masks[1] = False
    got = form(masks)
    assert got.dtype == torch.int32
    assert np.array_equal(got.numpy(), by_scipy(masks))


@FORMS
def test_border_counts_as_outside(form):
    assert form(torch.ones(1, 3, 5, dtype=torch.bool)).tolist() == [[[1, 1, 1, 1, 1], [1, 4, 4, 4, 1], [1, 1, 1, 1, 1]]]


def test_long_distances_stay_whole(generator):
    mask = torch.ones(1, 900, 700, dtype=torch.bool)
    mask[0, torch.randint(0, 900, (3,), generator=generator), torch.randint(0, 700, (3,), generator=generator)] = False
    assert torch.equal(squared_distance_opencv(mask), squared_distance_separable(mask))


def test_works_on_views(generator):
    masks = random_masks(generator, (1, 40, 30))
    assert torch.equal(squared_distance(masks.mT), squared_distance(masks).mT)
    assert squared_distance(masks[:0]).shape == (0, 40, 30)


@pytest.mark.parametrize("mask", [torch.zeros(1, 4, 4), torch.zeros(4, 4, dtype=torch.bool)])
def test_other_input_is_refused(mask):
    with pytest.raises(ValueError, match="needs a bool mask"):
        squared_distance(mask)


INTERPRETED = """
import torch
from test_distance import by_scipy, random_masks
from vfm_isrefiner.distance_triton import squared_distance_triton
for size in ((20, 140), (33, 17), (1, 40), (37, 1), (1, 1)):
    masks = random_masks(torch.Generator().manual_seed(1), (1, *size))
    masks[0] = True
    assert (squared_distance_triton(masks).numpy() == by_scipy(masks)).all(), size
assert squared_distance_triton(masks[:0]).shape == (0, 1, 1)
"""


COMPILED = """
from triton import compile
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from vfm_isrefiner import distance_triton as here
for function in (here._along_columns, here._along_rows):
    constants = {name: getattr(here, name) for name in function.arg_names if name.isupper()}
    types = {"mask": "*u8", "column": "*i32", "result": "*i32"}
    signature = {name: "constexpr" if name in constants else types.get(name, "i32") for name in function.arg_names}
    assert compile(ASTSource(function, signature, constants), target=GPUTarget("cuda", 90, 32)).asm["cubin"]
"""


@pytest.mark.skipif(not HAS_TRITON, reason="Triton comes with torch's builds for GPUs on Linux")
@pytest.mark.parametrize(("code", "interpret"), [(INTERPRETED, "1"), (COMPILED, "0")], ids=["interpreted", "compiled"])
def test_form_for_gpus_without_one(code, interpret, tmp_path):
    paths = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    triton = {"TRITON_INTERPRET": interpret, "TRITON_CACHE_DIR": str(tmp_path)}
    subprocess.run([sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": paths} | triton, check=True)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_accelerator_agrees_without_waiting(generator):
    masks = random_masks(generator, (2, 64, 48))
    on_device = masks.cuda()
    torch.cuda.set_sync_debug_mode("error")
    try:
        got = squared_distance(on_device)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert torch.equal(got.cpu(), squared_distance(masks))
