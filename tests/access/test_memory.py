"""The peak of a block is what it took above what was there before."""

import ctypes
import gc
import math
import sys

import pytest
import torch

from xnb.access import memory
from xnb.access.memory import measure_peak_memory, read_free_memory

CPU = torch.device("cpu")


def give_back_free_memory():
    """What an earlier test left with the C library would be used again, and not be seen."""
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)


@pytest.mark.skipif(sys.platform != "linux", reason="the system keeps no peak")
def test_what_is_freed_within_the_block_counts_and_what_was_there_before_does_not():
    give_back_free_memory()
    before = torch.ones(2**24)  # 64 MiB
    with measure_peak_memory(CPU) as peak:
        torch.ones(2**25).sum()  # 128 MiB
    assert 100 < peak.mib < 180
    with measure_peak_memory(CPU) as peak:
        before.sum()
    assert peak.mib < 30


def test_where_the_system_keeps_no_peak_it_is_not_known(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "_CLEAR_REFS", tmp_path / "no folder" / "clear_refs")
    monkeypatch.setattr(memory, "_STATUS", tmp_path / "status")
    with measure_peak_memory(CPU) as peak:
        pass
    assert math.isnan(peak.mib)


def test_peak_is_not_known_before_the_block_ends():
    with measure_peak_memory(CPU) as peak:
        assert math.isnan(peak.mib)


def test_what_torch_holds_for_nobody_is_free(monkeypatch):
    """10 that the card has left, and 7 of the 9 that torch holds."""
    for name, value in {"mem_get_info": (10, 80), "memory_reserved": 9, "memory_allocated": 2}.items():
        monkeypatch.setattr(torch.cuda, name, lambda device, value=value: value)
    assert read_free_memory(torch.device("cuda")) == 17
    monkeypatch.setattr(torch.mps, "recommended_max_memory", lambda: 12)
    monkeypatch.setattr(torch.mps, "current_allocated_memory", lambda: 5)
    assert read_free_memory(torch.device("mps")) == 7
    assert read_free_memory(CPU) is None
