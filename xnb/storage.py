"""Weights on disk as safetensors, which hold numbers and never code; a file is written whole or not at all."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from xnb.check import refuse, require
from xnb.folders import replace_file

# of text that is no JSON, or that is nested beyond all measure
_JSON_ERRORS = (ValueError, RecursionError)


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
    except (SafetensorError, *_JSON_ERRORS) as error:
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
    misshapen = [name for name in shared if not _fits(tensors[name], state[name])]
    different = unmatched + misshapen
    hint = f"a model as the file says it was made: {facts}"
    require(not different, "weights: the file belongs to another architecture", different[:4], hint)
    model.load_state_dict(tensors)
    return facts


def _fits(tensor: Tensor, parameter: Tensor) -> bool:
    """Whether a tensor can take the place of another: rounded perhaps, but of the same kind of numbers."""
    both_floating = tensor.is_floating_point() == parameter.is_floating_point()
    both_complex = tensor.is_complex() == parameter.is_complex()
    return tensor.shape == parameter.shape and both_floating and both_complex


def read_json(path: Path, who: str) -> dict[str, Any]:
    """Return the object that a JSON file holds.

    Args:
        path: of the file, which is there.
        who: called by the user, the first word of a refusal.

    Raises:
        ValueError: the file is damaged.
    """
    content, reason = None, "it holds no object"
    try:
        content = json.loads(path.read_bytes())
    except _JSON_ERRORS as error:
        reason = str(error)
    if not isinstance(content, dict):
        refuse(f"{who}: the file is damaged", f"{path.name}: {reason}", f"remove {path.name}, or bring it again")
    return content


def sha256(path: Path) -> str:
    """Return the file's SHA-256 in hexadecimal digits."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
