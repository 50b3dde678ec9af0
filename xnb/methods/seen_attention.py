"""What is looked up once for a model and its input: which attentions weigh tokens, and where the tokens lie."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import compress
from typing import Any, NamedTuple, NoReturn

import torch
from torch import Tensor

from xnb.access.attention.attention_capture import Attention, AttentionCapture
from xnb.access.attention.attention_check import check_attention
from xnb.access.attention.attention_products import Factor, Product
from xnb.access.ledger import add_passes
from xnb.access.memo import answer_once
from xnb.access.model_call import chunk_logits
from xnb.access.rows import select_rows
from xnb.access.way_out import suggest_method
from xnb.check import refuse
from xnb.methods.token_changes import change_numbers, find_owners_by_changes
from xnb.methods.token_layout import Patch, Special, TokenLayout, find_token_layout
from xnb.types import Batch, Model

# Share of a picture from which on a token reads what many others read too, as behind layers that overlap.
_MUCH = 0.1


class TokenKnobs(NamedTuple):
    """What all methods on tokens let their callers choose.

    Attributes:
        chunk: inputs run together.
        special: numbers of the tokens that are no piece of the input; None finds them.
        patch: side of a patch, or height and width; None finds it.
    """

    chunk: int | None = None
    special: Special = None
    patch: Patch = None


def require_attention(attentions: list[Attention], model: Model, x: Batch, who: str) -> None:
    """Refuse a pass of all inputs without attention, and attention within windows of an input."""
    if not attentions:
        _refuse_attention(model, x, f"{who}: no attention was seen", "a forward pass without any")
    if any(len(layer.weights) != len(x) for layer in attentions):
        _refuse_attention(model, x, f"{who}: attention must be over whole inputs", "windows")


def _refuse_attention(model: Model, x: Batch, rule: str, got: str) -> NoReturn:
    """Refuse, with a method that needs no attention."""
    note = "or write attention as softmax(...) @ values"
    refuse(rule, got, suggest_method(model, x, "integrated_gradients", note))


@dataclass
class SeenAttention:
    """What one input showed.

    Attributes:
        over_tokens: for each attention, whether it weighs tokens, and not channels or experts.
        tokens: values of the first attention with so many keys, on the graph that leads to the input.
        x: the input.
        read_tokens: tokens of another input, by the number of keys.
    """

    over_tokens: list[bool]
    tokens: dict[int, Tensor]
    x: Batch
    read_tokens: Callable[[int, Batch], Tensor]
    layouts: dict[tuple, TokenLayout] = field(default_factory=dict)

    def find_layout(self, keys: int, who: str, knobs: TokenKnobs) -> TokenLayout:
        """Where tokens lie that are the keys of an attention."""
        special = None if knobs.special is None else tuple(knobs.special)
        question = (keys, special, knobs.patch)
        if question not in self.layouts:
            read_tokens = partial(self.read_tokens, keys)
            self.layouts[question] = find_token_layout(
                self.tokens[keys], self.x, who, special, knobs.patch, read_tokens=read_tokens
            )
        return self.layouts[question]


def see_attention(model: Model, x: Batch, who: str) -> SeenAttention:
    """Look at the first input: two passes, and some back to the tokens; once within `memo.remember_answers`.

    Raises:
        ValueError: no attention was seen, or tokens are mixed in a way that was not.
    """
    return answer_once(("seen attention", model, x), lambda: _look(model, x, who))


def _look(model: Model, x: Batch, who: str) -> SeenAttention:
    """Run one input, and again with a change of one piece: which attentions weigh tokens, and what these read."""
    first = x[:1].detach()
    with torch.enable_grad(), select_rows(slice(0, 1), len(x)):
        leaf = first.clone().requires_grad_()
        with _TokensAlone(1) as capture:
            chunk_logits(model, leaf.clone())
        require_attention(capture.attentions, model, first, who)
        by_key = [layer.values[0].transpose(0, 1).flatten(1) for layer in capture.attentions]
        has_slopes = _reads_by_slopes(by_key, leaf)
        if has_slopes:
            number, piece = _find_small_piece(by_key, leaf)
            changed = _change_piece(first, piece)
            if not _is_of_whole_pictures(capture.attentions[0], leaf):
                _refuse_attention(model, first, f"{who}: attention must be over whole inputs", "windows")
        else:  # whole numbers in disguise, that stand for words
            number = len(by_key[0])
            changed = change_numbers(first, _mark_corner(first))
        findings = check_attention(model, first, changed, number)
    if findings.unseen:
        rule = f"{who}: all that mixes tokens by weights must be seen as attention"
        _refuse_attention(model, x, rule, ", ".join(dict.fromkeys(findings.unseen)))
    if not any(findings.over_tokens):
        _refuse_attention(model, x, f"{who}: no attention over tokens was seen", "weights of channels")
    tokens: dict[int, Tensor] = {}
    first_with: dict[int, int] = {}  # number of the first attention with so many keys
    for position, values in compress(enumerate(by_key), findings.over_tokens):
        tokens.setdefault(len(values), values)
        first_with.setdefault(len(values), position)

    def read_tokens(keys: int, other: Batch) -> Tensor:
        with torch.enable_grad(), select_rows(slice(0, 1), len(x)):
            return _read_tokens(model, first_with[keys], other)

    seen = SeenAttention(findings.over_tokens, tokens, leaf, read_tokens)
    if not has_slopes and first.ndim == 2:
        with torch.no_grad(), select_rows(slice(0, 1), len(x)):
            owner = find_owners_by_changes(partial(_read_tokens, model, findings.over_tokens.index(True)), first)
        if owner is not None:
            keys = next(iter(tokens))
            seen.layouts[keys, None, None] = TokenLayout(owner, keys)
    return seen


def _read_tokens(model: Model, number: int, x: Batch) -> Tensor:
    """Values of one attention, the first being 0, as if no token had read another."""
    with _TokensAlone(1) as capture:
        chunk_logits(model, x.clone())
    return capture.attentions[number].values[0].transpose(0, 1).flatten(1)


def _reads_by_slopes(by_key: list[Tensor], leaf: Batch) -> bool:
    """Whether any of these tokens has a slope with respect to the input."""
    with_graph = [tokens.sum() for tokens in by_key if tokens.requires_grad]
    if not with_graph:
        return False
    return _find_slope(with_graph, leaf) is not None


def _find_slope(totals: list[Tensor], leaf: Batch) -> Tensor | None:
    """Slope of a sum with respect to the input, None where there is none; counted as a backward pass where there is."""
    (slope,) = torch.autograd.grad(totals, leaf, retain_graph=True, allow_unused=True)
    if slope is not None:
        add_passes(backward=len(leaf))
    return slope


def _is_of_whole_pictures(attention: Attention, leaf: Batch) -> bool:
    """Whether all heads of a token read one place: windows of a picture may be folded into one axis with heads."""
    if leaf.ndim != 4 or attention.values.shape[1] == 1 or not attention.values.requires_grad:
        return True
    places = []
    for values in (attention.values[0, :1, 0], attention.values[0, :, 0]):
        slope = _find_slope([values.sum()], leaf)
        places.append(torch.zeros_like(leaf) if slope is None else (slope != 0).any(1))
    return torch.equal(*places)


class _TokensAlone(AttentionCapture):
    """The pass as if no token had read another: what an attention returns is a constant."""

    def run_fused(self, function: Callable, args: tuple, kwargs: Mapping[str, Any]) -> object:
        """A fused attention."""
        out = super().run_fused(function, args, kwargs)
        if isinstance(out, tuple):
            return (out[0].detach(), *out[1:])
        return out.detach()

    def run_product(self, product: Product, weights: Factor) -> Tensor:
        """An attention written out."""
        return super().run_product(product, weights).detach()


def _change_piece(x: Batch, piece: Tensor) -> Batch:
    """The input with noise on a piece of it."""
    generator = torch.Generator("cpu").manual_seed(1)
    noise = torch.randn(x.shape, generator=generator, dtype=torch.double, device="cpu").to(x)
    deviation = float(x.std(correction=0)) or 1.0
    return torch.where(piece, x + deviation * noise, x)


def _find_small_piece(by_key: list[Tensor], leaf: Batch) -> tuple[int, Tensor]:
    """How many tokens there are, and what one of them reads of the input.

    It is that of the first attention with a key that reads something, and not all. Where there is none, as after
    tokens were mixed unseen, a corner of the input.
    """
    for tokens in by_key:
        for token in tokens if tokens.requires_grad else ():
            slope = _find_slope([token.sum()], leaf)
            reads = torch.zeros_like(leaf, dtype=torch.bool) if slope is None else slope != 0
            if reads.all():
                break
            if reads.any():
                return len(tokens), _shrink_piece(reads)
    return len(by_key[0]), _mark_corner(leaf)


def _shrink_piece(reads: Tensor) -> Tensor:
    """One place of a picture or volume where a token reads much of it: a change there leaves other tokens alone."""
    if reads.ndim < 4 or reads.double().mean() < _MUCH:
        return reads
    places = reads.any(1, keepdim=True)
    first = torch.zeros_like(places).flatten()
    first[places.flatten().int().argmax()] = True
    return reads & first.view_as(places)


def _mark_corner(x: Batch) -> Tensor:
    """True at a sixteenth of each side of a picture, as large as a patch; of other inputs at the first place."""
    corner = torch.zeros_like(x, dtype=torch.bool)
    if x.ndim == 4:
        corner[..., : -(-x.shape[2] // 16), : -(-x.shape[3] // 16)] = True
    else:
        corner[:, :1] = True
    return corner
