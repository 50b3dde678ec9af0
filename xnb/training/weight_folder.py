"""A folder of trained networks: a file of weights for each, and a manifest that says what they are."""

import json
from collections.abc import Iterable
from pathlib import Path

from torch import nn

from xnb import folders, storage
from xnb.check import require

_MANIFEST = "manifest.json"


def weight_file(folder: Path, name: str) -> Path:
    """Return where the weights of the named network are stored."""
    return folder / f"{name}.safetensors"


def read_facts(folder: Path) -> dict[str, dict]:
    """Return what the manifest says of each network, by name; nothing where there is no manifest yet."""
    path = folder / _MANIFEST
    return storage.read_json(path, "weights") if path.exists() else {}


def write_facts(folder: Path, name: str, facts: dict, order: Iterable[str]) -> None:
    """Write what the manifest says of one network, beside the others; names that `order` lacks are left out.

    Args:
        folder: of the manifest.
        name: of the network.
        facts: what the manifest shall say of it.
        order: of the names in the file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with folders.take_turns(folder):
        # Read anew: what others wrote meanwhile stays.
        known = read_facts(folder) | {name: facts}
        in_order = {other: known[other] for other in order if other in known}
        with folders.replace_file(folder / _MANIFEST) as draft:
            draft.write_text(json.dumps(in_order, indent=2) + "\n")


def load_listed(model: nn.Module, folder: Path, name: str, who: str) -> nn.Module:
    """Put the stored weights into `model` and return it in evaluation mode, if the file is that of the manifest.

    Args:
        model: of the architecture of the named network.
        folder: of weights and manifest.
        name: of the network; the manifest lists it.
        who: called by the user, the first word of a refusal.

    Raises:
        ValueError: the file is missing, or not the one that the manifest describes.
    """
    path = weight_file(folder, name)
    expected = read_facts(folder)[name]["sha256"]
    found = storage.sha256(path) if path.is_file() else None
    rule = f"{who}: the file is not the one in the manifest"
    require(found == expected, rule, path.name, "bring the file of this version again")
    storage.load_weights(model, path)
    return model.eval()
