"""Weights on disk as safetensors, which hold numbers and never code; a file is written whole or not at all."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from xnb.check import refuse, require
from xnb.folders import replace_file


def write_tensors(path: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, object]) -> None:
    """Store tensors, and JSON-able facts about how they were trained, in one file that is never seen half-written."""
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    content = save(contiguous, metadata={"facts": json.dumps(facts, sort_keys=True)})
    with replace_file(path) as draft:
        draft.write_bytes(content)


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict]:
    """Return tensors and facts of a file that `write_tensors` made.

    Raises:
        ValueError: the file is missing, damaged, or holds no facts.
    """
    require(path.is_file(), "weights: no such file", str(path), "train it first, or check the name")
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
            facts = json.loads((file.metadata() or {}).get("facts", "null"))
    except SafetensorError as error:
        refuse("weights: the file is damaged", f"{path.name}: {error}", f"remove {path.name} and train again")
    hint = "a file that `xnb.storage.write_tensors` made"
    require(isinstance(facts, dict), "weights: the file must hold facts about its training", path.name, hint)
    return tensors, facts


def load_weights(model: nn.Module, path: Path) -> dict:
    """Put the file's weights into `model` (same names, same shapes) and return the file's facts.

    Raises:
        ValueError: the file is missing, damaged, or belongs to another architecture.
    """
    tensors, facts = read_tensors(path)
    state = model.state_dict()
    unmatched = sorted(state.keys() ^ tensors.keys())
    shared = sorted(state.keys() & tensors.keys())
    misshapen = [name for name in shared if state[name].shape != tensors[name].shape]
    different = unmatched + misshapen
    hint = f"a model as the file says it was made: {facts}"
    require(not different, "weights: the file belongs to another architecture", different[:4], hint)
    model.load_state_dict(tensors)
    return facts


def sha256(path: Path) -> str:
    """Return the file's SHA-256 in hexadecimal digits."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
