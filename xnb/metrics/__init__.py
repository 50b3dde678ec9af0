"""How good is an explanation? All metrics share one signature and return one number an input, never averaged.

    metric(model, x, target, attribution, *, knobs) -> (B,)

`METRICS` holds them by name, `catalog()` says which way is better and what each asks for beside the attribution.
"""

from xnb.metrics.axioms import completeness_gap as completeness_gap, symmetry as symmetry
from xnb.metrics.complexity import (
    effective_support as effective_support,
    entropy as entropy,
    sparseness as sparseness,
)
from xnb.metrics.saco import saco as saco
from xnb.metrics.in_domain import fine_tuned as fine_tuned
from xnb.metrics.localisation import (
    auc as auc,
    chance as chance,
    energy_pointing as energy_pointing,
    grid_pointing as grid_pointing,
    grids as grids,
    pointing_game as pointing_game,
    relevance_mass as relevance_mass,
    relevance_rank as relevance_rank,
)
from xnb.metrics.randomisation import (
    data_randomisation as data_randomisation,
    efficient_mprt as efficient_mprt,
    mprt as mprt,
    mprt_curve as mprt_curve,
    random_logit as random_logit,
    smooth_mprt as smooth_mprt,
)
from xnb.metrics.registry import METRICS as METRICS, catalog as catalog
from xnb.metrics.removal import (
    curve as curve,
    deletion as deletion,
    insertion as insertion,
    lerf as lerf,
    morf as morf,
    road as road,
    srg as srg,
)
from xnb.metrics.robustness import (
    average_sensitivity as average_sensitivity,
    local_lipschitz as local_lipschitz,
    max_sensitivity as max_sensitivity,
)
from xnb.metrics.subsets import (
    faithfulness_correlation as faithfulness_correlation,
    infidelity as infidelity,
    sensitivity_n as sensitivity_n,
    single_deletion as single_deletion,
)
