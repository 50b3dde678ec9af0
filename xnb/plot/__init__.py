"""Numbers as pictures: arrays and an `ax` in, the `ax` out; figures are stored with the numbers they show."""

from xnb.plot.charts import (
    GREY as GREY,
    OUTLINE as OUTLINE,
    SIGNED as SIGNED,
    UNSIGNED as UNSIGNED,
    agreement as agreement,
    attribution as attribution,
    bars as bars,
    bump as bump,
    confusion as confusion,
    front as front,
    history as history,
    intervals as intervals,
    outline as outline,
    picture as picture,
    predictions as predictions,
    structure as structure,
    style as style,
)
