"""Whether a method may run: what it refuses and costs is seen in a trial of a few passes, and remembered."""

import json
from collections import OrderedDict
from typing import Any

from torch import Tensor

import xnb
from services.core.models import ServedModel
from services.core.questions import Question
from services.core.refusals import Refusal, hand_on_refusal, require
from xnb.access.ledger import count_passes
from xnb.access.trials import run_first_changes

_MOST_REMEMBERED = 256
_CHANGES = 2  # of the input that are run


class Trials:
    """What was seen of methods with their knobs, for the limit of passes."""

    def __init__(self, most_passes: int) -> None:
        self.most_passes = most_passes
        self._seen: OrderedDict[str, dict[str, Any]] = OrderedDict()

    def check(self, served: ServedModel, x: Tensor, target: Tensor, question: Question) -> dict[str, Any]:
        """Return the verdict of `xnb.lint` on the method, and the passes that it will take with these knobs.

        Raises:
            Refusal: 422, the method refuses this model, or costs more passes than are allowed.
        """
        key = json.dumps([served.name, question.method, question.knobs], sort_keys=True)
        if key not in self._seen:
            self._seen[key] = self._look(served, x, target, question)
            while len(self._seen) > _MOST_REMEMBERED:
                self._seen.popitem(last=False)
        return self._seen[key]

    def _look(self, served: ServedModel, x: Tensor, target: Tensor, question: Question) -> dict[str, Any]:
        passes = self._count(served, x, target, question)
        limit = f"{question.method}: an explanation may cost at most {self.most_passes:,} passes of the model"
        require(passes <= self.most_passes, 422, limit, f"{passes:,} passes", "fewer steps or samples, a larger window")
        row = xnb.lint(served.model, x, methods=[question.method]).iloc[0]
        return {"valid": bool(row.valid), "reason": row.reason, "caution": row.caution, "passes": passes}

    def _count(self, served: ServedModel, x: Tensor, target: Tensor, question: Question) -> int:
        """Passes that the method would take; it runs to its end, but of many changes of the input only the first."""
        try:
            with run_first_changes(_CHANGES), count_passes() as passes:
                xnb.attribute(served.model, x, target, question.method, **question.knobs)
        except Refusal:
            raise
        except Exception as error:  # whatever it is, the explanation would end in it
            hand_on_refusal(error, 422, "method=gradient")
        return passes.forward + passes.backward
