"""What a call may not change: tensors, weights, hooks and gradients, and the state of torch and the package."""

import random

import numpy as np
import torch
from networks import visible_state
from torch import nn
from torch.overrides import _get_current_function_mode_stack

from xnb.access import ledger, memo, rows, trials


class Fault(AssertionError):
    """What must not be."""


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
