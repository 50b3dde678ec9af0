"""Means of every method and differences from one, paired, with intervals over trainings and images."""

import numpy as np
import pandas as pd
from jaxtyping import Float

from xnb.check import require
from xnb.comparison.inference import Estimate, adjust_holm, estimate_mean
from xnb.comparison.statistics import image_columns

_ENDS = ["mean", "low", "high"]
_COUNTS = ["trainings", "images"]


def intervals(table: pd.DataFrame, *, level: float = 0.95) -> pd.DataFrame:
    """Return the mean of each method by each metric with its interval: a row for each (method, metric).

    Columns: `mean`, `low`, `high`, and the `trainings` and `images` that count. The interval speaks of other images
    and, where the table has several models, which are trainings of one network, of other trainings too
    (`estimate_mean`). Images without a value in one training are left out of all; of one image only the mean is known.

    Two methods whose intervals overlap may still differ: images that are hard for one are hard for the other.
    `estimate_differences` compares them image by image.

    Args:
        level: probability that the interval is to cover.

    Raises:
        ValueError: `level` is not between 0 and 1.
    """
    require(0 < level < 1, "intervals: level must lie between 0 and 1", level, "level=0.95")
    by_training = [image_columns(rows) for rows in _split_trainings(table)]
    return _estimate_rows(by_training, level, 0.8)[["method", "metric", *_ENDS, *_COUNTS]]


def estimate_differences(
    table: pd.DataFrame,
    versus: str,
    *,
    level: float = 0.95,
    power: float = 0.8,
) -> pd.DataFrame:
    """Return how much each method differs from one of them: a row for each (method, metric) of a table of `compare`.

    Columns: as `intervals`, of the differences, taken image by image within each training; `p_value`, and
    `p_holm`, which holds for all rows together; `detectable`, the difference that such data would mostly show, so
    that an interval around 0 says what could have been seen. Several models need eight or more for short intervals.

    Args:
        versus: a method, mostly a control: `random`, `edges`.
        level: probability that an interval is to cover.
        power: probability by which a difference of size `detectable` would be found.

    Raises:
        ValueError: `versus` is not among the methods.
    """
    # Image by image within each training: what a training or an image adds to both methods falls out.
    by_training = [_subtract_method(image_columns(rows), versus) for rows in _split_trainings(table)]
    found = _estimate_rows(by_training, level, power)
    found = found[found["method"] != versus].reset_index(drop=True)
    found["p_holm"] = adjust_holm(found["p_value"])
    return found


def _split_trainings(table: pd.DataFrame) -> list[pd.DataFrame]:
    return [rows for _, rows in table.groupby("model")] if "model" in table else [table]


def _subtract_method(values: pd.DataFrame, versus: str) -> pd.DataFrame:
    """Return the differences from the values of one method by the same metric on the same image.

    `values` are as `image_columns` returns them: rows (method, metric), columns images.
    """
    methods = values.index.unique("method")
    require(versus in methods, "versus must be one of the methods", versus, f"one of {list(methods)}")
    reference = values.xs(versus, level="method")
    metrics = values.index.get_level_values("metric")
    # One row of the reference for each row of the values, subtracted by position: their indices differ.
    return values - reference.reindex(metrics).to_numpy()


def _estimate_rows(
    by_training: list[pd.DataFrame],
    level: float,
    power: float,
) -> pd.DataFrame:
    """Return what is known of the mean of each row (method, metric)."""
    index = by_training[0].index
    values = np.stack([images.reindex(index).to_numpy() for images in by_training], axis=1)
    rows = [
        {"method": method, "metric": metric} | _estimate_row(of_row, level, power)
        for (method, metric), of_row in zip(index, values, strict=True)
    ]
    return pd.DataFrame(rows, columns=["method", "metric", *Estimate._fields, *_COUNTS])


def _estimate_row(
    values: Float[np.ndarray, "trainings images"],
    level: float,
    power: float,
) -> dict[str, float]:
    present = values[:, np.isfinite(values).all(0)]
    images = present.shape[1]
    mean = float(present.mean()) if images else np.nan
    estimate = Estimate(mean, *[np.nan] * 4)
    if images > 1:
        estimate = estimate_mean(present, level=level, power=power)
    return estimate._asdict() | {"trainings": len(values), "images": images}
