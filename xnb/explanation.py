"""Many methods at once, sharing the passes that they have in common, and the bill of each."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from time import perf_counter

import pandas as pd
import torch

from xnb.access.at_layer import last_spatial_layer, leave_activation_and_gradient
from xnb.access.hooks import capture_outputs
from xnb.access.ledger import Passes, count_passes
from xnb.access.memo import remember_answers
from xnb.access.score import (
    check_explainable,
    chunk_gradient,
    chunks,
    expand_baseline,
    leave_gradient,
    logits,
    score,
)
from xnb.methods import METHODS, attribute
from xnb.progress import show_progress
from xnb.types import Attribution, Batch, Logits, Model, Target

Knobs = Mapping[str, Mapping[str, object]]
AT_LAYER = {"grad_cam", "grad_cam_plus_plus", "hires_cam", "layer_cam"}
AT_INPUT = {"gradient", "gradient_times_input"}


@dataclass(frozen=True)
class Explanation:
    """Logits, attributions by method, and the ledger: what each cost and how exact it claims to be, a row a method.

    `forward` and `backward` are passes per input. `seconds` is wall time. `peak_mib` is the most memory above what
    was in use before. `gap` is the largest part, over the inputs, by which the sum of a complete method misses the
    change of score. `standard_error` is that of a sampled map relative to the map, the largest of the inputs. What
    several methods ask together, and the passes that tell the gap, are paid for in the row `shared`.
    """

    logits: Logits
    attributions: Mapping[str, Attribution]
    ledger: pd.DataFrame


def explain(
    model: Model,
    x: Batch,
    target: Target,
    methods: Iterable[str] = ("gradient", "integrated_gradients", "random"),
    *,
    knobs: Knobs | None = None,
) -> Explanation:
    """Explain `model`'s logit for `target` at `x` by several methods; equal questions are put to the model once.

    Args:
        methods: names in `xnb.catalog()`.
        knobs: for each method that wants other than its defaults, `{"occlusion": {"window": 8}}`.

    Raises:
        ValueError: as `attribute`, before anything is run if a name is unknown.
    """
    names, knobs = list(dict.fromkeys(methods)), knobs or {}
    for name in [*names, *knobs]:
        METHODS.find(name)
    attributions, rows = {}, []
    with remember_answers():
        with bill("shared", len(x), x.device) as row:
            predicted = joint(model, x, target, names, knobs)
        rows.append(row)
        for name in show_progress(names, len(names), "method"):
            given = knobs.get(name, {})
            with bill(name, len(x), x.device) as row:
                attributions[name] = attribute(model, x, target, name, **given)
            rows.append(row)
            with bill("gap", len(x), x.device) as check:
                row["gap"] = gap(model, x, target, name, attributions[name], given)
            rows[0] |= {cost: rows[0][cost] + check[cost] for cost in ("forward", "backward", "seconds")}
    return Explanation(predicted, attributions, pd.DataFrame(rows).set_index("method"))


@contextmanager
def bill(name: str, inputs: int, device: torch.device) -> Iterator[dict[str, object]]:
    """Fill in a row of the ledger with what the block costs."""
    row: dict[str, object] = {"method": name}
    with count_passes() as passes, peak_memory(row, device):
        start = perf_counter()
        yield row
        row["seconds"] = perf_counter() - start
    row |= {"forward": passes.forward / max(inputs, 1), "backward": passes.backward / max(inputs, 1)}
    row |= {"gap": float("nan"), "standard_error": largest(passes)}


def largest(passes: Passes) -> float:
    error = passes.notes.get("standard_error")
    return float("nan") if error is None or not error.numel() else float(error.max())


def joint(model: Model, x: Batch, target: Target, names: list[str], knobs: Knobs) -> Logits:
    """Logits, from one forward and one backward pass for all who ask for the slope at the input and at a layer."""
    check_explainable(model, x, target)
    if not AT_INPUT & set(names):
        return logits(model, x)
    wanted = {knobs.get(name, {}).get("layer") or last_spatial_layer(model, x) for name in names if name in AT_LAYER}
    slopes, outs, found = [], [], {layer: [] for layer in wanted}
    for part in chunks(x, None):
        with capture_outputs(model, *wanted, once=True) if wanted else nullcontext({}) as seen:
            slope, out, at_layers = chunk_gradient(model, x[part], target[part], seen)
        slopes.append(slope)
        outs.append(out)
        for (layer, activation), at in zip(seen.items(), at_layers, strict=True):
            found[layer].append((activation.detach(), at))
    leave_gradient(model, x, target, torch.cat(slopes), torch.cat(outs))
    for layer, pairs in found.items():
        leave_activation_and_gradient(model, x, target, layer, *map(torch.cat, zip(*pairs, strict=True)))
    return torch.cat(outs)


def gap(model: Model, x: Batch, target: Target, name: str, a: Attribution, given: Mapping[str, object]) -> float:
    """Largest part by which the sum of a complete method misses the change of score from its baseline."""
    if "complete" not in METHODS.cards[name].axioms or not len(x):
        return float("nan")
    baseline = given.get("baseline", signature(METHODS.find(name)).parameters["baseline"].default)
    change = score(model, x, target) - score(model, expand_baseline(baseline, x), target)
    return float(((a.flatten(1).sum(1) - change) / change).abs().max())


@contextmanager
def peak_memory(row: dict[str, object], device: torch.device) -> Iterator[None]:
    """Most memory above what was in use before, in MiB: of the accelerator, or resident in the process.

    On a processor it is the high-water mark that Linux keeps and resets; elsewhere it is not known (NaN).
    """
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        yield
        row["peak_mib"] = (torch.cuda.max_memory_allocated(device) - before) / 2**20
        return
    before = reset_high_water()
    yield
    row["peak_mib"] = resident("VmHWM") - before


def reset_high_water() -> float:
    """Make Linux forget the high-water mark of the process; MiB resident now, NaN where there is no such thing."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return float("nan")
    return resident("VmRSS")


def resident(field: str) -> float:
    """A field of `/proc/self/status`, in MiB."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{field}:")), float("nan"))
