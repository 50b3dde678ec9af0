"""Look into a model, or let modules of it answer differently, for the length of a `with` block.

This is the only file that registers hooks. Whatever happens inside the block, and even when attaching the n-th hook
fails, the model is afterwards as it was.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import cast

import pandas as pd
import torch
from jaxtyping import Bool
from torch import Tensor, nn

from xnb.access.attention.attention_capture import Attention, AttentionCapture, AttentionComparison, relative_distance
from xnb.access.attention.knock_out import AttentionKnockOut
from xnb.access.fast_forward import look_inside
from xnb.access.score import logits
from xnb.check import find_entry, require

Hook = Callable[[nn.Module, tuple, object], object]


@contextmanager
def forward_hooks(pairs: Iterable[tuple[nn.Module, Hook]]) -> Iterator[None]:
    """Attach forward hooks for the length of the block."""
    with ExitStack() as stack:
        stack.enter_context(look_inside())
        for module, hook in pairs:
            _require_open(module)
            stack.callback(module.register_forward_hook(hook).remove)
        yield


def _require_open(module: nn.Module) -> None:
    """Refuse a module that takes no hooks."""
    rule = "hooks: code of torch.jit.script cannot be looked into; explain the module before it"
    hint = "xnb.attribute(model, x, target, 'gradient')  # needs no layer"
    require(not isinstance(module, torch.jit.RecursiveScriptModule), rule, type(module).__name__, hint)


@contextmanager
def watch_calls(
    model: nn.Module, before: Callable[..., object], after: Callable[..., object], *, with_named: bool = False
) -> Iterator[None]:
    """Around every call of every module, run `before(name, module, args)` and `after(name, module, args, out)`.

    What they return, unless None, takes the place of the arguments and of the output.

    Args:
        with_named: `args` has the arguments given by name too, behind the others; `before` returns None then.
    """
    if with_named:
        before, after = _take_named(before), _take_named(after)
    with ExitStack() as stack:
        stack.enter_context(look_inside())
        for name, module in modules_by_name(model).items():
            _require_open(module)
            entered = module.register_forward_pre_hook(partial(before, name), with_kwargs=with_named)
            left = module.register_forward_hook(partial(after, name), with_kwargs=with_named)
            stack.callback(entered.remove)
            stack.callback(left.remove)
        yield


def _take_named(watch: Callable[..., object]) -> Callable[..., object]:
    """The same function of one row of arguments, as a hook that is given those with a name apart."""

    def take(name: str, module: nn.Module, args: tuple, named: dict[str, object], *out: object) -> object:
        return watch(name, module, (*args, *named.values()), *out)

    return take


def modules_by_name(model: nn.Module) -> dict[str, nn.Module]:
    """The modules of a model by name, the model itself under "" first."""
    hint = "xnb.attribute(model, x, target, 'feature_ablation')  # takes any function"
    require(isinstance(model, nn.Module), "hooks: only an nn.Module has layers", model, hint)
    return dict(model.named_modules())


def find_module(model: nn.Module, name: str) -> nn.Module:
    """`model.get_submodule(name)`, with the nearest names in the error."""
    return find_entry(modules_by_name(model), name, "hooks: no module of that name in the model")


def first_output(out: object) -> object:
    """What a module returns; of several things, as a block of a Transformer returns, the first."""
    return out[0] if type(out) in (tuple, list) and out else out  # type: ignore[index]


def _replace_first_output(out: object, output: Tensor) -> object:
    """What a module returned, with another tensor in place of its first."""
    if type(out) in (tuple, list):
        return type(out)([output, *out[1:]])  # type: ignore[index, call-arg]
    return output


@contextmanager
def capture_outputs(model: nn.Module, *layers: str, once: bool = False) -> Iterator[dict[str, Tensor]]:
    """Yield the outputs of the named layers, still on the graph, filled in by each forward pass.

    The model goes on with a copy: what comes next may work in place, and the output is to stay what it was.

    Raises:
        ValueError: no such layer; with `once`, a layer that is called again.
    """
    outputs: dict[str, Tensor] = {}

    def make_hook(name: str) -> Hook:
        def hook(module: nn.Module, args: tuple, out: object) -> object:
            again = once and name in outputs
            hint = "xnb.attribute(model, x, target, 'feature_ablation')  # needs no layer"
            require(not again, "hooks: the layer must be called once in a forward pass", name, hint)
            output = first_output(out)
            outputs[name] = cast(Tensor, output)  # what is no tensor is refused by who asked for it
            if isinstance(output, Tensor):
                return _replace_first_output(out, output.clone())
            return None

        return hook

    with forward_hooks([(find_module(model, name), make_hook(name)) for name in layers]):
        yield outputs


@contextmanager
def change_output(model: nn.Module, layer: str, change: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """Within the block the model goes on with `change(output)` of a layer in place of what it returned.

        with hooks.change_output(net, "stage3", lambda maps: maps * keep):
            answers = net(x)

    Raises:
        ValueError: no such layer, or it returns no tensor.
    """

    def hook(module: nn.Module, args: tuple, out: object) -> object:
        output = first_output(out)
        rule = "hooks: the layer must return a tensor to be changed"
        require(isinstance(output, Tensor), rule, output, "layer=''  # what the model itself returns")
        return _replace_first_output(out, change(cast(Tensor, output)))

    with forward_hooks([(find_module(model, layer), hook)]):
        yield


@contextmanager
def cut_graph(model: nn.Module, layer: str) -> Iterator[list[object]]:
    """The graph starts at the output of `layer`: nothing before it is recorded, whatever requires a gradient.

    Yields the outputs of `layer`, filled in by each call of it, as leaves that `torch.autograd.grad` can ask for.
    """
    leaves: list[object] = []

    def start_graph(module: nn.Module, args: tuple, out: object) -> object:
        output = first_output(out)
        if not isinstance(output, Tensor) or not output.is_floating_point():
            leaves.append(output)
            return out
        leaf = output.detach().requires_grad_()
        leaves.append(leaf)
        torch.set_grad_enabled(True)  # until the block below restores what was
        return _replace_first_output(out, leaf.clone())  # a copy: a module further on may not write into a leaf

    with torch.no_grad(), forward_hooks([(find_module(model, layer), start_graph)]):
        yield leaves


@contextmanager
def replace_forward(pairs: Iterable[tuple[nn.Module, Callable[..., object]]]) -> Iterator[None]:
    """For the length of the block, let these modules run another function than their own `forward`."""
    with ExitStack() as stack:
        stack.enter_context(look_inside())
        for module, forward in pairs:
            # most have `forward` from their class and none of their own, which is what they are to have afterwards
            own = {"forward": vars(module)["forward"]} if "forward" in vars(module) else {}
            stack.callback(vars(module).update, own)
            stack.callback(vars(module).pop, "forward", None)
            module.forward = forward
        yield


@contextmanager
def capture_attention(model: nn.Module) -> Iterator[list[Attention]]:
    """Yield the attention of each forward pass, in the order in which it runs, on the graph, with its layer's name.

    Within the block attention runs written out instead of fused, so that its weights exist; `attention_proof` says
    how far apart the two are.
    """
    with _follow_attention(model, AttentionCapture()) as attentions:
        yield attentions


@contextmanager
def _follow_attention(model: nn.Module, capture: AttentionCapture) -> Iterator[list[Attention]]:
    """Yield what a capture keeps of each forward pass; it learns which module runs, and how many inputs there are."""
    running = [""]  # names of the modules whose call has begun and not ended, the innermost last

    def enter(name: str, module: nn.Module, args: tuple) -> None:
        running.append(name)
        if not name:  # the model itself: a new pass
            capture.attentions.clear()
            capture.inputs = len(args[0]) if args else None

    def leave(name: str, module: nn.Module, args: tuple, out: object) -> None:
        running.pop()

    capture.layer_name = lambda: running[-1]
    with watch_calls(model, enter, leave), capture:
        yield capture.attentions


@contextmanager
def knock_out_attention(
    model: nn.Module, arrows: Bool[Tensor, "*axes N M"], *, layers: Collection[int] | None = None
) -> Iterator[list[Attention]]:
    """Within the block queries cannot read the keys that `arrows` marks; the rest of their weight is shared anew.

    It is an intervention: what the score loses is the effect of these arrows, given all others. Two arrows that carry
    the same hide each other, and a network never saw such rows in training. To take all arrows away that leave a token
    towards others, in all layers, is to leave the token out.

    Yields what `capture_attention` yields, with the new weights.

    Args:
        arrows: True where the logit is to be minus infinity: `(N, M)`, queries by keys, or with axes of inputs and
            heads before them, each as long as theirs or 1.
        layers: numbers of the attentions, from 0 in the order in which they run; all by default.

    Raises:
        ValueError: arrows that do not fit, a query with nothing left to read, a layer that did not run, or weights
            that are no softmax.

    Source: Geva et al. 2023, arXiv:2304.14767
    """
    with _follow_attention(model, AttentionKnockOut(arrows, layers)) as attentions:
        yield attentions
        count = len(attentions)
        rule = f"knock_out_attention: layers are numbers below {count}, the attentions of the pass"
        reached = count > 0 and all(0 <= layer < count for layer in layers or ())
        require(reached, rule, layers, "xnb.access.hooks.attention_proof(model, x)  # a row for each attention")


def attention_proof(model: nn.Module, x: Tensor) -> pd.DataFrame:
    """A row for each attention: that the captured weights are the ones which the model used.

    `rows` is the largest distance of a row's sum from 1. `reproduced` is the largest distance of what the weights
    and values give to what the model's own call returns, and `logits` that of the logits to those of the model left
    alone, both in parts of the largest value.

    Raises:
        ValueError: no attention was seen.
    """
    with capture_attention(model) as attentions:
        written_out = logits(model, x)
    hint = "xnb.lint(model, x)  # which methods need no attention"
    require(bool(attentions), "attention_proof: no attention was seen", "a forward pass without any", hint)
    # A second pass, on the model's own attention: in the first one an error would go on from layer to layer.
    with AttentionComparison() as comparison:
        comparison.inputs = len(x)
        logits(model, x)
    rows = []
    for attention, error in zip(attentions, comparison.errors, strict=True):
        _, heads, queries, keys = attention.weights.shape
        excess = attention.weights.sum(-1) - 1
        rows.append(
            {
                "layer": attention.layer,
                "heads": heads,
                "queries": queries,
                "keys": keys,
                "rows": float(excess.abs().max()),
                "reproduced": error,
            }
        )
    distance = relative_distance(written_out, logits(model, x))
    return pd.DataFrame(rows).assign(logits=distance)
