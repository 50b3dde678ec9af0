"""Methods that replace the backward step of some functions. A rule is a function, a composite is a table of them."""

from torch import Tensor

from xnb.access.function_rules import (
    Call,
    Rule,
    Rules,
    apply_rules,
    keep_gradient,
    keep_positive_gradient,
    replace_gradient,
)
from xnb.access.score import align_to_inputs, check_explainable, chunk_gradient, chunks, join_chunks, target_logit
from xnb.check import require
from xnb.methods.lrp_rules import AFFINE, COMPOSITES, entering
from xnb.methods.registry import method
from xnb.types import Attribution, Batch, Model, Target

RECTIFIERS = ("relu", "relu6", "hardtanh", "clamp", "clamp_min")  # where their lower bound is zero


@method(
    family="rules",
    needs="gradient",
    cost="2F + B",
    axioms=("dummy",),
    paper="Bach et al. 2015, doi:10.1371/journal.pone.0130140; composites: arXiv:1910.09840",
)
def lrp(
    model: Model,
    x: Batch,
    target: Target,
    *,
    composite: str | tuple[Rules, Rule | None] = "epsilon_plus",
    chunk: int | None = None,
) -> Attribution:
    r"""Relevance of each input value: the score, handed back function by function in proportion. Unit: score.

    .. math:: R_i = \sum_j \frac{z_{ij}}{z_j + \epsilon\,\mathrm{sign} z_j} R_j

    What counts as the contribution :math:`z_{ij}` is the rule of the function. Batch norms are folded into the
    convolution before them and residual joins share by what was added, so relevance is conserved up to what the
    biases absorb, which is a third to three quarters of the score in a small trained network. With z-plus rules the
    upper layers hardly matter: it finds what excites the network, less well what speaks for one class rather than
    another (arXiv:1912.09818).

    Args:
        composite: a name in `COMPOSITES` or a table of your own: rule by function name, and the rule for the first
            function with weights or None. `epsilon`, `gamma`, `z_plus`, `alpha_beta` use one rule throughout;
            `epsilon_plus` has z-plus in convolutions and epsilon in linear layers; `flat` is the same with the
            first layer spread evenly. In attention all of them take the weights as constant, which conserves
            relevance; `attn_lrp` and `attn_lrp_gamma` also hand some to queries and keys, and lose about half.
        chunk: inputs run together; the result does not depend on it.

    Raises:
        ValueError: the model contains a function without a rule, a product of two signals, or code that
            cannot be seen.
    """
    named = not isinstance(composite, str) or composite in COMPOSITES
    require(named, f"lrp: composite must be a table or one of {sorted(COMPOSITES)}", composite, "composite='epsilon'")
    rules, first = COMPOSITES[composite] if isinstance(composite, str) else composite
    check_explainable(model, x, target)
    parts = []
    for part in chunks(x, chunk, large=True):  # each takes all weights apart anew
        table = rules if first is None else entering(rules, first)
        surrogate = apply_rules(model, table, who="lrp", pending=frozenset(AFFINE))
        slope, out, _ = chunk_gradient(surrogate, x[part], target[part])
        # rules are linear in what arrives: the score comes in last
        parts.append(slope * align_to_inputs(target_logit(out, target[part]), x))
    return join_chunks(parts, x)


@method(family="rules", needs="gradient", cost="F + B", paper="Springenberg et al. 2015, arXiv:1412.6806")
def guided_backprop(model: Model, x: Batch, target: Target, *, chunk: int | None = None) -> Attribution:
    """Gradient that keeps only positive slope at every ReLU, on top of the ReLU's own gate. Unit: score per input unit.

    Sharp and nearly blind to the upper layers: it redraws the picture's edges whatever the class (arXiv:1810.03292).

    Args:
        chunk: inputs run together; the result does not depend on it.

    Raises:
        ValueError: the model has no ReLU, so the result would be the plain gradient.
    """
    return _through_rectifiers(model, x, target, chunk, "guided_backprop", gated=True)


@method(family="rules", needs="gradient", cost="F + B", paper="Zeiler & Fergus 2014, arXiv:1311.2901")
def deconvnet(model: Model, x: Batch, target: Target, *, chunk: int | None = None) -> Attribution:
    """Gradient in which every ReLU gates what arrives from above instead of what came from below.

    Unit: score per input unit. Where no max pooling routes it back, it does not depend on the picture at all
    between two ReLU layers: read it as what the upper layers look for.

    Args:
        chunk: inputs run together; the result does not depend on it.

    Raises:
        ValueError: the model has no ReLU, so the result would be the plain gradient.
    """
    return _through_rectifiers(model, x, target, chunk, "deconvnet", gated=False)


def _through_rectifiers(
    model: Model, x: Batch, target: Target, chunk: int | None, who: str, *, gated: bool
) -> Attribution:
    check_explainable(model, x, target)
    met: list[str] = []

    def rule(call: Call) -> Tensor:
        if lower_bound(call) != 0:
            return keep_gradient(call)
        met.append(call.name)
        if gated:  # below the ReLU, whose gate lets through or not: what it hands down is new
            return call.on(keep_positive_gradient(call.args[0], own=True))
        return keep_positive_gradient(replace_gradient(call.value(), call.args[0]))

    surrogate = apply_rules(model, dict.fromkeys(RECTIFIERS, rule), who=who, others=keep_gradient)
    parts = [chunk_gradient(surrogate, x[part], target[part]).gradient for part in chunks(x, chunk)]
    hint = "xnb.attribute(model, x, target, 'gradient')"
    require(not parts or bool(met), f"{who}: the model must have a ReLU", "none in a forward pass", hint)
    return join_chunks(parts, x)


def lower_bound(call: Call) -> float | None:
    """What a rectifier's values are kept above."""
    if call.name in {"relu", "relu6"}:
        return 0.0
    name, default = ("min_val", -1.0) if call.name == "hardtanh" else ("min", None)
    return call.args[1] if len(call.args) > 1 else call.kwargs.get(name, default)
