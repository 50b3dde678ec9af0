"""Where a network keeps its parameters and spends its work, module by module."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field

import pandas as pd
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from xnb.access.hooks import watch_calls
from xnb.check import refuse, require
from xnb.summary.shape_run import Inputs, check_countable, run_shapes, tensor_leaves

_MADE = "summary.to_json(table)"  # what can be read
_SCHEMA = "xnb.summary"
_VERSION = 1


@dataclass
class _CallRow:
    """One call of one module. Counts are of the whole batch, and of the module alone, not of what it calls."""

    name: str
    kind: str
    input: tuple[int, ...] = ()
    output: tuple[int, ...] = ()
    parameters: int = 0
    multiply_adds: int = 0
    activations: int = 0


COLUMNS = list(_CallRow.__annotations__)


def count_parameters(model: nn.Module) -> int:
    """Return the number of parameters; a tensor that several modules share counts once.

    Raises:
        ValueError: lazy modules, which have none yet, or quantised ones, which pack them.
    """
    check_countable(model)
    return sum(tensor.numel() for tensor in model.parameters())  # parameters() lists a shared tensor once


def module_table(model: nn.Module, x: Inputs) -> pd.DataFrame:
    """Return one row a call, in the order of execution; the parameters add up to `count_parameters(model)`.

    Rows are the calls that call no other module, and those that have parameters or do products themselves, such
    as a module that holds a class token. A parameter that several calls share is counted at the first of them; one
    that no call uses, at the module that holds it. Multiply-adds are those of matrix products and convolutions,
    attention's included, as torch counts them; a bias, norms and activations are not counted. The column of
    activations counts the values of the output.

    Only shapes are run, on the "meta" device: it costs nothing and leaves the model alone. Where a model needs values,
    as one that holds plain tensors, a copy of it runs on `x`.

    Args:
        x: a batch, a tuple of inputs, or a dictionary of inputs by name.

    Raises:
        ValueError: as `xnb.summary.shape_run.run_shapes`.
    """
    rows = []
    for call in run_shapes(model, x, _record_calls):
        row = call.row
        if call.is_leaf or row.parameters or row.multiply_adds:
            rows.append(asdict(row))
    return pd.DataFrame(rows, columns=COLUMNS)


def _record_calls(model: nn.Module, x: Inputs, run: Callable[[Inputs], object]) -> list["_RunningCall"]:
    """Calls of modules in one run of the model, in the order in which they began."""
    recorder = _CallRecorder(FlopCounterMode(display=False))
    watch = watch_calls(model, recorder.enter, recorder.leave, with_named=True)
    with torch.no_grad(), recorder.operations, watch:
        run(x)
    return recorder.calls


@dataclass
class _RunningCall:
    """What is known of a call until it returns: operations of the run before it, and of the calls inside it."""

    row: _CallRow
    operations_before: int
    operations_inside: int = 0
    is_leaf: bool = True


@dataclass
class _CallRecorder:
    """Fills in a row for each call of one run: `enter` goes before, and `leave` after every call."""

    operations: FlopCounterMode
    calls: list[_RunningCall] = field(default_factory=list)
    running: list[_RunningCall] = field(default_factory=list)
    counted: set[int] = field(default_factory=set)  # ids of the parameters that a row has

    def enter(self, name: str, module: nn.Module, args: tuple) -> None:
        row = _CallRow(name or "(model)", type(module).__name__, _first_shape(args))
        call = _RunningCall(row, self.operations.get_total_flops())
        if self.running:
            self.running[-1].is_leaf = False
        self.calls.append(call)
        self.running.append(call)

    def leave(self, name: str, module: nn.Module, args: tuple, out: object) -> None:
        call = self.running.pop()
        operations = self.operations.get_total_flops() - call.operations_before
        if self.running:
            self.running[-1].operations_inside += operations
        # Calls inside this one have left already: what is new now, the module holds itself or no call used.
        new = [parameter for parameter in module.parameters() if id(parameter) not in self.counted]
        self.counted.update(map(id, new))
        row = call.row
        row.output = _first_shape(out)
        row.parameters = sum(parameter.numel() for parameter in new)
        row.multiply_adds = (operations - call.operations_inside) // 2  # torch counts a product and its sum as two
        if call.is_leaf:
            row.activations = sum(tensor.numel() for tensor in tensor_leaves(out))


def _first_shape(tree: object) -> tuple[int, ...]:
    """Return the shape of the first tensor, or () where there is none."""
    tensors = tensor_leaves(tree)
    return tuple(tensors[0].shape) if tensors else ()


def to_json(table: pd.DataFrame) -> str:
    """Return the table as text that `from_json` turns back into an equal one."""
    document = {"schema": _SCHEMA, "version": _VERSION, "layers": table.to_dict("records")}
    return json.dumps(document, indent=1)


def from_json(text: str) -> pd.DataFrame:
    """Return the table that `to_json` wrote.

    Raises:
        ValueError: not JSON, another schema or version, or a row whose fields have other names or types.
    """
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        refuse("summary: must be JSON", str(error), _MADE)
    known = isinstance(document, dict) and document.get("schema") == _SCHEMA
    require(known, f"summary: schema must be {_SCHEMA!r}", document, _MADE)
    version = document.get("version")
    same = type(version) is int and version == _VERSION  # type(): True equals 1
    require(same, f"summary: version must be {_VERSION}", version, _MADE)
    rows = document.get("layers")
    require(isinstance(rows, list) and bool(rows), "summary: layers must be a list of one row or more", rows, _MADE)
    return pd.DataFrame([_parse_row(row) for row in rows], columns=COLUMNS)


def _parse_row(row: object) -> dict[str, object]:
    """Return the row as `module_table` has it, its shapes as tuples, or refuse it."""
    if not isinstance(row, dict) or row.keys() != set(COLUMNS):
        refuse(f"summary: a row must have the fields {COLUMNS}", row, _MADE)
    words = isinstance(row["name"], str) and isinstance(row["kind"], str)
    sizes = isinstance(row["input"], list) and isinstance(row["output"], list)
    numbers = [row["parameters"], row["multiply_adds"], row["activations"]]
    if sizes:
        numbers += [*row["input"], *row["output"]]
    whole = all(type(number) is int and number >= 0 for number in numbers)  # type(): True is an int as well
    require(words and sizes and whole, "summary: a row's fields must be words, sizes and whole numbers", row, _MADE)
    return row | {"input": tuple(row["input"]), "output": tuple(row["output"])}
