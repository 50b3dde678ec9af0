"""Layer-wise relevance propagation: rules by function in `lrp_rules`, how they divide in `lrp_division`."""

from xnb.access.chunking import chunks, join_chunks
from xnb.access.function_rules import Rule, Rules, apply_rules
from xnb.access.model_call import check_explainable
from xnb.access.score import align_to_inputs, chunk_gradient
from xnb.access.targets import target_logit
from xnb.check import require
from xnb.methods.lrp_rules import AFFINE, COMPOSITES, start_with_rule
from xnb.methods.registry import method
from xnb.types import Attribution, Batch, Model, Target


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

    The rule of a function says what counts as the contribution :math:`z_{ij}`. Batch norms are folded into the
    convolution before them, and the branches of a residual join share by what each added. So relevance is conserved
    up to what the biases absorb, which is a third to three quarters of the score in a small trained network. With
    z-plus rules the upper layers hardly matter: the map shows what excites the network, and less well what speaks for
    one class rather than another (arXiv:1912.09818).

    To read the code, begin with `lrp_division.divide_in_proportion`, the formula above: every other rule varies it.

    Args:
        composite: a name in `COMPOSITES` or a table of your own: rule by function name, and the rule for the first
            function with weights or None. `epsilon`, `gamma`, `z_plus`, `alpha_beta` use one rule throughout;
            `epsilon_plus` has z-plus in convolutions and epsilon in linear layers; `flat` is the same, but the
            first layer divides evenly. In attention all of these take the weights as constant, which conserves
            relevance; `attn_lrp` and `attn_lrp_gamma` also hand some to queries and keys, and lose about half.
        chunk: inputs run together; the result does not depend on it.

    Raises:
        ValueError: the model contains a function without a rule, a product of two signals, or code that
            cannot be seen.
    """
    known = not isinstance(composite, str) or composite in COMPOSITES
    require(known, f"lrp: composite must be a table or one of {sorted(COMPOSITES)}", composite, "composite='epsilon'")
    rules, first = COMPOSITES[composite] if isinstance(composite, str) else composite
    check_explainable(model, x, target)
    parts = []
    for rows in chunks(x, chunk, large=True):  # large, because every chunk splits all weights by sign anew
        table = rules if first is None else start_with_rule(rules, first)
        surrogate = apply_rules(model, table, who="lrp", pending=frozenset(AFFINE))
        result = chunk_gradient(surrogate, x[rows], target[rows])
        # Rules are linear in the relevance that arrives, so backward may start from 1 and the score come in last.
        score = target_logit(result.logits, target[rows])
        parts.append(result.gradient * align_to_inputs(score, x))
    return join_chunks(parts, x)
