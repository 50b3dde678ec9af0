"""Where a network keeps its parameters and spends its work, module by module, and what feeds what."""

import json
from collections import Counter
from dataclasses import asdict, dataclass, field

import pandas as pd
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils._pytree import tree_leaves, tree_map_only
from torch.utils.flop_counter import FlopCounterMode

from xnb.access.hooks import around
from xnb.check import require
from xnb.types import Batch

SCHEMA, VERSION = "xnb.summary", 1


@dataclass
class Row:
    """One call of one module. Counts are of the whole batch, and of the module alone, not of what it calls."""

    name: str
    kind: str
    input: tuple[int, ...] = ()
    output: tuple[int, ...] = ()
    parameters: int = 0
    multiply_adds: int = 0
    activations: int = 0


COLUMNS = list(Row.__annotations__)


def count(model: nn.Module) -> int:
    """Number of parameters; a tensor that several modules share counts once."""
    return sum(tensor.numel() for tensor in model.parameters())  # parameters() lists a shared tensor once


def layers(model: nn.Module, x: Batch) -> pd.DataFrame:
    """One row a call, in the order of execution; the parameters add up to `count(model)`.

    Rows are the calls that call no other module, and those that have parameters or do products themselves, such
    as a class token's holder. What several calls share, the first one counts; what none uses, the module that
    holds it. Multiply-adds are those of matrix products and convolutions, attention's included, as torch counts
    them; a bias, norms and activations are not counted. Activations are values put out.

    Only shapes are run, on the "meta" device: it costs nothing and leaves the model alone, but a model whose way
    depends on values cannot be run so.
    """
    ledger = Ledger(FlopCounterMode(display=False))
    with torch.no_grad(), ledger.work, around(model, ledger.enter, ledger.leave):
        _run_shapes(model, x)
    rows = [c.row for c in ledger.calls if c.leaf or c.row.parameters or c.row.multiply_adds]
    return _table([asdict(row) for row in rows])


def edges(model: nn.Module, x: Batch) -> list[tuple[str, str]]:
    """Which module's output feeds which, from `input` on, in the order of execution.

    Nodes are the calls that call no other module. The second call of `relu` is `relu_1`: the graph has no cycle.
    What is written as a function is passed through. Found by running shapes, as `layers` does, and following the
    graph of the gradient back from each call, so what is not differentiable ends the way.
    """
    flow = Flow()
    with torch.enable_grad(), around(model, flow.enter, flow.leave):
        start = torch.empty_like(x, device="meta", requires_grad=True) * 1
        flow.made[start.grad_fn] = "input"
        _run_shapes(model, start)
    return flow.found


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
    same = type(version) is int and version == VERSION  # type(): True equals 1
    require(same, f"summary: version must be {VERSION}", version, "summary.to_json(table)")
    rows = document.get("layers")
    require(isinstance(rows, list) and bool(rows), "summary: layers must be a list of rows", rows)
    return _table([_checked(row) for row in rows])


def _checked(row: object) -> dict:
    complete = isinstance(row, dict) and row.keys() == set(COLUMNS)
    require(complete, f"summary: a row must have the fields {COLUMNS}", row)
    words = isinstance(row["name"], str) and isinstance(row["kind"], str)
    sizes = all(isinstance(row[name], list) for name in ("input", "output"))
    numbers = [row[name] for name in ("parameters", "multiply_adds", "activations")]
    numbers += [*row["input"], *row["output"]] if sizes else []
    whole = all(type(number) is int and number >= 0 for number in numbers)  # type(): no True
    require(words and sizes and whole, "summary: a row's fields must be words, sizes and whole numbers", row)
    return row | {"input": tuple(row["input"]), "output": tuple(row["output"])}


def _run_shapes(model: nn.Module, x: Batch) -> None:
    state = dict(model.named_parameters()) | dict(model.named_buffers())
    functional_call(model, {name: tensor.detach().to("meta") for name, tensor in state.items()}, x.to("meta"))


def _tensors(tree: object) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


def _table(rows: list[dict]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=COLUMNS)


@dataclass
class Call:
    """What is known of a call while it runs: the operations done before it, and by what it calls."""

    row: Row
    before: int
    inner: int = 0
    leaf: bool = True


@dataclass
class Ledger:
    """Keeps the books of one run: `enter` and `leave` stand around every call."""

    work: FlopCounterMode
    calls: list[Call] = field(default_factory=list)
    running: list[Call] = field(default_factory=list)
    counted: set[int] = field(default_factory=set)

    def enter(self, name: str, module: nn.Module, args: tuple) -> None:
        row = Row(name or "(model)", type(module).__name__, next((tuple(t.shape) for t in _tensors(args)), ()))
        call = Call(row, self.work.get_total_flops())
        if self.running:
            self.running[-1].leaf = False
        self.calls.append(call)
        self.running.append(call)

    def leave(self, name: str, module: nn.Module, args: tuple, out: object) -> None:
        call, made = self.running.pop(), _tensors(out)
        done = self.work.get_total_flops() - call.before
        if self.running:
            self.running[-1].inner += done
        own = [p for p in module.parameters() if id(p) not in self.counted]
        self.counted.update(map(id, own))
        call.row.output = tuple(made[0].shape) if made else ()
        call.row.parameters = sum(p.numel() for p in own)
        call.row.multiply_adds = (done - call.inner) // 2  # torch counts a product and its sum as two
        call.row.activations = sum(t.numel() for t in made) if call.leaf else 0


@dataclass
class Flow:
    """Follows tensors through one run: which call made each node of the gradient's graph."""

    made: dict[object, str] = field(default_factory=dict)
    found: list[tuple[str, str]] = field(default_factory=list)
    running: list[set[str] | None] = field(default_factory=lambda: [None])  # sources of a call that may be a leaf
    times: Counter[str] = field(default_factory=Counter)

    def enter(self, name: str, module: nn.Module, args: tuple) -> None:
        self.running[-1] = None
        self.running.append(self.sources([tensor.grad_fn for tensor in _tensors(args)]))

    def leave(self, name: str, module: nn.Module, args: tuple, out: object) -> object:
        sources = self.running.pop()
        if sources is None:
            return None
        label = name or "(model)"
        label += f"_{self.times[name]}" if self.times[name] else ""
        self.times[name] += 1
        self.found.extend((source, label) for source in sorted(sources))
        return tree_map_only(Tensor, lambda tensor: self.own(tensor, label), out)

    def own(self, tensor: Tensor, label: str) -> Tensor:
        """A copy: an identity hands on another call's tensor, and a module in place overwrites it."""
        copy = tensor.clone()
        self.made[copy.grad_fn] = label
        return copy

    def sources(self, ahead: list[object]) -> set[str]:
        """Calls met first on every way back."""
        names, seen = set(), set()
        while ahead:
            node = ahead.pop()
            if node is None or node in seen:
                continue
            seen.add(node)
            if node in self.made:
                names.add(self.made[node])
            else:
                ahead.extend(before for before, _ in node.next_functions)
        return names
