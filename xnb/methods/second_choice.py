"""Another method for the line to try of a refusal: the first of a list that has an answer for the very model."""

from xnb.access.rows import select_rows
from xnb.access.trials import run_first_changes
from xnb.access.way_out import FORWARD_ONLY
from xnb.methods.registry import METHODS
from xnb.progress import hide_progress
from xnb.types import Batch, Model, Target


def suggest_first(model: Model, x: Batch, target: Target, *names: str) -> str:
    """Return the call of the first of these methods that explains the first input, else of one that needs nothing."""
    for name in names:
        if _has_answer(model, x, target, name):
            return f"xnb.attribute(model, x, target, {name!r})"
    return FORWARD_ONLY


def _has_answer(model: Model, x: Batch, target: Target, name: str) -> bool:
    """Whether a method explains the first input; of many changes of it, only the first are run."""
    try:
        with select_rows(slice(1), len(x)), run_first_changes(1), hide_progress():
            return bool(METHODS[name](model, x[:1], target[:1]).isfinite().all())
    except Exception:  # whatever it is, the reader would end in it
        return False
