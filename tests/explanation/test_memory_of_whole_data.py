"""Memory does not grow with the number of inputs."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import sys, torch, xnb
from torch.utils.data import Dataset
from xnb.access import memory

class Drawn(Dataset):
    def __init__(self, count):
        self.count = count

    def __len__(self):
        return self.count

    def __getitem__(self, position):
        return torch.full((3, 32, 32), position / self.count), 0

def peak(count):
    xnb.attribute_data(model, Drawn(count), "gradient", sys.argv[1] + str(count), batch=64)
    return memory._read_resident("VmHWM")

model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 32 * 32, 4)).eval()
before = peak(2_000)
print(peak(8_000) - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak is that which Linux keeps")
def test_four_times_as_many_inputs_take_no_more(tmp_path):
    """6,000 more inputs and their maps are 147 MB."""
    call = [sys.executable, "-c", SCRIPT, tmp_path / "m"]
    grown = float(subprocess.run(call, check=True, capture_output=True, text=True).stdout)
    assert grown < 12  # MiB
