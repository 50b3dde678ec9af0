"""Functions of numpy arrays as models: classifiers of scikit-learn, boosted trees, whatever runs elsewhere."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from xnb.check import refuse, require
from xnb.types import Logits

# The logarithm of a probability of 0 is infinite: forests and nearest neighbours state it.
_LEAST_PROBABILITY = 1e-6


def from_numpy(function: Callable[[Any], Any], *, log: bool = False, columns: Sequence[str] | None = None) -> nn.Module:
    """Return the model that a function of arrays is: `forest.predict_proba`, `svm.decision_function`, `net.predict`.

    It has no gradient, so methods with needs "forward" explain it. The function gets float64, on the processor. What
    it returns is explained as it is: probabilities as differences of probability, which metrics read `unit="as is"`.
    One number an input becomes `(B, 1)`: target 1 is the number, target 0 its negative.

    Args:
        function: called with an array `(n, *shape)`, returns `(n, K)` or `(n,)`.
        log: the function states probabilities and their logarithm is explained, of which they are the softmax. Below
            0.000001 they count as that.
        columns: names of the features, for a function that wants a pandas table.
    """
    return _BlackBox(function, log, columns).eval()


class _BlackBox(nn.Module):
    def __init__(self, function: Callable[[Any], Any], log: bool, columns: Sequence[str] | None) -> None:
        super().__init__()
        self.function = function
        self.log = log
        self.columns = columns

    def forward(self, x: Tensor) -> Logits:
        out = np.asarray(self.function(self._make_table(x)))
        numeric = out.dtype.kind == "f" and out.ndim in (1, 2) and len(out) == len(x)
        # `model.predict` returns labels: what explains is the probability behind them.
        states = hasattr(getattr(self.function, "__self__", None), "predict_proba")
        hint = "model = xnb.adapters.from_numpy(model.function.__self__.predict_proba)" if states else ""
        rule = "from_numpy: the function must return floats, (n, K) or (n,) for n inputs"
        require(numeric, rule, (out.dtype, out.shape), hint)
        answer = torch.as_tensor(out, device=x.device).to(x.dtype)
        if answer.ndim == 1:
            answer = answer.unsqueeze(1)
        if self.log:
            return self._take_logarithm(answer)
        return answer

    def _make_table(self, x: Tensor) -> Any:
        """The inputs as an array, or as a table where the function wants names of columns."""
        array = x.detach().cpu().double().numpy()
        if self.columns is None:
            return array
        import pandas as pd  # here: slow to load, and few functions want it

        fits = array.ndim == 2 and array.shape[1] == len(self.columns)
        hint = f"model = xnb.adapters.from_numpy(model.function, columns=[str(i) for i in range({array[0].size})])"
        require(fits, "from_numpy: a name for each feature of (n, D)", (array.shape, self.columns), hint)
        return pd.DataFrame(array, columns=list(self.columns))

    def _take_logarithm(self, p: Logits) -> Logits:
        """Log odds of one probability, logarithms of several, both finite also at 0 and 1."""
        stated = bool(((p >= 0) & (p <= 1)).all())
        if not stated:
            refuse(
                "from_numpy: log=True is for probabilities, in [0, 1]",
                p,
                "model = xnb.adapters.from_numpy(model.function)",
            )
        if p.shape[1] == 1:
            return torch.logit(p, eps=_LEAST_PROBABILITY)
        return p.clamp_min(_LEAST_PROBABILITY).log()

    def extra_repr(self) -> str:
        return f"{self.function}, log={self.log}"
