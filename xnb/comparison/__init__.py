"""Methods x metrics x images in one table that survives a killed run, and what the table says.

    from xnb.comparison import agreement, intervals, pareto, ranks

`xnb.compare` is the function itself.
"""

from xnb.comparison.sweep import compare as compare
from xnb.comparison.statistics import (
    agreement as agreement,
    concordance as concordance,
    intervals as intervals,
    pareto as pareto,
    ranks as ranks,
)
