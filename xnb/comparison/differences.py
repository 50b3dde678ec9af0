"""Differences of every method from one, paired, with intervals over trainings and images, corrected together."""

import numpy as np
import pandas as pd
from jaxtyping import Float

from xnb.comparison.inference import Estimate, adjust_holm, estimate_mean
from xnb.comparison.statistics import image_columns, subtract_method


def estimate_differences(table: pd.DataFrame, versus: str, *, level: float = 0.95, power: float = 0.8) -> pd.DataFrame:
    """Return how much each method differs from one of them: a row for each (method, metric) of a table of `compare`.

    Columns: `mean`, `low`, `high` of the differences, taken image by image within each training; `p_value`, and
    `p_holm`, which holds for all rows together; `detectable`, the difference that such data would mostly show, so
    that an interval around 0 says what could have been seen; `trainings` and `images` that count. Several models in
    the table are trainings of one network: the interval then speaks of other trainings too (`estimate_mean`), and
    needs eight or more of them to be short. Images without a value in one training are left out of all;
    a row with fewer than two is NaN.

    Args:
        versus: a method, mostly a control: `random`, `edges`.
        level: probability that an interval is to cover.
        power: probability by which a difference of size `detectable` would be found.

    Raises:
        ValueError: `versus` is not among the methods.
    """
    trainings = [rows for _, rows in table.groupby("model")] if "model" in table else [table]
    # Image by image within each training: what a training or an image adds to both methods falls out.
    by_training = [subtract_method(image_columns(rows), versus) for rows in trainings]
    index = by_training[0].index
    values = np.stack([differences.reindex(index).to_numpy() for differences in by_training], axis=1)
    rows = [
        {"method": method, "metric": metric} | _estimate_row(of_row, level, power)
        for (method, metric), of_row in zip(index, values, strict=True)
        if method != versus
    ]
    found = pd.DataFrame(rows, columns=["method", "metric", *Estimate._fields, "trainings", "images"])
    found["p_holm"] = adjust_holm(found["p_value"])
    return found


def _estimate_row(values: Float[np.ndarray, "trainings images"], level: float, power: float) -> dict[str, float]:
    present = np.isfinite(values).all(0)
    images = int(present.sum())
    estimate = Estimate(*[np.nan] * 5)  # of one image nothing is known
    if images > 1:
        estimate = estimate_mean(values[:, present], level=level, power=power)
    return estimate._asdict() | {"trainings": len(values), "images": images}
