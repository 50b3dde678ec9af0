"""Whether the attention that was seen is all that mixes the pieces of an input by weights that depend on the input.

The model runs twice, the second time with one piece of the input changed. Behind each attention that is seen, all
tokens but one are put back to what they were, so that the change stays in one token. Then a product of two tensors
which sums over an axis along which the change lies at single places sums over tokens; what sums over channels or
experts meets the change everywhere on its axis, or nowhere.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from xnb.access import hooks
from xnb.access.attention.attention_capture import AttentionCapture
from xnb.access.attention.attention_products import Factor, Product
from xnb.access.model_call import chunk_logits
from xnb.types import Batch, Model


@dataclass
class _Record:
    """What the first pass leaves for the second.

    Attributes:
        products: factors of each product that sums over one axis.
        scores: what went into each softmax.
        values: keys and values of each attention that is seen.
        outputs: what each attention returned.
    """

    products: list[tuple[Tensor, Tensor]] = field(default_factory=list)
    scores: list[Tensor] = field(default_factory=list)
    values: list[Tensor] = field(default_factory=list)
    outputs: list[Tensor] = field(default_factory=list)


@dataclass(frozen=True)
class AttentionFindings:
    """What the second pass found.

    Attributes:
        over_tokens: for each attention that was seen, whether it weighs tokens, and not channels or experts.
        unseen: what mixes tokens and is no attention that was seen: the function, and the module that called it.
    """

    over_tokens: list[bool]
    unseen: list[str]


def check_attention(model: Model, x: Batch, changed: Batch, tokens: int) -> AttentionFindings:
    """Run the model on one input and on the same with one piece changed, and say what mixes tokens.

    Args:
        x: one input, `(1, *shape)`.
        changed: the same with one piece changed.
        tokens: how many tokens there are.
    """
    record = _Record()
    with torch.no_grad():
        _run_watched(model, x, lambda name: _Recorder(name, record))
        comparer = _run_watched(model, changed, lambda name: _Comparer(name, record, tokens))
    return comparer.report()


def _run_watched(model: Model, x: Batch, make: Callable[[Callable[[], str]], Any]) -> Any:
    """Run the model within a capture, which is returned.

    Args:
        make: the capture, given a function that says which module is running.
    """
    running = [""]  # names of the modules whose call has begun and not ended, the innermost last
    capture = make(lambda: running[-1])

    def enter(name: str, module: nn.Module, args: tuple) -> None:
        running.append(name)

    def leave(name: str, module: nn.Module, args: tuple, out: object) -> None:
        running.pop()

    watch: AbstractContextManager = nullcontext()
    if isinstance(model, nn.Module):
        watch = hooks.watch_calls(model, enter, leave)
    with watch, capture:
        chunk_logits(model, x.clone())
    return capture


class _Recorder(AttentionCapture):
    """The first pass: keeps what the second one compares itself with."""

    def __init__(self, layer_name: Callable[[], str], record: _Record) -> None:
        super().__init__(1, layer_name)
        self.record = record

    def run_fused(self, function: Callable, args: tuple, kwargs: Mapping[str, Any]) -> Any:
        """An attention; its output is kept."""
        out = super().run_fused(function, args, kwargs)
        self.record.values.append(self.attentions[-1].values.clone())
        self.record.outputs.append((out[0] if isinstance(out, tuple) else out).clone())
        return out

    def run_product(self, product: Product, weights: Factor) -> Tensor:
        """An attention; its output is kept."""
        out = super().run_product(product, weights)
        self.record.values.append(self.attentions[-1].values.clone())
        self.record.outputs.append(out.clone())
        return out

    def run_other(self, function: Callable, args: tuple, kwargs: Mapping[str, Any], product: Product | None) -> Any:
        """Any other function; factors and scores are kept."""
        if product is not None:
            self.record.products.append((product.first.tensor.clone(), product.second.tensor.clone()))
        if function.__name__ in {"softmax", "exp"}:
            self.record.scores.append(args[0].clone())
        return function(*args, **kwargs)


class _Comparer(AttentionCapture):
    """The second pass: sees where the change of one piece arrives."""

    def __init__(self, layer_name: Callable[[], str], record: _Record, tokens: int) -> None:
        super().__init__(1, layer_name)
        self.record = record
        self.tokens = tokens
        self.over_tokens: list[bool] = []
        self.unseen: list[str] = []
        self._softmaxes: dict[int, str | None] = {}  # over tokens, by number, with the module; None: an exponential
        self._products = 0

    def report(self) -> AttentionFindings:
        """What was found in the whole pass."""
        pairs = zip(self.softmaxes, self.over_tokens, strict=True)
        met = {softmax for softmax, over_tokens in pairs if over_tokens}
        softmaxes = {number: module for number, module in self._softmaxes.items() if module is not None}
        missed = [f"softmax in {module or 'the model'}" for number, module in softmaxes.items() if number not in met]
        return AttentionFindings(self.over_tokens, [*self.unseen, *missed])

    def run_fused(self, function: Callable, args: tuple, kwargs: Mapping[str, Any]) -> Any:
        """A fused attention."""
        out = super().run_fused(function, args, kwargs)
        if not isinstance(out, tuple):
            return self.judge(out, function.__name__, -2)
        return (self.judge(out[0], function.__name__, 0), *out[1:])  # torch's axes are (N, B, D) here

    def run_product(self, product: Product, weights: Factor) -> Tensor:
        """An attention written out."""
        out = super().run_product(product, weights)
        _, query = product.head_letters(weights)
        return self.judge(out, "softmax", product.out.find(query) if query in product.out else None)

    def judge(self, out: Tensor, function: str, axis: int | None) -> Tensor:
        """Say whether the attention that just ran weighs tokens; if so, hand on its output changed at one token.

        Args:
            axis: of the output, where its queries lie.
        """
        number = len(self.over_tokens)
        values = self.attentions[-1].values
        changed = _differ(values, self.record.values, number)
        at_keys, at_numbers = _share(changed, 2), _share(changed, 3)
        softmax = self.softmaxes[-1]
        over_channels = softmax is not None and softmax not in self._softmaxes
        over_tokens = at_keys < at_numbers or (at_numbers == 1 and 0 < at_keys < 1)
        self.over_tokens.append(over_tokens and not over_channels)
        if over_tokens and over_channels:
            self.note(function)
        if at_keys > at_numbers or (at_keys == at_numbers == 1 and values.shape[2] == self.tokens > 1):
            self.note(function)  # channels weigh each other by what all tokens say, or tokens were mixed before
        if not self.over_tokens[-1] or axis is None:
            return out
        return _change_one(out, self.record.outputs[number], axis, changed.any(0).any(0).any(1))

    def run_other(self, function: Callable, args: tuple, kwargs: Mapping[str, Any], product: Product | None) -> Any:
        """Any other function: a product over tokens and a softmax over tokens are noted."""
        name = function.__name__
        if product is not None:
            self.compare_product(name, product)
        if name in {"softmax", "exp"}:
            self.compare_scores(name, args, kwargs)
        return function(*args, **kwargs)

    def compare_product(self, name: str, product: Product) -> None:
        """Note a product of two tensors that both come from the input, if it sums over tokens."""
        earlier = self.record.products[self._products] if self._products < len(self.record.products) else None
        self._products += 1
        if earlier is None:
            return
        changes = []
        for factor, before in zip((product.first, product.second), earlier, strict=True):
            changes.append(_differ(factor.tensor, [before], 0))
        # a factor that does not change is a weight of the model, which mixes tokens alike for every input
        if not all(change.any() for change in changes):
            return
        for factor, change in zip((product.first, product.second), changes, strict=True):
            along = _share(change, factor.axis(product.summed))
            others = [_share(change, factor.axis(letter)) for letter in product.own_letters(factor)]
            if others and along < max(others):
                self.note(name)
                return

    def compare_scores(self, name: str, args: tuple, kwargs: Mapping[str, Any]) -> None:
        """Note a softmax along an axis on which the change lies at single places."""
        scores = args[0]
        axis = kwargs.get("dim", args[1] if len(args) > 1 else -1) if name == "softmax" else -1
        changed = _differ(scores, self.record.scores, self._count)
        if name == "exp" and changed.any():
            changed = _differ_alone(scores - self.record.scores[self._count])
        lines = changed.movedim(-1 if axis is None else axis, -1).flatten(0, -2).double().mean(1)
        lines = lines[lines > 0]
        hidden = bool(scores.isinf().any())  # behind a mask the change may not show
        if hidden or (len(lines) and float(lines.median()) <= 0.5):
            self._softmaxes[self._count] = self.layer_name() if name == "softmax" else None

    def note(self, function: str) -> None:
        """Enter what mixes tokens unseen."""
        self.unseen.append(f"{function} in {self.layer_name() or 'the model'}")


def _differ(tensor: Tensor, earlier: list[Tensor], number: int) -> Tensor:
    """Where a tensor differs from that of the first pass; nowhere if the passes went different ways."""
    if number >= len(earlier) or earlier[number].shape != tensor.shape:
        return torch.zeros_like(tensor, dtype=torch.bool)
    return (tensor != earlier[number]) & ~(tensor.isnan() & earlier[number].isnan())


def _differ_alone(change: Tensor) -> Tensor:
    """Where a change along the last axis is another than that of most: the largest score may be taken from all."""
    apart = (change - change.nanmedian(-1, keepdim=True).values).abs()
    return apart > 1e-3 * change.abs().amax(-1, keepdim=True)


def _share(changed: Tensor, axis: int) -> float:
    """On how many of the places of an axis there is a change, as a share of them."""
    others = [other for other in range(changed.ndim) if other != axis % changed.ndim]
    places = changed.sum(others) > 0 if others else changed
    return float(places.double().mean())


def _change_one(out: Tensor, earlier: Tensor, axis: int, keys: Tensor) -> Tensor:
    """The output of the first pass, but for the tokens that were changed; of other queries, for the first."""
    queries = out.shape[axis]
    rows = keys if len(keys) == queries else torch.arange(queries, device=out.device) == 0
    shape = [1] * out.ndim
    shape[axis] = queries
    return torch.where(rows.view(shape), out, earlier)
