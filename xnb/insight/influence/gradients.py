"""Gradients of each input's own loss at the parameters of a network, one row an input."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from xnb.access.model_call import check_explainable, chunk_logits
from xnb.check import require
from xnb.data.split import Part

Rows = Float[Tensor, "N P"]
# Of one input's logits (1, K) and its class: what is differentiated.
Objective = Callable[[Float[Tensor, "1 K"], Tensor], Tensor]


def read_parameters(model: nn.Module, names: Sequence[str] | None = None) -> list[nn.Parameter]:
    """Return the parameters of these names, in the order of the model; all of them if there are no names.

    Raises:
        ValueError: a name that the model does not have, or a parameter that is frozen.
    """
    known = dict(model.named_parameters())
    unknown = [name for name in names or () if name not in known]
    hint = f"parameters={list(known)[-2:]}"
    require(not unknown, "influence: the model must have parameters of these names", unknown, hint)
    # in the order of the model, whatever that of the names: rows of two calls go together
    selected = [name for name in known if names is None or name in names]
    rule = "influence: the model must have parameters"
    require(bool(selected), rule, type(model).__name__, "model = xnb.models.Net(4).eval()")
    frozen = [name for name in selected if not known[name].requires_grad]
    rule = "influence: parameters must be trainable, as gradients are taken at them"
    require(not frozen, rule, frozen[:3], "model.requires_grad_(True)")
    return [known[name] for name in selected]


def _cross_entropy_of(logits: Float[Tensor, "1 K"], y: Tensor) -> Tensor:
    """Cross-entropy of one input in nats."""
    return F.cross_entropy(logits, y)


def margin_of(logits: Float[Tensor, "1 K"], y: Tensor) -> Tensor:
    r"""Log-odds of the class of one input, :math:`\log p_y - \log(1 - p_y)`."""
    own = logits.gather(1, y[:, None])[:, 0]
    others = logits.scatter(1, y[:, None], -torch.inf)
    return (own - others.logsumexp(1)).sum()


def example_gradients(
    model: nn.Module, part: Part, objective: Objective = _cross_entropy_of, names: Sequence[str] | None = None
) -> Rows:
    """Gradient of each input's objective at the parameters, flattened in the order of `model.named_parameters()`.

    Each input runs alone: what its row holds does not depend on the others.

    Args:
        names: of the parameters; all of them if omitted.

    Raises:
        ValueError: a model in training mode, names that it does not have, or frozen parameters.
    """
    check_explainable(model, part.x)
    parameters = read_parameters(model, names)
    count = sum(parameter.numel() for parameter in parameters)
    rows = part.x.new_empty(len(part), count)
    for n in range(len(part)):
        one = part[n : n + 1]
        with torch.enable_grad():
            # a copy: a first module may write into its input
            value = objective(chunk_logits(model, one.x.clone()), one.y)
            gradients = torch.autograd.grad(value, parameters, allow_unused=True)
        rows[n] = _flatten(gradients, parameters)
    return rows


def _flatten(gradients: Sequence[Tensor | None], parameters: Sequence[nn.Parameter]) -> Float[Tensor, " P"]:
    """One row of all gradients; a parameter that the value does not depend on has zeros."""
    pairs = zip(gradients, parameters, strict=True)
    return torch.cat([torch.zeros_like(p).flatten() if g is None else g.flatten() for g, p in pairs])
