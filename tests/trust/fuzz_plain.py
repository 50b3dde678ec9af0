"""A call in its plainest form: an input at a time, in double precision, every optimisation switched off."""

import torch
from fuzz_cases import DOORS
from fuzz_spoils import enter_context
from fuzz_trace import Fault
from optimisations import switch_off
from torch import nn

import xnb
from xnb import METHODS
from xnb.access import rows
from xnb.access.copies import copy_module
from xnb.metrics import METRICS

# Where rounding alone moves the plain answer, by inputs and weights off by a step, a call may move as far, and more.
SPREADS = 30
COMPOSED = {"grid_pointing"}  # puts inputs of the batch together


def run_plainly(case, scope, in_double, wobble=0.0):
    """The answer of one input after another; None where an input by itself is refused."""
    model, x = scope["model"], scope["x"]
    if in_double or wobble:
        model, x = _move(model, x, in_double, wobble)
        if model is None:
            return None
    scope = {**scope, "model": model, "x": x}
    if in_double:
        scope = {key: _widen(value) for key, value in scope.items()}
        scope["other"] = copy_module(scope["other"]).double()
    names = {name: eval(value, dict(scope)) for name, value in case.knobs}
    target = torch.as_tensor(scope["target"])
    target = target.expand(len(x)) if target.ndim == 0 else target
    if "chunk" in names:
        names["chunk"] = 1
    answers = []
    with switch_off(), enter_context(case.spoils):
        for part in [slice(None)] if case.subject in COMPOSED else [slice(i, i + 1) for i in range(len(x))]:
            with rows.select_rows(part, len(x)):
                answers.append(_run_row(case, scope, model, x[part], target[part], part, names))
    return torch.cat(answers)


def _widen(value):
    floating = isinstance(value, torch.Tensor) and value.is_floating_point()
    return value.detach().double() if floating else value


def _move(model, x, in_double, wobble):
    """Model and inputs in double precision, or off by a step; None where the model is no module."""
    if not isinstance(model, nn.Module) or isinstance(model, torch._dynamo.OptimizedModule):
        return None, None
    model = copy_module(model)
    rng = torch.Generator().manual_seed(int(1e6 * wobble) + 1)
    if in_double:
        model = model.double()
    x = x.detach().double() if in_double else x.detach().clone()
    if wobble:
        step = torch.finfo(x.dtype).eps if wobble is True else wobble
        with torch.no_grad():
            for weights in model.parameters():
                weights.mul_(1 + step * torch.randn(weights.shape, generator=rng, dtype=torch.double).to(weights))
        x = x * (1 + step * torch.randn(x.shape, generator=rng, dtype=torch.double).to(x))
    return model, x


def _run_row(case, scope, model, x, target, part, names):
    if case.subject in METHODS:
        return xnb.attribute(model, x, target, case.subject, **names)
    if case.subject in DOORS:
        own = {**scope, "x": x, "target": target}
        text = DOORS[case.subject][1].format(method=case.method, other=case.other)
        return flatten(eval(text, own)).detach()
    asked = {name: scope[name] for name in METRICS.cards[case.subject].asks}
    if "masks" in asked:
        asked["masks"] = asked["masks"][part]
    a = scope["a"] if scope["a"] is None else scope["a"][part]
    return METRICS[case.subject](model, x, target, a, **asked, **names)


def is_close(found, expected, tolerance):
    if found.shape != expected.shape:
        try:
            expected = expected.expand_as(found)
        except RuntimeError:
            return False
    scale = float(expected.nan_to_num().abs().max()) if expected.numel() else 0.0
    return torch.allclose(found, expected, rtol=tolerance, atol=max(tolerance * scale, 1e-12), equal_nan=True)


def flatten(answer):
    """Numbers as one tensor."""
    if isinstance(answer, xnb.Explanation):
        answer = answer.attributions
    if isinstance(answer, dict):
        return torch.cat([part.double().flatten(1) for part in answer.values()], 1)
    return answer


def excuse_rounding(answer, plain, case, clean, exact, tolerance):
    """A fault, unless the plain answer itself moves as far where inputs and weights are off by a rounding step."""
    x = clean["x"]
    step = 4 * torch.finfo(x.dtype).eps
    moved = []
    for times in (1, 2, 3):
        try:
            other = run_plainly(case, clean, in_double=exact and x.dtype != torch.double, wobble=times * step)
        except ValueError:
            return  # at the edge of a refusal
        if other is None or other.shape != plain.shape:
            return
        moved.append(other.double())
    spread = torch.stack([(other - plain.double()).abs() for other in moved]).amax(0)
    error = (answer.double() - plain.double()).abs()
    scale = float(plain.double().nan_to_num().abs().max())
    unsure = spread.isnan() | (spread > tolerance * max(scale, 1e-30) / SPREADS)
    if x.dtype in (torch.bfloat16, torch.float16) and case.subject in METRICS:
        return
    allowed = torch.where(unsure, SPREADS * spread + tolerance * scale, tolerance * scale)
    wrong = (error > allowed) | (error.isnan() & ~spread.isnan() & ~(answer.isnan() & plain.isnan()))
    if bool(wrong.any()):
        raise Fault(f"not the plain form: {answer} for {plain}, which rounding moves by {spread}")
