"""What became of a case: equal to a reference, held by the same call in its plainest form, or refused with a way out.

Everything else is a fault: a number that is wrong, an error of torch's, a model or a tensor that was changed, a state
of torch that was left behind, a call that does not end.
"""

import re
import signal
import warnings
from contextlib import contextmanager

import fuzz_references
import pandas as pd
import torch
from fuzz_cases import DOORS, make_scope
from fuzz_plain import excuse_rounding, flatten, is_close, run_plainly
from fuzz_spoils import Planned, are_harmless, enter_context, spoil_scope
from fuzz_trace import Fault, Trace
from torch import nn
from try_lines import follow_hint, with_keywords
from try_lines import make_scope as make_reader_scope

from xnb.check import PromiseWarning, is_out_of_memory, is_refusal
from xnb.metrics import METRICS

NO_CASE = "no case"  # it cannot be made, whoever explains it
LONGEST = 120  # seconds: what takes longer hangs
# Noise of these is drawn in the dtype of the input: another precision has another noise.
DRAWN_IN_DTYPE = {"smoothgrad", "vargrad", "expected_gradients", "max_sensitivity", "average_sensitivity"}
DRAWN_IN_DTYPE |= {"local_lipschitz", "smooth_mprt", "mprt", "efficient_mprt", "random"}
ROUNDING = {torch.float64: 1e-6, torch.float32: 2e-3, torch.bfloat16: 0.1, torch.float16: 0.1}


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
    wrapped.add("in a module in training mode")
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
    if not is_close(answer.double(), plain.double(), tolerance):
        excuse_rounding(answer, plain, case, clean, exact, tolerance)
        return "answered, but for rounding"
    reference = fuzz_references.find(case)
    if reference is None or not are_harmless(case.spoils):
        return "held by the plain form"
    expected = reference(case, clean)
    if expected is None:
        return "held by the plain form"
    if not is_close(answer.double().expand_as(expected), expected.double(), tolerance):
        if dtype == torch.double:
            raise Fault(f"not the reference: {answer} for {expected}")
        return "answered, but for rounding"
    return "equal to the reference"


def _try_plainly(case, scope, in_double):
    """The plain form, which is refused or fails where the call does, and nowhere else."""
    try:
        return run_plainly(case, scope, in_double)
    except Planned:
        return None
    except Exception as error:
        if "the same whatever is removed" in str(error):  # of one input; among others it has NaN
            return None
        raise Fault(f"answered, and in its plain form {type(error).__name__}: {error}") from error
