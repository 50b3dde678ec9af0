"""The attention that a model used: every softmax-weighted sum that runs, fused or written out.

It is captured by torch function, not by module: our own blocks, `nn.MultiheadAttention`, `nn.TransformerEncoderLayer`,
torchvision's and others' Transformers, and attention written with `softmax` or `exp`, and `@` or `einsum`, talking
heads included. A weighted sum written as a product and `.sum()`, and compiled or scripted code, cannot be captured.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.overrides import TorchFunctionMode

from xnb.access.attention.attention_products import Factor, Product, order_axes, read_product, restore_axes
from xnb.access.attention.fused_attention import WRITTEN_OUT, write_out
from xnb.access.marks import TensorTable

# What may be done to weights between the softmax and the sum.
CARRIED = set("dropout to type_as contiguous view reshape transpose permute squeeze unsqueeze expand __get__".split())
# And what mixes heads, or scales weights and corrects them: talking heads (arXiv:2003.02436), a second sum to 1.
_MIXING = set(
    "linear conv2d einsum matmul batch_norm layer_norm add sub mul div true_divide __radd__ __rmul__ masked_fill "
    "where float half bfloat16 clone flatten unflatten rearrange __getitem__ clamp nan_to_num".split()
)
_SUM_TOLERANCE = 1e-2  # rows of weights sum to 1 up to the rounding of bfloat16; what does not is no attention


@dataclass(frozen=True)
class Attention:
    """One softmax-weighted sum: `N` queries read `M` values in each of `h` heads."""

    weights: Float[Tensor, "B h N M"]
    values: Float[Tensor, "B h M d"]
    layer: str = ""

    @property
    def out(self) -> Float[Tensor, "B h N d"]:
        """What the heads hand on."""
        return torch.matmul(self.weights, self.values)


@dataclass(frozen=True)
class _Lineage:
    """What a tensor comes from that may be weights of an attention.

    Attributes:
        softmax: number of the softmax, counted from the first of the pass.
        mixed: it went through a linear function of the heads, so that rows need not sum to 1.
        written_out: it is an exponential, which its sum is yet to divide.
    """

    softmax: int
    mixed: bool = False
    written_out: bool = False


class AttentionCapture(TorchFunctionMode):
    """Within it attention runs written out, on the graph, and is kept.

    Attributes:
        attentions: what ran so far, in order.
        weights: their weights, by number, as `score.chunk_gradient` takes what is captured.
        softmaxes: for each attention, the number of the softmax that its weights come from; None inside a fused one.
        functions_after: names of the functions that ran since the last attention.
    """

    def __init__(self, inputs: int | None = None, layer_name: Callable[[], str] = lambda: "") -> None:
        """Start empty.

        Args:
            inputs: length of the batch, to tell heads from inputs where a model folds them into one axis.
            layer_name: names the module that is running.
        """
        super().__init__()
        self.inputs = inputs
        self.layer_name = layer_name
        self.attentions: list[Attention] = []
        self.weights: dict[str, Tensor] = {}
        self.softmaxes: list[int | None] = []
        self.functions_after: list[str] = []
        self._count = 0  # softmaxes so far
        self._lineages: TensorTable[_Lineage] = TensorTable()  # of what came of a softmax, and may yet be weights

    def __torch_function__(self, function: Callable, types: Any, args: tuple = (), kwargs: Any = None) -> Any:
        name = function.__name__
        kwargs = kwargs or {}
        if name in WRITTEN_OUT:
            return self.run_fused(function, args, kwargs)
        # attention written with `softmax` and `@` shows only at the product: until then weights are followed
        product = read_product(function, args, kwargs)
        weights = None if product is None else self.find_weights(product)
        if product is not None and weights is not None:
            return self.run_product(product, weights)
        self.functions_after.append(name)
        result = self.run_other(function, args, kwargs, product)
        self.follow_weights(name, args, kwargs, result)
        return result

    def run_other(self, function: Callable, args: tuple, kwargs: Mapping[str, Any], product: Product | None) -> Any:
        """Any function that is no weighted sum."""
        return function(*args, **kwargs)

    def run_fused(self, function: Callable, args: tuple, kwargs: Mapping[str, Any]) -> Any:
        """A fused function, written out."""
        out, weights, values = write_out(function.__name__, args, kwargs)
        by_head = self.split_heads(weights)
        if weights.ndim != 4:  # no axis of heads, or windows: gradients must arrive at the weights that are kept
            out = torch.matmul(by_head.view_as(weights), values)
        self.keep(by_head, self.split_heads(values), None)
        return out

    def run_product(self, product: Product, weights: Factor) -> Tensor:
        """A product of weights and values, by way of the weights that are kept: gradients arrive there."""
        values = product.other(weights)
        heads, query = product.head_letters(weights)
        letters = heads + query + product.summed
        # Whatever the notation, weights become (..., N, M) and values (..., M, d).
        by_head = self.change_weights(self.split_heads(order_axes(weights, letters)))
        own = product.own_letters(values) or "-"
        read = order_axes(values, heads + product.summed + own).flatten(len(heads) + 1)
        lineage = self._lineages.get(weights.tensor)
        self.keep(by_head, self.split_heads(read), None if lineage is None else lineage.softmax)
        return product.run_with(weights, restore_axes(by_head, weights, letters))

    def change_weights(self, weights: Float[Tensor, "B h N M"]) -> Tensor:
        """Weights that the model goes on with in place of its own; here the same."""
        return weights

    def keep(self, weights: Tensor, values: Tensor, softmax: int | None) -> None:
        """Add one attention; heads that share keys, or weights, have their own from here on."""
        if values.shape[1] != weights.shape[1] == 1:
            values = values.transpose(1, 2).flatten(2).unsqueeze(1)
        values = values.expand(-1, weights.shape[1], -1, -1)
        self.weights[str(len(self.attentions))] = weights
        self.attentions.append(Attention(weights, values, self.layer_name()))
        self.softmaxes.append(softmax)
        self.functions_after.clear()

    def split_heads(self, values: Tensor) -> Tensor:
        """`(B, h, N, M)`, also where one axis holds inputs times heads, or there is one head.

        Of more axes the first ones become one: they are windows of a picture, which nobody may take for heads.
        """
        if values.ndim == 3:
            return values.reshape(self.inputs or len(values), -1, *values.shape[-2:])
        return values.flatten(0, values.ndim - 4)

    def find_weights(self, product: Product) -> Factor | None:
        """The factor that weighs the other one; None where neither comes from a softmax over what is summed."""
        if not product.shared_letters():  # a constant has no axis of inputs: it mixes weights, and is not weighted
            return None
        for factor in (product.first, product.second):
            lineage = self._lineages.get(factor.tensor)
            if lineage is None:
                continue
            mixes_heads = lineage.mixed and not lineage.written_out and factor.tensor.ndim >= 4
            if mixes_heads or _sums_to_one(factor.tensor, factor.axis(product.summed)):
                return factor
        return None

    def follow_weights(self, name: str, args: tuple, kwargs: Mapping[str, Any], result: Any) -> None:
        """Enter what came of a softmax, as long as it may still be weights: nothing but its numbers are changed."""
        if name in {"softmax", "exp"}:
            self._lineages.put(result, _Lineage(self._count, written_out=name == "exp"))
            self._count += 1
            return
        if name not in CARRIED | _MIXING:
            return
        for tensor in _list_factors(args):
            lineage = self._lineages.get(tensor)
            if lineage is None or not isinstance(result, Tensor):
                continue
            # what has more or fewer numbers than the weights is something that they were multiplied with
            if name in {"expand", "__getitem__"} or result.numel() == tensor.numel():
                mixed = lineage.mixed or name in _MIXING
                self._lineages.put(result, _Lineage(lineage.softmax, mixed, lineage.written_out))
                return


def _list_factors(args: tuple) -> list[Tensor]:
    """The tensors among the arguments, those of an `einsum` given as a list too."""
    found: list[Tensor] = []
    for value in args:
        if isinstance(value, Tensor):
            found.append(value)
        elif isinstance(value, list | tuple):
            found.extend(entry for entry in value if isinstance(entry, Tensor))
    return found


def _sums_to_one(weights: Tensor, axis: int) -> bool:
    excess = weights.detach().sum(axis) - 1
    return bool((excess.abs() < _SUM_TOLERANCE).all())


class AttentionComparison(AttentionCapture):
    """The model goes on with its own attention; `errors` says how far the written-out one is from it."""

    def __init__(self) -> None:
        super().__init__()
        self.errors: list[float] = []

    def run_fused(self, function: Callable, args: tuple, kwargs: Mapping[str, Any]) -> Any:
        """A fused function as the model calls it, beside the same written out."""
        own = function(*args, **kwargs)
        written_out = super().run_fused(function, args, kwargs)
        if isinstance(own, tuple):  # (output, weights)
            self.errors.append(relative_distance(written_out[0], own[0]))
        else:
            self.errors.append(relative_distance(written_out, own))
        return own

    def run_product(self, product: Product, weights: Factor) -> Tensor:
        """A product as the model calls it, beside the same with the weights that are kept."""
        own = product.run(product.first.tensor, product.second.tensor)
        self.errors.append(relative_distance(super().run_product(product, weights), own))
        return own


def relative_distance(values: Tensor, expected: Tensor) -> float:
    """Largest difference, in parts of the largest expected value."""
    return float((values - expected).abs().max() / expected.abs().max())
