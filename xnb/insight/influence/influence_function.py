"""Influence functions: what one training input less would do, by one step of Newton's method (arXiv:1703.04730)."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from xnb.access.model_call import chunk_logits
from xnb.check import require
from xnb.data.split import Part
from xnb.insight.influence.gradients import example_gradients, read_parameters
from xnb.insight.influence.registry import influence

_MOST_PARAMETERS = 5000  # whose matrix of curvature has 200 MB in double precision


@influence(needs="parameters", unit="nats", paper="Koh & Liang 2017, arXiv:1703.04730")
def influence_functions(
    model: nn.Module,
    train: Part,
    test: Part,
    *,
    damping: float = 1e-3,
    parameters: Sequence[str] | None = None,
) -> Float[Tensor, "B N"]:
    r"""By how much the loss of a test input would rise without a training input, to first order, in nats.

    .. math:: I_{bn} = \frac{1}{N} \nabla \ell_b^\top (H + \lambda)^{-1} \nabla \ell_n

    :math:`H` is the Gauss-Newton matrix of the mean loss: the Hessian itself for a linear model, and never negative
    for others. Exact as one input among many where the model is linear and has been trained to the end with a penalty
    :math:`\frac{\lambda}{2} |\theta|^2` on the mean loss. It misleads for a network that has not converged or that
    another training would lead elsewhere: retraining then changes more than any step from here.

    Args:
        model: in evaluation mode; float64 where numbers matter, as the matrix is badly conditioned.
        train: the inputs that it learned, with the classes that it was told.
        damping: lambda, what is added to the diagonal.
        parameters: names of those that may move; all of them if omitted.

    Raises:
        ValueError: too many parameters for a matrix, no damping, or what `example_gradients` refuses.
    """
    require(damping > 0, "influence_functions: damping must be positive, or no inverse exists", damping, "damping=1e-3")
    _require_few(model, parameters)
    curvature = gauss_newton(model, train, parameters)
    curvature.diagonal().add_(damping)
    of_train = example_gradients(model, train, names=parameters).to(curvature)
    of_test = example_gradients(model, test, names=parameters).to(curvature)
    # what a Newton step along each training input's gradient moves
    moved = torch.cholesky_solve(of_train.T, torch.linalg.cholesky(curvature))
    return (of_test @ moved / len(train)).to(train.x.dtype)


def _require_few(model: nn.Module, names: Sequence[str] | None) -> None:
    """Refuse so many parameters that their matrix does not fit in memory."""
    count = sum(parameter.numel() for parameter in read_parameters(model, names))
    last = [name for name, _ in model.named_parameters()][-2:]
    rule = f"influence_functions: at most {_MOST_PARAMETERS:,} parameters, as their curvature is one matrix"
    require(count <= _MOST_PARAMETERS, rule, f"{count:,}", f"parameters={last}")


def gauss_newton(model: nn.Module, part: Part, names: Sequence[str] | None = None) -> Float[Tensor, "P P"]:
    r"""Mean over the inputs of :math:`J^\top (\mathrm{diag}(p) - p p^\top) J`, with the Jacobian of the logits.

    In double precision, whatever the model has.
    """
    parameters = read_parameters(model, names)
    count = sum(parameter.numel() for parameter in parameters)
    total = torch.zeros(count, count, dtype=torch.float64, device=part.x.device)
    for n in range(len(part)):
        jacobian, p = _logit_jacobian(model, part.x[n : n + 1], parameters)
        # rows scaled by sqrt(p) and centred: their products are those with the matrix of covariances
        spread = jacobian - p @ jacobian
        centred = p.sqrt()[:, None] * spread
        total += centred.T @ centred
    return total / len(part)


def _logit_jacobian(
    model: nn.Module, x: Tensor, parameters: Sequence[nn.Parameter]
) -> tuple[Float[Tensor, "K P"], Float[Tensor, " K"]]:
    """Gradients of all logits of one input, and its probabilities."""
    with torch.enable_grad():
        logits = chunk_logits(model, x.clone())[0]
        rows = []
        for logit in logits:
            gradients = torch.autograd.grad(logit, parameters, retain_graph=True, materialize_grads=True)
            rows.append(torch.cat([gradient.flatten() for gradient in gradients]))
    return torch.stack(rows).double(), logits.detach().double().softmax(0)
