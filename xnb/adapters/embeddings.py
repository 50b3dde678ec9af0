"""Models of token ids as models of the vectors that stand for them, so that a gradient has something to reach."""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from xnb.access.hooks import forward_hooks
from xnb.access.model_call import find_module_behind
from xnb.access.rows import follow_rows
from xnb.adapters.inputs import ModelWithInputs
from xnb.check import refuse, require
from xnb.types import Logits, Model


def embed_tokens(model: Model, ids: Int[Tensor, "B T"], **extras: object) -> tuple[nn.Module, Float[Tensor, "B T D"]]:
    """Return the model of embeddings, and the embeddings of `ids`: the same logits, of floats that can be explained.

    The model still gets its ids, so positions, token types and whatever it works out of ids stay as they were; only
    what its table of embeddings returned is replaced. The sum of an attribution over the last axis belongs to a token.
    A baseline of 0 is a vector that no token has; the embedding of a padding or mask token is another.

    Args:
        ids: of the batch that is explained, one row for each input.
        extras: what else the model takes, as for `with_inputs`: `attention_mask=mask`.

    Raises:
        ValueError: no single `nn.Embedding` of the model looks these ids up.
    """
    module = find_module_behind(model)
    if module is None:
        refuse(
            "embed_tokens: the model must be a module", model, "xnb.adapters.embed_tokens(net, ids)  # net: a module"
        )
    inner = ModelWithInputs(model, (), extras, None)
    name, embeddings = _find_embedding(inner, ids)
    return _ModelOfEmbeddings(model, ids, extras, name), embeddings


def _find_embedding(model: ModelWithInputs, ids: Int[Tensor, "B T"]) -> tuple[str, Tensor]:
    """Name of the module that looks the ids up, and what it returns for them."""
    tables = {name: part for name, part in model.named_modules() if isinstance(part, nn.Embedding)}
    found: list[tuple[str, Tensor]] = []

    def watch(name: str) -> Any:
        def hook(table: nn.Module, args: tuple, out: Tensor) -> None:
            if _is_lookup(args, ids):
                found.append((name, out.detach().clone()))

        return hook

    pairs = [(table, watch(name)) for name, table in tables.items()]
    with torch.no_grad(), forward_hooks(pairs):
        model(ids)
    # Looked up in two places, a token acts through both; the attribution at one of them would leave the other out.
    rule = "embed_tokens: the ids must be looked up once, by one nn.Embedding of the model"
    names = [name for name, _ in found]
    require(
        len(found) == 1,
        rule,
        names or list(tables),
        "xnb.adapters.with_inputs(net, mask=mask)  # net: what stands behind the table",
    )
    return found[0]


def _is_lookup(args: tuple, ids: Tensor) -> bool:
    """Whether a table was called with the ids, and not with positions or token types."""
    return bool(args) and args[0].shape == ids.shape and torch.equal(args[0], ids)


class _ModelOfEmbeddings(ModelWithInputs):
    """A model of token ids whose looked up embeddings are replaced."""

    ids: Tensor

    def __init__(self, model: Model, ids: Int[Tensor, "B T"], extras: dict[str, object], table: str) -> None:
        super().__init__(model, (), extras, None)
        self.ids = nn.Buffer(ids, persistent=False)
        self.table = table

    def forward(self, embeddings: Float[Tensor, "B T D"]) -> Logits:
        ids = follow_rows(self.ids, len(embeddings), "ids").expand(len(embeddings), -1)

        def replace(table: nn.Module, args: tuple, out: object) -> object:
            if _is_lookup(args, ids):
                return embeddings
            return None

        with forward_hooks([(self.get_submodule(self.table), replace)]):
            return super().forward(ids)

    def extra_repr(self) -> str:
        return f"table={self.table}"
