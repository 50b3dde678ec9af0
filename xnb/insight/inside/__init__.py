"""What a layer holds: pictures that excite a unit, what can be read from it, and what it is used for."""

from xnb.insight.inside.concepts import (
    ConceptTest as ConceptTest,
    compare_concept as compare_concept,
    find_concept as find_concept,
    measure_concept as measure_concept,
)
from xnb.insight.inside.directions import remove_direction as remove_direction
from xnb.insight.inside.factors import (
    SparseCode as SparseCode,
    factor_features as factor_features,
    fit_sparse_code as fit_sparse_code,
    match_factors as match_factors,
)
from xnb.insight.inside.maximisation import excite_unit as excite_unit, measure_unit as measure_unit
from xnb.insight.inside.neighbourhoods import measure_preservation as measure_preservation
from xnb.insight.inside.probes import Probe as Probe, fit_probe as fit_probe
