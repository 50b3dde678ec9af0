"""Many methods at once, sharing the passes that they have in common, and the bill of each."""

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from inspect import signature
from math import nan
from time import perf_counter

import pandas as pd
from torch import nn

from xnb.access.inputs import read_input
from xnb.access.layout.layer_maps import find_layer
from xnb.access.ledger import collect_notes, count_inner_passes
from xnb.access.memo import remember_answers
from xnb.access.memory import measure_peak_memory
from xnb.access.model_call import check_explainable
from xnb.access.score import logits
from xnb.access.shared_gradients import share_gradients
from xnb.access.targets import read_target
from xnb.check import find_entry, is_refusal, raise_again, refuse_again
from xnb.methods import METHODS
from xnb.methods.calls import run_method
from xnb.methods.promises import Promises, largest, measure_promises, warn_if_broken, write_value
from xnb.progress import show_progress
from xnb.registry import check_knobs
from xnb.types import Attribution, Batch, Knobs, Logits, Model, Target, TargetLike


@dataclass(frozen=True)
class Explanation:
    """Logits, attributions by method, and the ledger: what each cost and how exact it claims to be, a row a method.

    `explanation["lrp"]` is the attribution of that method.

    Columns of the ledger. `forward` and `backward` are passes per input. `seconds` is wall time. `peak_mib` is by how
    much the process grew at most: memory that it still holds from earlier work is used again, and not seen. What
    several methods need together, and the passes that tell a gap, are paid for in the row `shared`. Of several inputs
    each of the following says the worst, NaN where nothing is promised:

    * `gap`: by how much the sum of a complete method's attributions misses the change of score from the baseline, as a
      share of that change. Where the change is less than a hundredth of the sum of the map's absolute values, much
      evidence has cancelled, and the gap is a share of that hundredth instead.
    * `conserved`: the sum of a map that is to conserve the score, as a share of the score.
    * `standard_error`: of a sampled map, relative to the map.

    `layer` is the layer that a method took, and `broken` says every promise that is missed by more than a tenth.
    """

    logits: Logits
    attributions: Mapping[str, Attribution]
    ledger: pd.DataFrame

    def __getitem__(self, name: str) -> Attribution:
        """Return the attribution of the method of that name."""
        return find_entry(self.attributions, name, "explanation: no method of that name was asked for")


def explain(
    model: Model,
    x: Batch,
    target: TargetLike,
    methods: str | Iterable[str] = ("gradient", "integrated_gradients", "random"),
    *,
    knobs: Knobs | None = None,
) -> Explanation:
    """Explain `model`'s logit for `target` at `x` by several methods; passes that several need are run once.

    As `attribute`, it warns once for each method that does not keep what it promises.

    Args:
        target: a class for each input, or one for all.
        methods: names in `xnb.catalog()`, or one name.
        knobs: for each method that wants other than its defaults, `{"occlusion": {"window": 8}}`.

    Raises:
        ValueError: as `attribute`, before anything is run if a name or a knob is unknown.
    """
    asked = [methods] if isinstance(methods, str) else list(methods)
    knobs = knobs or {}
    for name in [*asked, *knobs]:
        method = METHODS.find(name)
        with _hand_over_as_knobs(name, knobs):
            check_knobs(method, knobs.get(name, {}), name)
    names = list(dict.fromkeys(asked))
    x = read_input(model, x, "explain")
    classes = read_target(target, x)
    check_explainable(model, x, classes)
    attributions = {}
    with remember_answers():
        with _write_bill("shared", x) as shared:
            predicted = _run_shared_passes(model, x, classes, names, knobs)
        bills = [shared]
        for name in show_progress(names, len(names), "method"):
            with _hand_over_as_knobs(name, knobs):
                attributions[name], bill, check = _explain_by_one(model, x, classes, name, knobs.get(name, {}))
            # The passes of the check are no cost of the method, which is done: they go to the shared row.
            shared.add(check)
            bills.append(bill)
    ledger = pd.DataFrame([asdict(bill) for bill in bills]).set_index("method")
    return Explanation(predicted, attributions, ledger)


def _run_shared_passes(model: Model, x: Batch, target: Target, names: list[str], knobs: Knobs) -> Logits:
    """Return the logits, from a pass whose gradients are remembered for the methods that start from them.

    `shares` of a method's card says which gradient that is.
    """
    shares = {name: METHODS.cards[name].shares for name in names}
    if "input_gradient" not in shares.values() or not len(x):
        # Methods at a layer are then left to themselves: the first computes the gradient at the layer, which is
        # remembered for the others, and its backward pass ends there. One from here would run down to the input.
        return logits(model, x)
    layers = []
    if isinstance(model, nn.Module):  # methods at a layer refuse a function themselves
        for name in names:
            if shares[name] == "layer_gradient":
                with _hand_over_as_knobs(name, knobs):
                    layers.append(find_layer(model, x, knobs.get(name, {}).get("layer")))
    return share_gradients(model, x, target, list(dict.fromkeys(layers)))


@contextmanager
def _hand_over_as_knobs(name: str, knobs: Knobs) -> Iterator[None]:
    """Within the block the line of a refusal, as `window=2`, becomes `knobs={'occlusion': {'window': 2}}`."""
    try:
        yield
    except Exception as error:
        line, *comment = str(error).partition("\n  try: ")[2].partition("  # ")
        mended = _read_keywords(line) if is_refusal(error) else {}
        if not mended or not mended.keys() <= signature(METHODS[name]).parameters.keys():
            raise_again(error)
        refuse_again(error, f"knobs={_write_knobs(knobs, name, mended)}{''.join(comment)}")


def _read_keywords(line: str) -> dict[str, str]:
    """Keywords of a line that has nothing else, each with its value as code."""
    if not re.match(r"\w+=[^=]", line):
        return {}
    try:
        call = ast.parse(f"call({line})", mode="eval").body
    except SyntaxError:
        return {}
    return {word.arg: ast.unparse(word.value) for word in getattr(call, "keywords", []) if word.arg}


def _write_knobs(knobs: Knobs, name: str, mended: Mapping[str, str]) -> str:
    """The knobs of all methods as code, with what mends those of one."""
    texts = {of: {knob: write_value(knob, value) for knob, value in own.items()} for of, own in knobs.items()}
    texts[name] = {**texts.get(name, {}), **mended}
    rows = [f"{of!r}: {{{', '.join(f'{knob!r}: {text}' for knob, text in own.items())}}}" for of, own in texts.items()]
    return f"{{{', '.join(rows)}}}"


def _explain_by_one(
    model: Model, x: Batch, target: Target, name: str, knobs: Mapping[str, object]
) -> tuple[Attribution, "_Bill", "_Bill"]:
    """Return the map, the bill of the method, and that of the check of what it promises."""
    with _write_bill(name, x) as bill, collect_notes() as notes:
        a = run_method(model, x, target, name, knobs)
    with _write_bill("check", x) as check:
        promises = measure_promises(model, x, target, name, a, knobs, notes)
    bill.enter_promises(promises)
    warn_if_broken(name, promises, knobs)
    return a, bill, check


@dataclass
class _Bill:
    """A row of the ledger; `Explanation` says what the columns are."""

    method: str
    seconds: float = nan
    peak_mib: float = nan
    forward: float = nan
    backward: float = nan
    gap: float = nan
    conserved: float = nan
    standard_error: float = nan
    layer: str = ""
    broken: str = ""

    def add(self, other: "_Bill") -> None:
        """Pay for the time and the passes of another bill as well."""
        self.seconds += other.seconds
        self.forward += other.forward
        self.backward += other.backward

    def enter_promises(self, promises: Promises) -> None:
        """Fill in how exact the method is."""
        self.gap = largest(promises.gap)
        self.conserved = promises.least_conserved()
        self.standard_error = largest(promises.error)
        self.broken = "; ".join(promises.broken())


@contextmanager
def _write_bill(method: str, x: Batch) -> Iterator[_Bill]:
    """Yield a bill; when the block ends, it is filled in with what the block cost, passes per input."""
    bill = _Bill(method)
    with count_inner_passes() as passes, measure_peak_memory(x.device) as peak:
        start = perf_counter()
        yield bill
        bill.seconds = perf_counter() - start
    inputs = max(len(x), 1)
    bill.peak_mib = peak.mib
    bill.forward = passes.forward / inputs
    bill.backward = passes.backward / inputs
    bill.layer = str(passes.notes.get("layer", ""))
