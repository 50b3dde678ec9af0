"""The machine that a network was trained on, in words: its numbers repeat only there, to the last digit."""

import platform
from pathlib import Path

import torch


def describe_machine(device: torch.device) -> str:
    """Return processor, threads, torch and, where there is one, the accelerator that does the work."""
    threads = torch.get_num_threads()
    words = [name_processor(), f"{threads} thread" + "s" * (threads > 1), f"torch {torch.__version__}"]
    if device.type == "cuda":
        words.append(torch.cuda.get_device_name(device))
    return ", ".join(words)


def name_processor() -> str:
    """Return its name, from Linux where there is one."""
    listed = Path("/proc/cpuinfo")
    lines = listed.read_text().splitlines() if listed.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
