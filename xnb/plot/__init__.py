"""Numbers as pictures: arrays and an `ax` in, the `ax` out; figures are stored with the numbers they show."""

from xnb.plot.charts import (
    OUTLINE as OUTLINE,
    SIGNED as SIGNED,
    UNSIGNED as UNSIGNED,
    attribution as attribution,
    bars as bars,
    confusion as confusion,
    history as history,
    outline as outline,
    picture as picture,
    predictions as predictions,
    structure as structure,
    style as style,
)
from xnb.plot.comparisons import (
    GREY as GREY,
    agreement as agreement,
    bump as bump,
    front as front,
    intervals as intervals,
)
