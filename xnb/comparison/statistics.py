"""What a table of `xnb.compare` says: ranks, agreement, and what cheapness costs."""

from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias

import numpy as np
import pandas as pd
from jaxtyping import Float
from numpy.typing import NDArray

from xnb.check import require
from xnb.metrics import METRICS

Directions: TypeAlias = Mapping[str, Literal["higher", "lower", "neither"]]  # by metric: which end is better
_SIGNS = {"higher": 1, "lower": -1, "neither": 0}
_BACKWARD_COST = 2  # a backward pass by a forward one, as multiplications go


def image_columns(table: pd.DataFrame) -> pd.DataFrame:
    """Return values with a row for each (method, metric) and a column for each image; means where models are several.

    Rows stand in the order of the table, images by their number.
    """
    keys = ["method", "metric"]
    values = table.groupby([*keys, "image"], sort=False)["value"].mean()
    by_image = values.unstack("image").sort_index(axis=1)
    order = pd.MultiIndex.from_frame(table[keys].drop_duplicates())
    return by_image.reindex(order)


def signed_means(table: pd.DataFrame, better: Directions | None = None) -> pd.DataFrame:
    """Return the mean of each method (rows) by each metric (columns), with the sign by which more is better.

    Metrics of which neither direction is better are left out, and methods that some metric has no value for.

    Raises:
        ValueError: a metric's direction is not known.
    """
    means = image_columns(table).mean(axis=1).unstack("metric")
    means = means.loc[table["method"].unique(), table["metric"].unique()]
    signs = metric_signs(list(means.columns), better)
    # Methods are dropped last: NaN by a metric without a better end must not cost a method its rank.
    return (means * signs)[signs.index].dropna()


def metric_signs(metrics: Sequence[str], better: Directions | None = None) -> "pd.Series[int]":
    """Return 1 for each metric of which more is better, -1 of which less is; others are left out.

    Raises:
        ValueError: a metric's direction is not known.
    """
    directions = {name: card.better for name, card in METRICS.cards.items()} | dict(better or {})
    unknown = [name for name in metrics if name not in directions]
    rule = "ranks: of some metrics it is not known which end is better"
    require(not unknown, rule, unknown, f"better={dict.fromkeys(unknown, 'higher')}  # or 'lower'")
    signs = pd.Series({name: _SIGNS[directions[name]] for name in metrics})
    return signs[signs != 0]


def ranks(table: pd.DataFrame, *, better: Directions | None = None) -> pd.DataFrame:
    """Return the rank of each method (rows) by each metric (columns): 1 is best, ties share their mean.

    Args:
        better: direction of metrics that `xnb.metrics.catalog()` does not know, `{"my_metric": "lower"}`.

    Raises:
        ValueError: a metric's direction is not known.
    """
    return signed_means(table, better).rank(ascending=False)


def agreement(table: pd.DataFrame, *, better: Directions | None = None) -> pd.DataFrame:
    """Return Spearman's correlation between metrics of their ranks of the methods: 1, same order; -1, reverse order."""
    return ranks(table, better=better).corr()


def concordance(table: pd.DataFrame, *, better: Directions | None = None) -> float:
    r"""Return Kendall's W of all metrics: 1 if they rank the methods in the same order, about 1 / metrics if by chance.

    .. math:: W = \frac{\operatorname{Var}_i(\sum_j r_{ij})}{m \sum_j \operatorname{Var}_i(r_{ij})}

    with :math:`r_{ij}` the rank of method i by metric j of m, ties sharing their mean. Metrics that share a definition
    (`morf`, `srg`) agree for that reason. NaN without two methods and two metrics, or where all is tied.
    `estimate_concordance` says what chance gives.

    Source: Kendall & Babington Smith 1939, doi:10.1214/aoms/1177732186
    """
    return float(kendall_w(ranks(table, better=better).to_numpy()))


def kendall_w(table_of_ranks: Float[np.ndarray, "*draws methods metrics"]) -> Float[np.ndarray, "*draws"]:
    """Return Kendall's W of each table of ranks; NaN where it is not defined."""
    methods, metrics = table_of_ranks.shape[-2:]
    if methods < 2 or metrics < 2:
        return np.full(table_of_ranks.shape[:-2], np.nan)
    of_sums = table_of_ranks.sum(-1).var(-1)
    of_ranks = table_of_ranks.var(-2).sum(-1)
    undefined = np.full_like(of_sums, np.nan)
    return np.divide(of_sums, metrics * of_ranks, out=undefined, where=of_ranks > 0)


def pareto(
    table: pd.DataFrame,
    metric: str,
    *,
    cost: Literal["passes", "method_seconds"] = "passes",
    better: Directions | None = None,
) -> pd.DataFrame:
    """Return cost and value of each method, and whether it is on the `front`: nobody is better who costs no more.

    `passes` counts a forward pass as 1 and a backward pass as 2, and is the same on every machine; seconds are not.

    Args:
        metric: by which methods are judged.
        cost: `passes`, or `method_seconds`, per image.
        better: as in `ranks`.

    Raises:
        ValueError: no such metric in the table, or its direction is not known.
    """
    rows = table[table["metric"] == metric]
    require(
        len(rows) > 0,
        "pareto: no such metric in the table",
        metric,
        f"one of {list(table['metric'].unique())}",
    )
    signed = signed_means(rows, better)
    hint = f"better={dict.fromkeys([metric], 'higher')}  # or 'lower'"
    require(metric in signed, "pareto: of this metric neither direction is better", metric, hint)
    costs = rows["forward"] + _BACKWARD_COST * rows["backward"] if cost == "passes" else rows[cost]
    # the value as it is for the reader, its sign turned for the front
    columns = {
        "cost": costs.groupby(rows["method"]).mean(),
        "value": image_columns(rows).mean(axis=1).droplevel("metric"),
    }
    methods = pd.DataFrame(columns).loc[signed.index]
    methods["front"] = _is_on_front(methods["cost"].to_numpy(), signed[metric].to_numpy())
    return methods


def _is_on_front(cost: NDArray, value: NDArray) -> NDArray:
    """Return which methods are on the Pareto front: no other is as cheap and as good, and strictly better in one."""
    # [i, j] compares method i, a row, with method j, a column
    as_cheap = cost[:, None] >= cost
    as_good = value[:, None] <= value
    cheaper_or_better = (cost[:, None] > cost) | (value[:, None] < value)
    beaten = as_cheap & as_good & cheaper_or_better
    return np.logical_not(beaten.any(1))
