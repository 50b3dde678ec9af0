"""How good is an explanation? All metrics share one signature and return one number an input, never averaged.

    metric(model, x, target, attribution, *, knobs) -> (B,)

`METRICS` holds them by name, `catalog()` says which way is better and what each asks for beside the attribution.
A metric is entered by its decorator: a new file in this folder needs no mention here.
"""

from collections.abc import Callable

from xnb.check import refuse
from xnb.metrics.registry import METRICS as METRICS, catalog as catalog
from xnb.registry import import_files

# The order of the catalog; files that are not named here come after these, by name.
_FIRST = (
    "subsets",
    "axioms",
    "complexity",
    "salience_groups",
    "localisation",
    "randomisation",
    "removal",
    "robustness",
)
import_files(__name__, __path__, _FIRST)

globals().update(METRICS)

from xnb.metrics.in_domain import fine_tune as fine_tune  # noqa: E402
from xnb.metrics.localisation import chance_level as chance_level, make_grids as make_grids  # noqa: E402
from xnb.metrics.randomisation import mprt_curve as mprt_curve  # noqa: E402
from xnb.metrics.removal import removal_curve as removal_curve  # noqa: E402
from xnb.metrics.similarity import (  # noqa: E402
    rank_correlation as rank_correlation,
    top_within_one_cell as top_within_one_cell,
)


def __getattr__(name: str) -> Callable:
    """Refuse a name that is none; to a type checker this says that there are metrics which it does not see."""
    refuse("metrics: no metric of that name", name, "xnb.metrics.catalog()", error=AttributeError)
