"""What is known about each method, kept beside the method itself."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from xnb.registry import Function, Registry

Family = Literal["control", "gradient", "rules", "cam", "attention", "perturbation"]
Needs = Literal["nothing", "forward", "gradient", "modules"]
Axiom = Literal["complete", "linear", "dummy", "target_free"]
Sign = Literal["evidence", "direction", "none"]
SharedGradient = Literal["", "input_gradient", "layer_gradient"]


@dataclass(frozen=True)
class MethodCard:
    """Facts of one method.

    Attributes:
        needs: what it asks of the model, beside being a function.
        cost: of one input, in forward (F) and backward (B) passes: a formula of knobs, of the M regions, D channels or
            N tokens, of the sides H and W, and in words what the formula leaves out, as a look at one input of a batch.
        axioms: promises: tests/test_contract.py checks each of them. "dummy": a channel whose weights in the first
            layer are 0 gets nothing.
        sign: what the sign of a value means: "evidence", more speaks for the target and less against it; "direction",
            whether the value must rise or fall to raise the score, which says neither; "none", no value is negative.
        shares: which gradient the method starts from that others start from too: that of the score at the input, or
            at the layer of its knob `layer`. `xnb.explain` then computes it once for all of them. No column of
            `catalog`, as it changes what is computed, not what is answered.
    """

    family: Family
    needs: Needs
    cost: str
    axioms: tuple[Axiom, ...]
    paper: str
    sign: Sign = "evidence"
    shares: SharedGradient = ""


METHODS: Registry[MethodCard] = Registry("method", "attribute: no method of that name")


def method(
    *,
    family: Family,
    needs: Needs,
    cost: str,
    paper: str,
    axioms: tuple[Axiom, ...] = (),
    sign: Sign = "evidence",
    shares: SharedGradient = "",
) -> Callable[[Function], Function]:
    """Enter a function in `METHODS` under its own name; the function itself is returned untouched."""
    return METHODS.enter(MethodCard(family, needs, cost, axioms, paper, sign, shares))


def catalog() -> pd.DataFrame:
    """One row a method: method, family, needs, cost, axioms, paper, sign."""
    return METHODS.table().drop(columns="shares")
