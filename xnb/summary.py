"""Where a network keeps its parameters and spends its work, module by module."""

import json
from dataclasses import asdict, dataclass
from math import prod

import pandas as pd
import torch
from torch import Tensor, nn

from xnb.check import require
from xnb.hooks import hooked
from xnb.types import Batch

SCHEMA, VERSION = "xnb.summary", 1
ATOMS = (nn.MultiheadAttention,)  # has children, but does their work in one fused call


@dataclass(frozen=True)
class Row:
    """One call of one module. Counts are of the whole batch, parameters of the module alone."""

    name: str
    kind: str
    input: tuple[int, ...]
    output: tuple[int, ...]
    parameters: int
    multiply_adds: int
    activations: int


COLUMNS = {name: kind for name, kind in Row.__annotations__.items()}


def count(model: nn.Module) -> int:
    """Number of parameters; a tensor that several modules share counts once."""
    return sum(tensor.numel() for tensor in model.parameters())  # parameters() lists a shared tensor once


def layers(model: nn.Module, x: Batch) -> pd.DataFrame:
    """One row a call, in the order of execution; the parameters add up to `count(model)` if all are used.

    Runs the model once, on `x`, as it is: in training mode batch norm takes note of it. Multiply-adds are those
    of convolutions, linear layers and attention; additions of a bias, norms and activations are not counted.
    Models and inputs on the "meta" device cost nothing.

    Raises:
        ValueError: a module returns something other than a tensor.
    """
    rows: list[Row] = []
    counted: set[int] = set()

    def note(name: str):
        return lambda module, args, out: rows.append(_row(name, module, args, out, counted))

    holders = [(name or "(model)", module) for name, module in model.named_modules() if _is_row(module)]
    inside = tuple(f"{name}." for name, module in holders if isinstance(module, ATOMS))
    chosen = [(module, note(name)) for name, module in holders if not name.startswith(inside or ("\0",))]
    with torch.no_grad(), hooked(chosen):
        model(x)
    return pd.DataFrame([asdict(row) for row in rows], columns=list(COLUMNS))


def _is_row(module: nn.Module) -> bool:
    """Modules without children, and those that hold parameters themselves, such as a class token."""
    return not any(True for _ in module.children()) or any(True for _ in module.parameters(recurse=False))


def _row(name: str, module: nn.Module, args: tuple, out: object, counted: set[int]) -> Row:
    out = out[0] if isinstance(module, ATOMS) else out
    require(isinstance(out, Tensor), f"summary: {name} must return a tensor", type(out).__name__)
    tensors = [p for p in module.parameters(recurse=isinstance(module, ATOMS)) if id(p) not in counted]
    counted.update(map(id, tensors))
    size = sum(p.numel() for p in tensors)
    given = next((tuple(arg.shape) for arg in args if isinstance(arg, Tensor)), ())
    return Row(name, type(module).__name__, given, tuple(out.shape), size, multiply_adds(module, out), out.numel())


def multiply_adds(module: nn.Module, out: Tensor) -> int:
    """Products that one call of `module` summed up to give `out`."""
    match module:
        case nn.Conv1d() | nn.Conv2d() | nn.Conv3d():
            return out.numel() * prod(module.kernel_size) * module.in_channels // module.groups
        case nn.Linear():
            return out.numel() * module.in_features
        case nn.MultiheadAttention():
            N, D = out.shape[-2] if module.batch_first else out.shape[0], module.embed_dim
            return out.numel() * (4 * D + 2 * N)  # four projections; query times key, weights times value
        case _:
            return 0


def to_json(table: pd.DataFrame) -> str:
    """The table as text that `from_json` turns back into an equal one."""
    document = {"schema": SCHEMA, "version": VERSION, "layers": table.to_dict("records")}
    return json.dumps(document, indent=1)


def from_json(text: str) -> pd.DataFrame:
    """The table that `to_json` wrote.

    Raises:
        ValueError: not JSON, another schema or version, or a row whose fields have other names or types.
    """
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        require(False, "summary: must be JSON", str(error), "summary.to_json(table)")
    known = isinstance(document, dict) and document.get("schema") == SCHEMA
    require(known, f"summary: schema must be {SCHEMA!r}", document, "summary.to_json(table)")
    version = document.get("version")
    require(version == VERSION, f"summary: version must be {VERSION}", version, "summary.to_json(table)")
    return pd.DataFrame([_checked(row) for row in document.get("layers", [])], columns=list(COLUMNS))


def _checked(row: object) -> dict:
    complete = isinstance(row, dict) and row.keys() == COLUMNS.keys()
    require(complete, f"summary: a row must have the fields {list(COLUMNS)}", row)
    sizes = all(isinstance(row[name], list) and all(type(n) is int for n in row[name]) for name in ("input", "output"))
    whole = all(type(row[name]) is int for name in ("parameters", "multiply_adds", "activations"))
    words = isinstance(row["name"], str) and isinstance(row["kind"], str)
    require(sizes and whole and words, "summary: a row's fields must be words, sizes and whole numbers", row)
    return row | {"input": tuple(row["input"]), "output": tuple(row["output"])}


def edges(model: nn.Module, x: Batch) -> list[tuple[str, str]]:
    """Which module's output feeds which, from `input` on; what is written as a function is passed through.

    Found by running the model once and following the graph of the gradient back from each input, so every
    module must be differentiable.
    """
    made: dict[object, str] = {}
    found: list[tuple[str, str]] = []

    def note(name: str):
        def hook(module: nn.Module, args: tuple, out: Tensor) -> Tensor:
            sources = {source for arg in args if isinstance(arg, Tensor) for source in _sources(arg.grad_fn, made)}
            found.extend((source, name) for source in sorted(sources))
            own = out.view_as(out)  # an identity hands on another module's tensor: a view of it is its own
            made[own.grad_fn] = name
            return own

        return hook

    leaves = [
        (module, note(name)) for name, module in model.named_modules() if not any(True for _ in module.children())
    ]
    with torch.enable_grad(), hooked(leaves):
        start = x.detach().clone().requires_grad_() * 1
        made[start.grad_fn] = "input"
        model(start)
    return found


def _sources(node: object, made: dict[object, str]) -> set[str]:
    """Names of the modules met first on every way back from `node`."""
    names, ahead, seen = set(), [node], set()
    while ahead:
        node = ahead.pop()
        if node in made:
            names.add(made[node])
        elif node is not None and node not in seen:
            seen.add(node)
            ahead.extend(before for before, _ in node.next_functions)
    return names
