"""Rows of methods that replace the backward step."""

import copy
from functools import partial

from benchmarks.cases import Case, Peer, in_double, method, row
from benchmarks.peers import captum_asks, with_joins, zennit_asks
from benchmarks.workloads import Workload

ROUNDING = 2e-3  # on deep networks single precision is itself no better; the referee tells


@row("lrp, epsilon-plus", cnn32=32, plain32=32, resnet18=4, mlp=256)
def lrp(w: Workload) -> Case:
    """Zennit gets the folded model, so that both compute the same; its best may be channels last."""
    ours = method("lrp", composite="epsilon_plus")
    folded, prepared = (with_joins(copy.deepcopy(model)) for model in (w.folded, w.prepared))
    run = partial(zennit_asks, w, composite="EpsilonPlus")
    goals = {} if w.name == "mlp" else {"prepared/default": 0.45}
    peer = Peer("zennit", lambda model=folded: run(model), goals, {"channels last": {"model": prepared}})
    return Case(ours, (peer,), (0, len(w.x)), limit_goal=1.6, tolerance=ROUNDING, referee=in_double(w, ours))


@row("deep_lift", cnn32=32, resnet18=4, mlp=256)
def deep_lift(w: Workload) -> Case:
    """The bare limit is that of two passes, one of them for the baseline.

    Captum is wrong where a max pooling follows a ReLU, as in resnet18; elsewhere the results are equal.
    """
    ours = method("deep_lift")
    peer = Peer("captum", captum_asks(w, "DeepLift"), {"prepared/default": 0.65})
    tolerance = 0.2 if w.name == "resnet18" else 1e-4
    return Case(ours, (peer,), (0, 2 * len(w.x)), tolerance=tolerance, referee=in_double(w, ours))
