"""Memory: the most that a block of code takes, of the accelerator or of the process, and what is free for a pass."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import nan
from pathlib import Path

import torch

_STATUS = Path("/proc/self/status")  # Linux: one line a field, sizes in kB
_CLEAR_REFS = Path("/proc/self/clear_refs")  # Linux: writing 5 sets the peak of the process back to what it has now


def read_free_memory(device: torch.device) -> int | None:
    """Bytes of an accelerator that a pass may take: free, or held by torch for nobody; None where it does not tell."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    if device.type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.current_allocated_memory()
    return None


@dataclass
class _PeakMemory:
    """Most memory within a block above what was in use before it; NaN until it ends, and where it is not known."""

    mib: float = nan


@contextmanager
def measure_peak_memory(device: torch.device) -> Iterator[_PeakMemory]:
    """Measure the peak of the block: memory that torch allocates on an accelerator, or that is resident.

    Resident memory is that of the whole process, as Linux keeps it; on other systems it is not known. What the process
    gives back within the block, such as garbage of earlier work, hides as much: `gc.collect()` before it avoids that.
    """
    peak = _PeakMemory()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        yield peak
        peak.mib = (torch.cuda.max_memory_allocated(device) - before) / 2**20
        return
    before_mib = _reset_peak_resident()
    yield peak
    peak.mib = _read_resident("VmHWM") - before_mib


def _reset_peak_resident() -> float:
    """Let the peak start at what is resident now, and return that in MiB; NaN where the system keeps no peak."""
    try:
        _CLEAR_REFS.write_text("5")
    except OSError:
        return nan
    return _read_resident("VmRSS")


def _read_resident(field: str) -> float:
    """Return a field of the process's status in MiB: `VmRSS` is resident now, `VmHWM` the peak; NaN if unknown."""
    if not _STATUS.exists():
        return nan
    for line in _STATUS.read_text().splitlines():
        if line.startswith(f"{field}:"):
            kilobytes = line.split()[1]
            return int(kilobytes) / 1024
    return nan
