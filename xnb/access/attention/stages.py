"""The three stages of a Transformer, `readout(blocks(tokens(x)))`: its own, or found by watching it run.

The blocks are the longest row of modules that hand tokens `(B, N, D)` to one another and contain attention. What comes
before and behind them is reached by running the whole model while the blocks do nothing.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from xnb.access import hooks
from xnb.access.attention.attention_capture import AttentionCapture
from xnb.access.ledger import add_passes
from xnb.access.memo import answer_once
from xnb.access.rows import select_rows
from xnb.access.way_out import suggest_method
from xnb.check import refuse
from xnb.types import Batch, Logits, Model

STAGES = ("tokens", "blocks", "readout")  # of the protocol `xnb.models.vit.Transformer`
_HINT = "a module with tokens(x), blocks and readout(tokens), as `xnb.models.vit.Transformer` describes them"


class _Call(NamedTuple):
    """One call of a module: its first argument, and the first thing that it returned."""

    tokens: object
    out: object
    returned: int  # how many things it returned; 0 is a tensor alone


@dataclass
class Block:
    """A block of a model, run alone.

    Attributes:
        module: the block.
        returned: how many things it returns, of which the first is tokens; 0 is a tensor alone.
        args: what it got beside the tokens when the model last ran.
    """

    module: nn.Module
    returned: int
    args: tuple = ()
    kwargs: dict[str, Any] = field(default_factory=dict)

    def __call__(self, tokens: Tensor) -> Tensor:
        """The block's output on these tokens."""
        return self.run(tokens, *self.args, **self.kwargs)

    def run(self, tokens: Tensor, *args: object, **kwargs: object) -> Tensor:
        """The same with other arguments beside the tokens."""
        out = self.module(tokens, *args, **kwargs)
        return out[0] if self.returned else out

    def hand_on(self, tokens: Tensor, *args: object, **kwargs: object) -> object:
        """Return the tokens as they came, in the form of the block's own output."""
        self.args, self.kwargs = args, kwargs
        if self.returned:
            return (tokens, *[None] * (self.returned - 1))
        return tokens


class Stages:
    """A model in three stages.

    Attributes:
        model: the whole.
        blocks: each from tokens to tokens.
        modules: the modules of the blocks.
    """

    def __init__(self, model: nn.Module, blocks: list[Block], shape: torch.Size) -> None:
        self.model = model
        self.blocks = blocks
        self.modules = [block.module for block in blocks]
        self._shape = shape  # of an input

    def tokens(self, x: Batch) -> Tensor:
        """Tokens `(B, N, D)` that enter the first block."""
        found: list[Tensor] = []
        self._shape = x.shape[1:]

        def keep(tokens: Tensor, *args: object, **kwargs: object) -> object:
            found.append(tokens)
            return self.blocks[0].hand_on(tokens, *args, **kwargs)

        self._run(x, {0: keep})
        return found[0]

    def readout(self, tokens: Tensor) -> Logits:
        """Logits of the tokens that leave the last block."""

        def put_in(_: Tensor, *args: object, **kwargs: object) -> object:
            return self.blocks[-1].hand_on(tokens, *args, **kwargs)

        inputs = tokens.new_zeros(len(tokens), *self._shape)  # what is made of them is dropped
        return self._run(inputs, {len(self.blocks) - 1: put_in})

    def _run(self, x: Batch, others: dict[int, Callable]) -> Logits:
        """The model, while its blocks hand on what they get; some of them, by number, do something else."""
        forwards = [others.get(number, block.hand_on) for number, block in enumerate(self.blocks)]
        with hooks.replace_forward(zip(self.modules, forwards, strict=True)):
            return self.model(x)


class OwnStages:
    """A model that has the three stages as members."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.blocks = list(model.blocks)
        self.modules = [block.module if isinstance(block, Block) else block for block in self.blocks]
        self.tokens = model.tokens
        self.readout = model.readout


def find_stages(model: Model, x: Batch, who: str) -> Stages | OwnStages:
    """The three stages of a model: its own members, or what is found by running it on one input.

    Raises:
        ValueError: the model has neither.
    """
    rule = f"{who}: the model must be a Transformer, of blocks that hand tokens (B, N, D) to one another"
    if not isinstance(model, nn.Module):
        refuse(rule, model, suggest_method(model, x, "integrated_gradients", f"or {_HINT}"))
    if all(hasattr(model, stage) for stage in STAGES):
        return OwnStages(model)
    with select_rows(slice(0, 1), len(x)):
        stages = answer_once(("stages", model, x), lambda: search_stages(model, x[:1]))
    hint = "" if stages else suggest_method(model, x, "integrated_gradients", f"or {_HINT}")
    return stages or refuse(rule, type(model).__name__, hint)


def search_stages(model: nn.Module, x: Batch) -> Stages | None:
    """The stages of a model, found by running it on one input; None where no row of blocks is seen."""
    calls, attentions = _watch_pass(model, x)
    rows = [row for parent in model.modules() for row in _rows_of_blocks(model, parent, calls, attentions)]
    if not rows:
        return None
    longest = max(map(len, rows))
    first = next(row for row in rows if len(row) == longest)
    modules = hooks.modules_by_name(model)
    return Stages(model, [Block(modules[name], calls[name][0].returned) for name in first], x.shape[1:])


def _watch_pass(model: nn.Module, x: Batch) -> tuple[dict[str, list[_Call]], list[str]]:
    """Calls of each module by name, and the names of those in which attention ran."""
    calls: dict[str, list[_Call]] = {}
    running = [""]

    def enter(name: str, module: nn.Module, args: tuple) -> None:
        running.append(name)

    def leave(name: str, module: nn.Module, args: tuple, out: Any) -> None:
        running.pop()
        returned = len(out) if isinstance(out, tuple) else 0
        first = out[0] if returned else out
        calls.setdefault(name, []).append(_Call(args[0] if args else None, first, returned))

    # attention runs written out meanwhile, so that fused functions are seen inside the modules that call them
    capture = AttentionCapture(1, lambda: running[-1])
    with torch.no_grad(), hooks.watch_calls(model, enter, leave), capture:
        model(x.clone())
    add_passes(forward=len(x))
    return calls, [layer.layer for layer in capture.attentions]


def _rows_of_blocks(
    model: nn.Module, parent: nn.Module, calls: dict[str, list[_Call]], attentions: list[str]
) -> Iterator[list[str]]:
    """Rows of children of a list or sequence of modules that hand tokens to one another and contain attention."""
    if not isinstance(parent, nn.ModuleList | nn.Sequential):
        return
    prefix = next(name for name, module in hooks.modules_by_name(model).items() if module is parent)
    row: list[str] = []
    for child, _ in parent.named_children():
        name = f"{prefix}.{child}".lstrip(".")
        once = calls.get(name, [])
        contains = any(layer == name or layer.startswith(f"{name}.") for layer in attentions)
        is_block = len(once) == 1 and contains and _keeps_tokens(once[0])
        # the very tensor, not one of its shape: so nothing runs between two blocks that would be lost
        follows = is_block and bool(row) and calls[row[-1]][0].out is once[0].tokens
        if row and not follows:
            yield row
        own = [name] if is_block else []
        row = [*row, *own] if follows else own
    if row:
        yield row


def _keeps_tokens(call: _Call) -> bool:
    tokens, out = call.tokens, call.out
    if not isinstance(tokens, Tensor) or not isinstance(out, Tensor):
        return False
    return tokens.ndim == 3 and len(tokens) == 1 and tokens.shape == out.shape
