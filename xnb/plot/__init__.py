"""Numbers as pictures: arrays and an `ax` in, the `ax` out; figures are stored with the numbers they show."""

from xnb.plot.charts import (
    bars as bars,
    confusion as confusion,
    history as history,
    predictions as predictions,
    structure as structure,
    style as style,
)
from xnb.plot.comparisons import (
    GREY as GREY,
    agreement as agreement,
    budgets as budgets,
    bump as bump,
    front as front,
    intervals as intervals,
)
from xnb.plot.maps import OUTLINE as OUTLINE, attribution as attribution, outline as outline
from xnb.plot.panels import dots as dots, strip as strip, verdicts as verdicts
from xnb.plot.pictures import picture as picture
from xnb.plot.readings import forecast as forecast, reading as reading, removal_gap as removal_gap
from xnb.plot.scale import SIGNED as SIGNED, UNSIGNED as UNSIGNED
from xnb.plot.series import signal as signal, slices as slices
from xnb.plot.words import tokens as tokens
