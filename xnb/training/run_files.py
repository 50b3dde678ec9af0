"""A training on disk: the state after its last epoch, from where it goes on, and the weights of its best one."""

import re
from pathlib import Path

from torch import nn
from torch.optim import Optimizer

from xnb import storage
from xnb.check import require


def describe_run(count: int, train: int, optimizer: Optimizer, knobs: dict[str, object]) -> dict:
    """Return the settings by which a run is known again; `count` is that of epochs, `train` that of inputs."""
    return {
        "count": count,  # not `epochs`: files of earlier runs have this key, and must go on
        "train": train,
        "optimizer": repr(optimizer),
        "knobs": _describe_knobs(knobs),
    }


def _describe_knobs(knobs: dict[str, object]) -> str:
    """Return the knobs as text: functions by their name, as their address changes from run to run."""
    described = []
    for name, value in sorted(knobs.items()):
        text = str(getattr(value, "__name__", value))
        # of a partial, the address stands within
        nameable = re.sub(r" at 0x[0-9a-f]+", "", text)
        described.append(f"{name}={nameable}")
    return ", ".join(described)


def store_epoch(model: nn.Module, optimizer: Optimizer, folder: Path, settings: dict, rows: list[dict]) -> None:
    """Write the files of the epoch that has just ended.

    Best first: a kill between the two files then repeats one epoch and writes the same best again.
    """
    facts = {"settings": settings, "epochs": rows}
    best = max(rows, key=lambda row: row["valid_accuracy"])  # the earliest of equals
    if best is rows[-1]:
        storage.write_tensors(folder / "best.safetensors", model.state_dict(), facts)
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    for i, slots in optimizer.state_dict()["state"].items():
        for name, value in slots.items():
            if value is not None:
                tensors[f"optimizer.{i}.{name}"] = value
    storage.write_tensors(folder / "last.safetensors", tensors, facts)


def resume_run(model: nn.Module, optimizer: Optimizer, folder: Path | None, settings: dict) -> list[dict]:
    """Put model and optimizer back to where the stored run ended, and return its epochs; none without one."""
    if folder is None or not (folder / "last.safetensors").exists():
        return []
    tensors, facts = storage.read_tensors(folder / "last.safetensors")
    stored = facts.get("settings")
    hint = f"folder=Path({str(folder) + '-2'!r})"
    require(stored == settings, f"fit: {folder.name} holds a run with other settings", stored, hint)
    model_state = {}
    optimizer_state = optimizer.state_dict()
    for key, value in tensors.items():
        # "model.<name in the model>" or "optimizer.<number of the parameter>.<name of the slot>"
        owner, name = key.split(".", 1)
        if owner == "model":
            model_state[name] = value
        else:
            number, slot = name.split(".", 1)
            optimizer_state["state"].setdefault(int(number), {})[slot] = value
    model.load_state_dict(model_state)
    model.eval()
    optimizer.load_state_dict(optimizer_state)
    return facts["epochs"]
