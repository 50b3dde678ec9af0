"""What a table of `xnb.compare` says: means with their uncertainty, ranks, agreement, and what cheapness costs."""

from collections.abc import Mapping
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xnb.check import require
from xnb.metrics import METRICS

Directions = Mapping[str, Literal["higher", "lower", "neither"]]
RESAMPLES = 2000
BACKWARD = 2  # a backward pass by a forward one, as multiplications go


def by_image(table: pd.DataFrame) -> pd.DataFrame:
    """Values with a row for each (method, metric) and a column for each image; the mean where models are several."""
    keys = ["method", "metric"]
    order = table[keys].drop_duplicates()
    wide = table.groupby([*keys, "image"], sort=False)["value"].mean().unstack("image").sort_index(axis=1)
    return wide.reindex(pd.MultiIndex.from_frame(order))


def intervals(
    table: pd.DataFrame,
    *,
    versus: str | None = None,
    level: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> pd.DataFrame:
    """Mean over images with a bootstrap interval: a row for each (method, metric).

    Images are drawn with replacement, the same for every method, so that differences are paired. The interval speaks
    of other images and of this network: `spread`, the standard deviation of the means of several models, speaks of
    other trainings. Images without a value (NaN) are left out; `images` says how many count.

    Args:
        versus: a method; all numbers are then differences from it, image by image.
        level: probability that the interval is to cover.
        resamples: draws of the images.
        seed: of the draws.

    Raises:
        ValueError: `versus` is not among the methods, or `level` not in (0, 1).
    """
    require(0 < level < 1, "intervals: level must lie between 0 and 1", level, "level=0.95")
    rows = compared(by_image(table), versus)
    low, high = bootstrap(rows.to_numpy(), level, resamples, seed)
    found = pd.DataFrame({"mean": rows.mean(axis=1), "low": low, "high": high, "images": rows.notna().sum(axis=1)})
    if "model" in table:
        means = [compared(by_image(one), versus).mean(axis=1) for _, one in table.groupby("model")]
        found["spread"] = pd.concat(means, axis=1).std(axis=1)
    return found.reset_index()


def compared(rows: pd.DataFrame, versus: str | None) -> pd.DataFrame:
    if versus is None:
        return rows
    methods = rows.index.unique("method")
    require(versus in methods, "intervals: versus must be one of the methods", versus, f"one of {list(methods)}")
    other = rows.xs(versus, level="method")
    return rows - other.reindex(rows.index.get_level_values("metric")).to_numpy()


def bootstrap(rows: NDArray, level: float, resamples: int, seed: int) -> tuple[NDArray, NDArray]:
    """Percentile interval of the mean of each row; one product of matrices, as a draw is a weight for each column."""
    count = rows.shape[1]
    weights = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), resamples).astype(float)
    there = np.isfinite(rows)
    total, number = weights @ np.where(there, rows, 0).T, weights @ there.T.astype(float)
    means = np.divide(total, number, out=np.full_like(total, np.nan), where=number > 0)
    nothing = ~there.any(1)
    means[:, nothing] = 0
    low, high = np.nanquantile(means, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return np.where(nothing, np.nan, low), np.where(nothing, np.nan, high)


def oriented(table: pd.DataFrame, better: Directions | None = None) -> pd.DataFrame:
    """Mean of each method (rows) by each metric (columns), turned so that more is better.

    Metrics of which neither direction is better are left out, and methods that some metric has no value for.

    Raises:
        ValueError: a metric's direction is not known.
    """
    means = by_image(table).mean(axis=1).unstack("metric")[table["metric"].unique()]
    means = means.reindex(table["method"].unique())
    known = {name: card.better for name, card in METRICS.cards.items()} | dict(better or {})
    strange = [name for name in means if name not in known]
    require(
        not strange, "ranks: of some metrics it is not known which end is better", strange, "better={...: 'higher'}"
    )
    sign = pd.Series({name: {"higher": 1, "lower": -1, "neither": 0}[known[name]] for name in means})
    return (means * sign)[sign.index[sign != 0]].dropna()


def ranks(table: pd.DataFrame, *, better: Directions | None = None) -> pd.DataFrame:
    """Rank of each method (rows) by each metric (columns): 1 is best, ties share their mean.

    Args:
        better: direction of metrics that `xnb.metrics.catalog()` does not know, `{"my_metric": "lower"}`.

    Raises:
        ValueError: a metric's direction is not known.
    """
    return oriented(table, better).rank(ascending=False)


def agreement(table: pd.DataFrame, *, better: Directions | None = None) -> pd.DataFrame:
    """Spearman's correlation between metrics of their ranks of the methods: 1, the same order; -1, the reverse."""
    return ranks(table, better=better).corr()


def concordance(table: pd.DataFrame, *, better: Directions | None = None) -> float:
    r"""Kendall's W of all metrics: 1 if they rank the methods alike, about 1 / metrics if by chance.

    .. math:: W = \frac{12 \sum_i (R_i - \bar R)^2}{m^2 (n^3 - n) - m \sum_j T_j}

    with :math:`R_i` the sum of method i's ranks by m metrics, n methods, and :math:`T_j = \sum (t^3 - t)` over the
    ties of metric j. Metrics that share a definition (`morf`, `srg`) agree for that reason. NaN without two methods
    and two metrics, or where all is tied.

    Source: Kendall & Babington Smith 1939, doi:10.1214/aoms/1177732186
    """
    places = ranks(table, better=better)
    n, m = places.shape
    tied = sum(((t := column.value_counts()) ** 3 - t).sum() for _, column in places.items())
    most = m**2 * (n**3 - n) - m * tied
    squares = places.sum(axis=1).sub(m * (n + 1) / 2).pow(2).sum()
    return float(12 * squares / most) if most > 0 and m > 1 else float("nan")


def pareto(
    table: pd.DataFrame,
    metric: str,
    *,
    cost: Literal["passes", "method_seconds"] = "passes",
    better: Directions | None = None,
) -> pd.DataFrame:
    """Cost and value of each method, and whether it is on the `front`: nobody is better who costs no more.

    `passes` counts a forward pass as 1 and a backward pass as 2, and is the same on every machine; seconds are not.

    Args:
        metric: by which methods are judged.
        cost: `passes`, or `method_seconds`, per image.
        better: as in `ranks`.

    Raises:
        ValueError: no such metric in the table, or its direction is not known.
    """
    some = table[table["metric"] == metric]
    require(len(some) > 0, "pareto: no such metric in the table", metric, f"one of {list(table['metric'].unique())}")
    worth = oriented(some, better)
    require(metric in worth, "pareto: of this metric neither direction is better", metric, "metric='srg'")
    passes = some["forward"] + BACKWARD * some["backward"]
    costs = (passes if cost == "passes" else some[cost]).groupby(some["method"]).mean()
    found = pd.DataFrame({"cost": costs, "value": by_image(some).mean(axis=1).droplevel("metric")}).loc[worth.index]
    found["front"] = on_front(found["cost"].to_numpy(), worth[metric].to_numpy())
    return found


def on_front(cost: NDArray, worth: NDArray) -> NDArray:
    """Whether nobody is as cheap and as good, and one of both more."""
    cheap, good = cost[:, None] >= cost, worth[:, None] <= worth  # [i, j]: j is at least as cheap, as good as i
    more = (cost[:, None] > cost) | (worth[:, None] < worth)
    return ~(cheap & good & more).any(1)
