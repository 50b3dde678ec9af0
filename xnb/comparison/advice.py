"""Which method to take: of those that beat every control and are not worse than the best, the cheapest; all paired."""

from collections.abc import Collection
from typing import Literal

import pandas as pd

from xnb.check import refuse, require
from xnb.comparison.differences import estimate_differences
from xnb.comparison.inference import adjust_holm, write_interval
from xnb.comparison.statistics import Directions, metric_signs, pareto
from xnb.methods import METHODS

_ENDS = ["mean", "low", "high"]


def advise(
    table: pd.DataFrame,
    metric: str,
    *,
    controls: Collection[str] | None = None,
    cost: Literal["passes", "method_seconds"] = "passes",
    better: Directions | None = None,
    level: float = 0.95,
) -> pd.DataFrame:
    """Return which method to take by one metric, and why none of the others: a row a method, the advised one first.

    A method passes if it beats *every* control, image by image within each training: by paired differences whose
    p-values hold for all pairs of a method and a control together (Holm). Of those that pass, a method is worse if
    the whole interval of its paired difference from the best of them lies on the worse side. The cheapest of the rest
    is advised; of equally cheap ones the best.

    Columns: `method`, `cost`, `value` (its mean); `control`, the one it beats least clearly, and `lead`, by how much,
    with the interval `lead_low`, `lead_high` and `p_holm`; `behind`, its distance from the best, 0 or less, with
    `behind_low`, `behind_high`; `reason`, in words. Distances are turned so that more is better. Methods without a
    value are left out.

    It misleads where images are few: "not worse" then means "not shown to be worse", and `behind_low` says by how
    much it may be. With several models intervals speak of other trainings too. The advice holds for this metric, this
    network and these images.

    Args:
        controls: labels of the rows that know nothing of the model; those of the catalog if omitted.
        cost: `passes` per image, a backward pass counting two, or `method_seconds`.
        better: as in `ranks`.
        level: probability that an interval is to cover; p-values are held against `1 - level`.

    Raises:
        ValueError: the table has no controls or no method beside them, or none of them beats every control.

    Source: Holm 1979, doi:10.2307/4615733
    """
    methods = pareto(table, metric, cost=cost, better=better).drop(columns="front")
    known = _list_controls(list(methods.index), controls)
    sign = int(metric_signs([metric], better)[metric])
    rows = table[table["metric"] == metric]
    leads = _find_least_leads(rows, known, sign, level)
    methods = methods.drop(index=known).join(leads)
    passing = methods.index[methods["passes"]]
    if passing.empty:
        _refuse_all(methods, metric)
    best = (sign * methods.loc[passing, "value"]).idxmax()
    # The best has no distance from itself; the others are paired with it image by image.
    behind = _measure_behind(rows, best, sign, level)
    methods = methods.join(behind.loc[passing.drop(best)])
    methods.loc[best, ["behind", "behind_low", "behind_high"]] = 0.0
    return _order_by_reason(methods, best, sign)


def _list_controls(methods: list[str], controls: Collection[str] | None) -> list[str]:
    """Return the labels of the controls, which must be some of the methods and not all of them."""
    if controls is None:
        controls = [name for name in methods if name in METHODS.cards and METHODS.cards[name].family == "control"]
    rule = "advise: the table must hold controls, which know nothing of the model, and a method beside them"
    hint = f"controls={methods[-1:]}  # the labels that know nothing of the model"
    require(0 < len(set(controls)) < len(methods), rule, methods, hint)
    return list(controls)


def _turn(differences: pd.DataFrame, sign: int) -> pd.DataFrame:
    """Return differences by method, turned so that more is better."""
    turned = differences.set_index("method")
    if sign < 0:
        turned[_ENDS] = -turned[["mean", "high", "low"]].to_numpy()
    return turned


def _find_least_leads(
    rows: pd.DataFrame,
    controls: list[str],
    sign: int,
    level: float,
) -> pd.DataFrame:
    """Return for each method the control that it beats least clearly, and whether it beats it: then it beats all."""
    pairs = []
    for control in controls:
        leads = _turn(estimate_differences(rows, control, level=level), sign)
        pairs.append(leads.drop(index=controls, errors="ignore").assign(control=control))
    table = pd.concat(pairs)
    table["p_holm"] = adjust_holm(table["p_value"])
    is_clear = table["p_holm"] < 1 - level
    table["passes"] = is_clear & (table["mean"] > 0)
    # What is not beaten first, and then what the interval comes nearest to.
    ordered = table.sort_values(["passes", "low"], kind="stable")
    least = ordered[~ordered.index.duplicated()]
    names = {"mean": "lead", "low": "lead_low", "high": "lead_high"}
    return least.rename(columns=names)[["control", *names.values(), "p_holm", "passes"]]


def _measure_behind(
    rows: pd.DataFrame,
    best: str,
    sign: int,
    level: float,
) -> pd.DataFrame:
    """Return how far each method is from the best one, less than 0 where it is worse."""
    names = {"mean": "behind", "low": "behind_low", "high": "behind_high"}
    differences = _turn(estimate_differences(rows, best, level=level), sign)
    return differences.rename(columns=names)[[*names.values()]]


def _refuse_all(methods: pd.DataFrame, metric: str) -> None:
    """Refuse to advise, and name the method that came nearest."""
    nearest = methods.sort_values("lead_low", na_position="first").iloc[-1]
    refuse(
        f"advise: by {metric} no method beats every control",
        f"{nearest.name}, which comes nearest, less {nearest['control']}: {_write_ends(nearest, 'lead')}",
        f'xnb.comparison.estimate_differences(table, "{nearest["control"]}")  # how far each is from that control',
    )


def _order_by_reason(methods: pd.DataFrame, best: str, sign: int) -> pd.DataFrame:
    """Return the advised method, those as good but dearer, those that are worse, and those that a control beats."""
    fails = ~methods["passes"]
    worse = methods["behind_high"] < 0  # never of those that do not pass, which have no distance
    keys = pd.DataFrame({"group": fails * 2 + worse, "cost": methods["cost"], "value": -sign * methods["value"]})
    ordered = methods.loc[keys.sort_values(["group", "cost", "value"], kind="stable").index]
    advised = ordered.index[0]
    reasons = [_give_reason(row, str(name), best, advised) for name, row in ordered.iterrows()]
    return ordered.drop(columns="passes").assign(reason=reasons).rename_axis("method").reset_index()


def _give_reason(row: pd.Series, name: str, best: str, advised: str) -> str:
    """Return why it is advised, or why not."""
    if not row["passes"]:
        return f"does not beat {row['control']}: {_write_ends(row, 'lead')}"
    if row["behind_high"] < 0:
        return f"worse than {best}: {_write_ends(row, 'behind')}"
    standing = "the best"
    if name != best:
        standing = f"not worse than {best}, {_write_ends(row, 'behind')}"
    if name == advised:
        lead = _write_ends(row, "lead")
        return f"advised: beats every control, {row['control']} by {lead}; {standing}"
    return f"costs more than {advised}; {standing}"


def _write_ends(row: pd.Series, name: str) -> str:
    return write_interval(row[name], row[f"{name}_low"], row[f"{name}_high"], ".2f")
