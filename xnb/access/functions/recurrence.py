"""Recurrent layers of torch written out step by step, so that every gate and every sum is a call that rules can see.

Each function takes the arguments of torch's own of that name, as `nn.LSTM`, `nn.GRU`, `nn.RNN` and their cells call it.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from xnb.check import require

State = tuple[Tensor, ...]  # hidden state, and the cell state of an LSTM
_Weights = Sequence[Any]  # of input and hidden state, then their biases
_Cell = Callable[..., State]
_WITHOUT_RULES = "xnb.attribute(model, x, target, 'integrated_gradients')"


def _lstm_step(x: Tensor, state: State, weights: _Weights) -> State:
    """Gates take in, forget and put out; their values are weights of what passes."""
    h, c = state
    w_x, w_h, b_x, b_h = weights
    entrance, forget, candidate, output = (F.linear(x, w_x, b_x) + F.linear(h, w_h, b_h)).chunk(4, -1)
    c = forget.sigmoid() * c + entrance.sigmoid() * candidate.tanh()
    return output.sigmoid() * c.tanh(), c


def _gru_step(x: Tensor, state: State, weights: _Weights) -> State:
    """A gate mixes the state with a new one, of which another gate keeps part of the old."""
    (h,) = state
    w_x, w_h, b_x, b_h = weights
    reset_x, update_x, new_x = F.linear(x, w_x, b_x).chunk(3, -1)
    reset_h, update_h, new_h = F.linear(h, w_h, b_h).chunk(3, -1)
    update = (update_x + update_h).sigmoid()
    new = (new_x + (reset_x + reset_h).sigmoid() * new_h).tanh()
    return ((1 - update) * new + update * h,)


def _rnn_step(x: Tensor, state: State, weights: _Weights, *, activation: Callable[[Tensor], Tensor]) -> State:
    (h,) = state
    w_x, w_h, b_x, b_h = weights
    return (activation(F.linear(x, w_x, b_x) + F.linear(h, w_h, b_h)),)


def _run_direction(cell: _Cell, steps: Sequence[Tensor], state: State, weights: _Weights) -> tuple[list[Tensor], State]:
    """The output of each step, and the state after the last one."""
    outputs = []
    for x in steps:
        state = cell(x, state, weights)
        outputs.append(state[0])  # the hidden state; an LSTM has its cell state behind it
    return outputs, state


def _run_layers(
    cell: _Cell, x: Tensor, start: State, weights: Sequence[Tensor], biased: bool, layers: int, bidirectional: bool
) -> tuple[Tensor, State]:
    """All layers over `(T, B, F)`: outputs of the last, and the states that every layer and direction ends in."""
    a_layer = 4 if biased else 2
    directions = 2 if bidirectional else 1
    extra = len(weights) != a_layer * directions * layers
    require(not extra, "recurrence: a layer with a projection cannot be written out", "proj_size", _WITHOUT_RULES)
    ends = []
    for layer in range(layers):
        outputs = []
        for direction in range(directions):
            place = layer * directions + direction
            own = [*weights[a_layer * place : a_layer * (place + 1)], *[None] * (4 - a_layer)]
            # The second direction reads the sequence from its end, and its outputs are put back in the order of the
            # input.
            steps = x.unbind(0)[:: 1 - 2 * direction]
            states, end = _run_direction(cell, steps, tuple(part[place] for part in start), own)
            outputs.append(torch.stack(states[:: 1 - 2 * direction]))
            ends.append(end)
        x = torch.cat(outputs, -1)
    return x, tuple(map(torch.stack, zip(*ends, strict=True)))


def _run_recurrence(cell: _Cell, x: Tensor, start: Any, *settings: Any) -> tuple[Tensor, ...]:
    """Arguments as torch passes them: weights, biases, layers, dropout, training, bidirectional, batch first."""
    packed = not isinstance(settings[1], bool)
    rule = "recurrence: packed sequences cannot be written out"
    require(not packed, rule, "a PackedSequence", _WITHOUT_RULES)
    weights, biased, layers, _, _, bidirectional, batch_first = settings
    states = start if isinstance(start, list | tuple) else (start,)
    if batch_first:
        x = x.transpose(0, 1)
    out, ends = _run_layers(cell, x, tuple(states), weights, biased, layers, bidirectional)
    return (out.transpose(0, 1) if batch_first else out), *ends


def _run_cell(cell: _Cell, x: Tensor, state: Any, *weights: Tensor | None) -> Tensor | State:
    """One step, as the cell modules call it."""
    weights = (*weights, *[None] * (4 - len(weights)))
    after = cell(x, tuple(state) if isinstance(state, list | tuple) else (state,), weights)
    return after if len(after) > 1 else after[0]


_tanh_step = partial(_rnn_step, activation=torch.tanh)
_relu_step = partial(_rnn_step, activation=torch.relu)
lstm = partial(_run_recurrence, _lstm_step)
gru = partial(_run_recurrence, _gru_step)
rnn_tanh = partial(_run_recurrence, _tanh_step)
rnn_relu = partial(_run_recurrence, _relu_step)
lstm_cell = partial(_run_cell, _lstm_step)
gru_cell = partial(_run_cell, _gru_step)
rnn_tanh_cell = partial(_run_cell, _tanh_step)
rnn_relu_cell = partial(_run_cell, _relu_step)
