"""What became of a case: equal to a reference, held by the same call in its plainest form, or refused with a way out.

Everything else is a fault: a number that is wrong, an error of torch's, a model or a tensor that was changed, a state
of torch that was left behind, a call that does not end.
"""

import random
import re
import signal
import warnings
from contextlib import contextmanager

import fuzz_references
import numpy as np
import pandas as pd
import torch
from fuzz_cases import DOORS, make_scope
from fuzz_spoils import Planned, are_harmless, enter_context, spoil_scope
from networks import visible_state
from optimisations import switch_off
from torch import nn
from torch.overrides import _get_current_function_mode_stack
from try_lines import follow_hint, with_keywords
from try_lines import make_scope as make_reader_scope

import xnb
from xnb import METHODS
from xnb.access import ledger, memo, rows, trials
from xnb.access.copies import copy_module
from xnb.check import PromiseWarning, is_out_of_memory, is_refusal
from xnb.metrics import METRICS

NO_CASE = "no case"  # it cannot be made, whoever explains it
LONGEST = 120  # seconds: what takes longer hangs
COMPOSED = {"grid_pointing"}  # puts inputs of the batch together
# Noise of these is drawn in the dtype of the input: another precision has another noise.
DRAWN_IN_DTYPE = {"smoothgrad", "vargrad", "expected_gradients", "max_sensitivity", "average_sensitivity"}
DRAWN_IN_DTYPE |= {"local_lipschitz", "smooth_mprt", "mprt", "efficient_mprt", "random"}
ROUNDING = {torch.float64: 1e-6, torch.float32: 2e-3, torch.bfloat16: 0.1, torch.float16: 0.1}
# Where rounding alone moves the plain answer, by inputs and weights off by a step, a call may move as far, and more.
SPREADS = 30


class Fault(AssertionError):
    """What must not be."""


class Endless(BaseException):
    """A call took too long; nothing that waits for errors hears of it."""


def judge(case):
    """In a word or two what became of it, or a `Fault`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            clean = make_scope(case)
            scope = spoil_scope(clean, case.spoils)
            _ = [eval(value, dict(scope)) for _, value in case.knobs]
        except (RuntimeError, IndexError, TypeError, ValueError, AttributeError, NotImplementedError):
            return NO_CASE
    if "autocast" in case.spoils and case.dtype != "float32":  # torch mixes no others
        return NO_CASE
    call = case.write_call()
    before = _quietly(lambda: Trace(scope))
    with _limit_time(), warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        answer, error = _run(call, scope, case)
    _quietly(lambda: before.check(scope, case))
    others = [w for w in heard if not issubclass(w.category, PromiseWarning)]
    if others and error is None and are_harmless(case.spoils):
        raise Fault(f"warns: {others[0].category.__name__}: {others[0].message}")
    if error is not None:
        return _judge_error(error, call, scope, clean, case)
    return _judge_answer(answer, case, clean, scope)


def _run(call, scope, case):
    try:
        with enter_context(case.spoils):
            return flatten(eval(call, dict(scope))), None
    except Endless as error:
        raise Fault(f"no end after {LONGEST} s") from error
    except Exception as error:
        return None, error


@contextmanager
def _limit_time():
    def stop(number, frame):
        raise Endless

    earlier = signal.signal(signal.SIGALRM, stop)
    signal.alarm(LONGEST)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, earlier)


def flatten(answer):
    """Numbers as one tensor."""
    if isinstance(answer, xnb.Explanation):
        answer = answer.attributions
    if isinstance(answer, dict):
        return torch.cat([part.double().flatten(1) for part in answer.values()], 1)
    return answer


class Trace:
    """Everything that a call may not change, as it was before."""

    def __init__(self, scope):
        self.tensors = {name: value for name, value in scope.items() if isinstance(value, torch.Tensor)}
        self.values = {name: _copy(value) for name, value in self.tensors.items()}
        self.model = scope["model"] if isinstance(scope["model"], nn.Module) else None
        self.weights = {} if self.model is None else {k: v.clone() for k, v in self.model.state_dict().items()}
        self.state = self._look()
        self.surroundings = _surroundings()

    def _look(self):
        if self.model is None:
            return None
        hooks, attributes, gradients, inputs, written = visible_state(self.model, *self.tensors.values())
        gradients = [(None if grad is None else grad.clone(), flag) for grad, flag in gradients]
        return hooks, attributes, gradients, [flag for flag, _ in inputs], written

    def check(self, scope, case):
        for name, value in self.tensors.items():
            if not _equal(_copy(value), self.values[name]):
                raise Fault(f"changes {name}")
        if self.model is not None:
            now = self.model.state_dict()
            if now.keys() != self.weights.keys() or any(not _equal(now[key], self.weights[key]) for key in now):
                raise Fault("changes the weights")
            if "compiled" not in case.spoils and not _same(self._look(), self.state):
                raise Fault("leaves a trace on the model")
        after = _surroundings()
        changed = [name for name in after if not _same(after[name], self.surroundings[name])]
        if changed:
            raise Fault(f"leaves behind: {changed}")


def _copy(value):
    if value.layout != torch.strided or value.device.type == "meta":
        return value
    return value.detach().clone()


def _equal(a, b):
    if a.device.type == "meta" or a.layout != torch.strided:
        return True
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    if not a.is_floating_point():
        return torch.equal(a, b)
    return torch.equal(a.detach().nan_to_num(7), b.detach().nan_to_num(7))


def _same(a, b):
    """Equality that looks into rows and tensors."""
    if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor):
        return _equal(a, b)
    if isinstance(a, np.ndarray):
        return np.array_equal(a, b)
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(map(_same, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_same(a[key], b[key]) for key in a)
    return type(a) is type(b) and (a is b or a == b)


def _surroundings():
    """What torch, numpy and the package keep beside tensors and models."""
    return {
        "random numbers of torch": torch.get_rng_state(),
        "random numbers of numpy": np.random.get_state()[1],  # noqa: NPY002
        "random numbers of Python": random.getstate(),
        "gradients": torch.is_grad_enabled(),
        "inference mode": torch.is_inference_mode_enabled(),
        "autocast": torch.is_autocast_enabled("cpu"),
        "anomaly": torch.is_anomaly_enabled(),
        "dtype": str(torch.get_default_dtype()),
        "function modes": len(_get_current_function_mode_stack()),
        "dispatch modes": torch._C._len_torch_dispatch_stack(),
        "threads": torch.get_num_threads(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "onednn": torch.backends.mkldnn.enabled,
        "errors of numpy": str(np.geterr()),
        "rows": rows.current_selection() is None,
        "memo": memo._ANSWERS.get() is None,
        "ledger": ledger._PASSES.get() is None,
        "trial": trials.is_trial(),
    }


# Errors


def _judge_error(error, call, scope, clean, case):
    if isinstance(error, Fault):
        raise error
    if not is_refusal(error):
        return _judge_other_error(error, scope, case)
    if are_harmless(case.spoils) and case.spoils:
        plainly, _ = _quietly(lambda: _run(call, clean, case))
        excused = "a layer in training" in case.spoils or _needs_modules(case)
        if plainly is not None and not excused:
            raise Fault(f"refuses what is right without {case.spoils}: {error}")
    return follow(str(error), call, scope, case)


def _needs_modules(case):
    """A function has no modules, and layers of another name have another name."""
    wrapped = {"a function", "its call", "its forward", "data parallel", "in a module", "weight norm"}
    return bool(wrapped & {*case.spoils})


def _judge_other_error(error, scope, case):
    """A model's own error comes through; any other is a fault."""
    if isinstance(error, Planned):
        return "the model's own error"
    if is_out_of_memory(error):
        raise Fault(f"{type(error).__name__}: {error}") from error
    own = _fail_alone(scope, case)
    if own is not None and type(own) is type(error):
        return "the model's own error"
    raise Fault(f"{type(error).__name__}: {error}") from error


def _fail_alone(scope, case):
    """The error that the model itself has to say of the input, None where it runs."""
    try:
        with enter_context(case.spoils), torch.no_grad():
            scope["model"](scope["x"])
    except Exception as error:
        return error
    return None


def follow(message, call, scope, case):
    """Paste the line to try, until there is an answer; what is wrong twice is refused twice, by another rule."""
    scope = {**make_reader_scope(), **scope}
    scope["attribution"] = scope.get("a")
    scope["net"] = scope["model"] if isinstance(scope["model"], nn.Module) else make_scope(case)["model"]
    seen = []
    for _ in range(8):
        hint = message.partition("\n  try: ")[2]
        if not hint and "one unit alone" in message:
            return "refused, as nothing can be measured"
        if not hint:
            raise Fault(f"no line to try in: {message}")
        if seen.count(message) > 1:  # what another line has mended first may be mended now
            raise Fault(f"the line to try leads back: {message}")
        seen.append(message)
        if re.match(r"one of \[|leave out", hint):
            return "refused, with names"
        if hint.startswith("regions = "):  # of a name that the call does not use
            return "refused, in words"
        try:
            compile(hint.split("  # ")[0], "hint", "exec")
        except SyntaxError:
            if not hint.startswith("with "):
                return "refused, in words"
        named = re.sub(r"\ba\b", "attribution", call) if "attribution = " in hint else call
        failed = _quietly(lambda hint=hint, named=named: _follow_once(scope, named, hint, case))
        scope["a"] = scope["attribution"] if "attribution = " in hint else scope["a"]
        if failed is None:
            return "refused, and the way out works"
        if isinstance(failed, NameError):
            return "refused, in words"
        if not is_refusal(failed):
            _judge_way_out(failed, message, scope, case)
            return "refused, then the model's own error"
        call = _go_on(call, hint)
        if "lambda" in call:  # another model, of which later lines know nothing
            return "refused, and the way out works"
        message = str(failed)
    raise Fault(f"no way out of: {seen}")


def _follow_once(scope, call, hint, case):
    try:
        with enter_context(tuple(s for s in case.spoils if s not in ("inference_mode", "autocast"))):
            follow_hint(scope, call, hint)
    except Exception as error:
        return error
    return None


def _go_on(call, hint):
    """The call that was refused in its turn: another, or this one with other keywords."""
    line = hint.split("  # ")[0]
    if re.match(r"[\w.]+\(", line):
        return line
    return with_keywords(call, line) if re.match(r"\w+=[^=]", line) else call


def _judge_way_out(failed, message, scope, case):
    if isinstance(failed, Planned):
        return
    own = _fail_alone(scope, case)
    if own is None or type(own) is not type(failed):
        raise Fault(f"the line to try of {message}\n fails with {type(failed).__name__}: {failed}") from failed


def _quietly(run):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return run()


# Answers


def _judge_answer(answer, case, clean, scope):
    if isinstance(answer, pd.DataFrame):
        return _judge_lint(answer, case, scope)
    _check_form(answer, case, scope)
    # Products of such numbers leave the range of a precision.
    edge = case.values == "huge" or (case.values == "tiny" and case.dtype != "float64")
    if edge or "autocast" in case.spoils or "no inputs" in case.spoils:
        return "answered, form alone"
    if not are_harmless(case.spoils):
        clean = _quietly(lambda: spoil_scope(make_scope(case), case.spoils))
    return _quietly(lambda: _compare(answer, case, clean, scope))


def _judge_lint(table, case, scope):
    """What is said to be valid is answered, and nothing else."""
    name = case.method
    x = scope["x"]
    if not isinstance(x, torch.Tensor) or x.requires_grad or not len(x):
        return "answered, form alone"
    _, error = _quietly(lambda: _run(f"xnb.attribute(model, x[:1], 0, {name!r})", scope, case))
    if bool(table.loc[name, "valid"]) != (error is None):
        raise Fault(f"lint says {table.loc[name].to_dict()}, the method {error}")
    return "held by the plain form"


def _check_form(answer, case, scope):
    x = scope["x"]
    if not isinstance(answer, torch.Tensor):
        raise Fault(f"no tensor: {answer!r}")
    if answer.requires_grad and case.subject not in DOORS:
        raise Fault("the answer hangs on a graph")
    if not isinstance(x, torch.Tensor) or case.subject in DOORS:
        return
    if answer.dtype != x.dtype:
        raise Fault(f"of {x.dtype} an answer of {answer.dtype}")
    if case.subject in METRICS:
        if answer.shape != (len(x),):
            raise Fault(f"scores {tuple(answer.shape)} of {len(x)} inputs")
    elif not answer.isfinite().all():
        raise Fault("a map that is not finite")
    elif dict(case.knobs).get("resize") != "False" and torch.broadcast_shapes(answer.shape, x.shape) != x.shape:
        raise Fault(f"a map {tuple(answer.shape)} of {tuple(x.shape)}")


def _compare(answer, case, clean, scope):
    """The same call in its plainest form: an input at a time, in double precision, every optimisation switched off."""
    x = clean["x"]
    dtype = answer.dtype if case.subject not in DOORS else x.dtype
    exact = case.subject not in DRAWN_IN_DTYPE
    plain = _try_plainly(case, clean, in_double=exact and x.dtype != torch.double)
    if plain is None:
        return "answered, form alone"
    tolerance = ROUNDING[x.dtype]
    if not _close(answer.double(), plain.double(), tolerance):
        _excuse_rounding(answer, plain, case, clean, exact, tolerance)
        return "answered, but for rounding"
    reference = fuzz_references.find(case)
    if reference is None or not are_harmless(case.spoils):
        return "held by the plain form"
    expected = reference(case, clean)
    if expected is None:
        return "held by the plain form"
    if not _close(answer.double().expand_as(expected), expected.double(), tolerance):
        if dtype == torch.double:
            raise Fault(f"not the reference: {answer} for {expected}")
        return "answered, but for rounding"
    return "equal to the reference"


def _try_plainly(case, scope, in_double):
    """The plain form, which is refused or fails where the call does, and nowhere else."""
    try:
        return _run_plainly(case, scope, in_double)
    except Planned:
        return None
    except Exception as error:
        if "the same whatever is removed" in str(error):  # of one input; among others it has NaN
            return None
        raise Fault(f"answered, and in its plain form {type(error).__name__}: {error}") from error


def _run_plainly(case, scope, in_double, wobble=0.0):
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


def _close(found, expected, tolerance):
    if found.shape != expected.shape:
        try:
            expected = expected.expand_as(found)
        except RuntimeError:
            return False
    scale = float(expected.nan_to_num().abs().max()) if expected.numel() else 0.0
    return torch.allclose(found, expected, rtol=tolerance, atol=max(tolerance * scale, 1e-12), equal_nan=True)


def _excuse_rounding(answer, plain, case, clean, exact, tolerance):
    """A fault, unless the plain answer itself moves as far where inputs and weights are off by a rounding step."""
    x = clean["x"]
    step = 4 * torch.finfo(x.dtype).eps
    moved = []
    for times in (1, 2, 3):
        try:
            other = _run_plainly(case, clean, in_double=exact and x.dtype != torch.double, wobble=times * step)
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
