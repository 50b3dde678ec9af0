"""Faults as people make them, one in each place: what stands there, what somebody may write, and who has to notice."""

from typing import NamedTuple


class Fault(NamedTuple):
    """A fault in one function of the package.

    Attributes:
        kind: what went wrong, by which the fault is known.
        module: where.
        old: text of the module, which stands there once.
        new: the same with the fault.
        tests: file of the tests that have to notice.
        only: a part of their names, where a file holds many others.
    """

    kind: str
    module: str
    old: str
    new: str
    tests: str
    only: str = ""


FAULTS = [
    Fault(
        "sign of a difference",
        "xnb.metrics.removal",
        "area_under_curve(least_first) - area_under_curve(most_first)",
        "area_under_curve(most_first) - area_under_curve(least_first)",
        "tests/metrics/test_removal.py",
    ),
    Fault(
        "lost normalisation of an area",
        "xnb.metrics.removal_curves",
        "/ (len(scores) - 1)",
        "/ len(scores)",
        "tests/metrics/test_removal.py",
    ),
    Fault(
        "one unit too many removed",
        "xnb.metrics.removal_curves",
        "ranks[rows] < removed_counts",
        "ranks[rows] <= removed_counts",
        "tests/metrics/test_removal.py",
    ),
    Fault(
        "dropped factor of the input",
        "xnb.methods.integrated_gradients",
        "return difference * total",
        "return total",
        "tests/methods/test_integrated_gradients.py",
    ),
    Fault(
        "path from zero, not from the baseline",
        "xnb.methods.integrated_gradients",
        "return start[rows] + times * difference[rows]",
        "return times * x[rows]",
        "tests/methods/test_integrated_gradients.py",
    ),
    Fault(
        "hook that stays on the model",
        "xnb.access.hooks",
        "stack.callback(module.register_forward_hook(hook).remove)",
        "module.register_forward_hook(hook)",
        "tests/access/test_hooks.py",
    ),
    Fault(
        "seed of the whole process",
        "xnb.access.draws",
        "return torch.Generator(device).manual_seed(mix_seed(purpose, seed))",
        "return torch.manual_seed(mix_seed(purpose, seed))",
        "tests/access/test_draws.py",
    ),
    Fault(
        "methods and metrics exchanged",
        "xnb.comparison.statistics",
        "of_sums = table_of_ranks.sum(-1).var(-1)",
        "of_sums = table_of_ranks.sum(-2).var(-1)",
        "tests/comparison/test_statistics.py",
    ),
    Fault(
        "parameter that no randomisation moves",
        "xnb.metrics.randomised_models",
        "if _resembles(parameter, before[name]):",
        "if parameter.ndim > 1 and _resembles(parameter, before[name]):",
        "tests/metrics/test_randomised_models.py",
    ),
    Fault(
        "metric that is the same for every map",
        "xnb.metrics.localisation",
        "return _share_inside(magnitudes, inside, x)",
        "return _share_inside(torch.ones_like(magnitudes), inside, x)",
        "tests/metrics/test_localisation.py",
    ),
    Fault(
        "last input of every chunk left out",
        "xnb.access.chunking",
        "yield slice(start, start + size)",
        "yield slice(start, start + size - 1)",
        "tests/access/test_chunking.py",
    ),
    Fault(
        "sums in single precision",
        "xnb.methods.game",
        "return scores.cpu().double()",
        "return scores.cpu().float().double()",
        "tests/methods/test_shapley.py",
    ),
    Fault(
        "caller's tensor written over",
        "xnb.metrics.ground_truth",
        "return a.detach().abs().sort(dim=1",
        "return a.detach().abs_().sort(dim=1",
        "tests/metrics/test_ground_truth.py",
    ),
    Fault(
        "answer of another model",
        "xnb.access.memo",
        "key.append(part if by_value else id(part))",
        "key.append(part if by_value else id(part) if hasattr(part, 'shape') else type(part))",
        "tests/access/test_memo.py",
    ),
    Fault(
        "leak between inputs of a batch",
        "xnb.metrics.similarity",
        "largest = a.abs().amax(1, keepdim=True)",
        "largest = a.abs().amax()",
        "tests/metrics/test_similarity.py",
    ),
    Fault(
        "block counted twice",
        "xnb.comparison.jackknife",
        "(blocks - 1) * without",
        "blocks * without",
        "tests/comparison/test_jackknife.py",
    ),
    Fault(
        "correction from the wrong end",
        "xnb.comparison.inference",
        "factors = np.arange(len(order), 0, -1)",
        "factors = np.arange(1, len(order) + 1)",
        "tests/comparison/test_inference.py",
    ),
    Fault(
        "relevance without the sign of its sum",
        "xnb.methods.lrp_division",
        "torch.copysign(z.new_tensor(EPSILON), z).add_(z)",
        "z.detach().abs().add_(EPSILON)",
        "tests/methods/test_lrp_rules.py",
    ),
    Fault(
        "queries and keys exchanged",
        "xnb.access.attention.knock_out",
        "total = remaining.sum(-1, keepdim=True)",
        "total = remaining.sum(-2, keepdim=True)",
        "tests/access/attention/test_knock_out.py",
    ),
    Fault(
        "first pixel not counted",
        "xnb.summary.receptive_field",
        "return int(positions[-1] - positions[0]) + 1",
        "return int(positions[-1] - positions[0])",
        "tests/summary/test_receptive_field.py",
    ),
    Fault(
        "sum over windows, not their mean",
        "xnb.methods.occlusion",
        "return (total / count).view(",
        "return total.view(",
        "tests/methods/test_occlusion.py",
    ),
    Fault(
        "gradients of the step before",
        "xnb.training.loop",
        "self.optimizer.zero_grad()\n        loss.backward()",
        "loss.backward()",
        "tests/training/test_loop.py",
    ),
    Fault(
        "many statements judged as one",
        "xnb.comparison.operating_point",
        "each = 1 - (1 - level) / statements",
        "each = level",
        "tests/comparison/test_operating_point.py",
    ),
    Fault(
        "rival in the place of the class",
        "xnb.adapters.outputs",
        "return ModelWithHead(model, _Difference(preferred, rival))",
        "return ModelWithHead(model, _Difference(rival, preferred))",
        "tests/adapters/test_outputs.py",
    ),
]
