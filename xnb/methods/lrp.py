"""Layer-wise relevance propagation: rules by function in `lrp_rules`, how they divide in `lrp_division`."""

from functools import partial

import torch

from xnb.access.chunking import chunks, join_chunks
from xnb.access.functions.function_kinds import AFFINE
from xnb.access.functions.function_rules import apply_rules, rule_gradient
from xnb.access.functions.traced_call import Rule, Rules
from xnb.access.ledger import leave_note
from xnb.access.model_call import check_explainable
from xnb.access.score import align_to_inputs
from xnb.access.targets import score_weights, target_logit
from xnb.check import require
from xnb.methods.lrp_rules import COMPOSITES, start_with_rule, suggest_rule
from xnb.methods.registry import method
from xnb.types import Attribution, Batch, Model, Scores, Target


@method(
    family="rules",
    needs="gradient",
    cost="F + B",
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

    .. math:: R_i = \sum_j \frac{z_{ij}}{z_j + \epsilon\,\mathrm{sign}\, z_j} R_j, \qquad z_j = \sum_i z_{ij} + z_{bj}

    .. math:: z_{ij} = \begin{cases} x_i w_{ij} & \text{epsilon} \\ (x_i w_{ij})^+ & \text{z-plus} \\
        x_i w_{ij} + \gamma\,(x_i w_{ij})^{\mathrm{sign}\, z_j} & \text{gamma, } \gamma = 0.25 \\
        1 & \text{flat} \end{cases}

    .. math:: R_i = x_i \Bigl(R_i' - s_i \sum_j R_j'\Bigr), \qquad s = \operatorname{softmax}(x) \text{ (attn\_lrp)}

    Here :math:`R_j` arrives at output :math:`j`, and :math:`z_{ij}` is what input :math:`i` contributed to it, by
    default by z-plus in convolutions and by epsilon elsewhere; :math:`z_{bj}` is the bias, treated alike, whose part is
    absorbed. `alpha_beta` takes twice the shares of the positive contributions less those of the negative. Batch norms
    are folded into the convolution before them, and the branches of a residual join share by what each added. So
    relevance is conserved up to what the biases absorb: a third to three quarters of the score in a small trained
    network, and all but a hundredth of a percent with `epsilon_plus` in FastNet on four photographs, where `gamma`
    keeps 0.4 to 0.8 % and `epsilon` -52 to 28 %. What part an input keeps stands in the ledger of `explain`. A gate, as
    the sigmoid of an LSTM or of squeeze-and-excitation, and the deviation of a norm take nothing; two other factors get
    half each. With z-plus rules the upper layers hardly matter: the map shows what excites the network, and less well
    what speaks for one class rather than another (arXiv:1912.09818).

    To read the code, begin with `lrp_division.divide_in_proportion`, the first formula: every other rule varies it.

    Args:
        composite: a name in `COMPOSITES` or a table of your own: rule by function name, and the rule for the first
            function with weights or None. `epsilon`, `gamma`, `z_plus`, `alpha_beta` use one rule throughout;
            `epsilon_plus` has z-plus in convolutions and epsilon in linear layers; `flat` is the same, but the
            first layer divides evenly. In attention all of these take the weights as constant, which conserves
            relevance; `attn_lrp` and `attn_lrp_gamma` also hand some to queries and keys, and lose about half.
        chunk: inputs run together; the result does not depend on it.

    Raises:
        ValueError: the model contains a function without a rule (the error has the line that adds one) or code that
            cannot be seen, or it ends in probabilities.
    """
    by_name = isinstance(composite, str)
    known = composite in COMPOSITES if by_name else isinstance(composite, tuple | list) and len(composite) == 2
    require(known, f"lrp: composite must be a table or one of {sorted(COMPOSITES)}", composite, "composite='epsilon'")
    rules, first = COMPOSITES[composite] if isinstance(composite, str) else composite
    check_explainable(model, x, target)
    parts = []
    scores = [x.new_empty(0)]
    for rows in chunks(x, chunk, large=True):  # large, because every chunk splits all weights by sign anew
        table = rules if first is None else start_with_rule(rules, first)
        suggest = partial(suggest_rule, own_rules=table)
        surrogate = apply_rules(model, table, who="lrp", pending=frozenset(AFFINE), suggest=suggest)
        result = rule_gradient(surrogate, x, target, rows, "lrp")
        # Rules are linear in the relevance that arrives, so backward may start from 1 and the score come in last: of
        # one logit z, whose class 0 has the score -z, backward has started from -1 and z comes in.
        signs = score_weights(result.logits, target[rows])
        logit = (signs.abs() * result.logits).sum(1)
        parts.append(result.gradient * align_to_inputs(logit, x))
        scores.append(target_logit(result.logits, target[rows]))
    relevance = join_chunks(parts, x)
    _note_conserved_share(relevance, torch.cat(scores))
    return relevance


def _note_conserved_share(relevance: Attribution, scores: Scores) -> None:
    """Leave in the ledger what part of each score the relevance adds up to; what is missing was absorbed."""
    if len(scores):
        leave_note(conserved=relevance.flatten(1).sum(1) / scores)
