import torch

from vfm_isrefiner.data import memory
from vfm_isrefiner.data.memory import available_memory, cache_bytes, free_memory


def test_the_tightest_limit_counts(tmp_path):
    meminfo, limit, used = tmp_path / "meminfo", tmp_path / "max", tmp_path / "current"
    meminfo.write_text("MemTotal: 9000 kB\nMemAvailable:    4000 kB\n")
    used.write_text("1000\n")
    for told, expected in (("max", 4_096_000), ("9000000", 4_096_000), ("21000", 20_000), ("10", 0)):
        limit.write_text(f"{told}\n")
        assert available_memory(meminfo, ((str(limit), str(used)),)) == expected
    assert available_memory(tmp_path / "none", ()) > 0


def test_the_default_budget(monkeypatch):
    monkeypatch.setattr(memory, "available_memory", lambda: 8 * 2**30)
    assert (cache_bytes(), cache_bytes(4)) == (2 * 2**30, 2**29)
    monkeypatch.setattr(memory, "available_memory", lambda: 2**40)
    assert cache_bytes() == 16 * 2**30
    assert free_memory(torch.device("cpu")) == 2**40
