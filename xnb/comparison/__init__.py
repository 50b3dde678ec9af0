"""Methods x metrics x images in one table that survives a killed run, and what the table says.

    from xnb.comparison import advise, agreement, estimate_cost, estimate_differences, intervals, pareto, ranks

`xnb.compare` is the function itself.
"""

from xnb.comparison.sweep import compare as compare
from xnb.comparison.advice import advise as advise
from xnb.comparison.claims import (
    Verdict as Verdict,
    Verdicts as Verdicts,
    judge_claims as judge_claims,
    judge_estimate as judge_estimate,
    judge_identity as judge_identity,
    judge_rows as judge_rows,
    judge_search as judge_search,
    read_claims as read_claims,
)
from xnb.comparison.differences import estimate_differences as estimate_differences, intervals as intervals
from xnb.comparison.form_error import measure_fast_form as measure_fast_form
from xnb.comparison.inference import (
    Estimate as Estimate,
    adjust_holm as adjust_holm,
    estimate_mean as estimate_mean,
)
from xnb.comparison.meta_consistency import (
    MetaConsistency as MetaConsistency,
    PerturbedScores as PerturbedScores,
    estimate_meta_consistency as estimate_meta_consistency,
)
from xnb.comparison.meta_evaluation import evaluate_metrics as evaluate_metrics
from xnb.comparison.pilot import Cost as Cost, estimate_cost as estimate_cost
from xnb.comparison.rank_statistics import (
    estimate_concordance as estimate_concordance,
    estimate_rank_correlation as estimate_rank_correlation,
    estimate_ranks as estimate_ranks,
)
from xnb.comparison.statistics import (
    agreement as agreement,
    concordance as concordance,
    pareto as pareto,
    ranks as ranks,
)
