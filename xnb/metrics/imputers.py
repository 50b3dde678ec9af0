"""What stands where something is removed: one choice for all metrics that remove."""

from collections.abc import Callable
from functools import lru_cache
from itertools import product
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from scipy.linalg import solveh_banded
from scipy.ndimage import gaussian_filter1d
from scipy.sparse import csr_array, diags_array
from scipy.sparse.linalg import cg, splu
from torch import Tensor

from xnb.access.draws import make_generator
from xnb.access.rows import follow_rows, select_rows
from xnb.access.units import INSTANCES, Axes
from xnb.check import is_finite, refuse, require
from xnb.types import Batch

# (inputs (B, *shape), removed (N, 1 or B, *#shape) as 0 and 1) -> inputs with that replaced (N, B, *shape)
Imputer = Callable[[Batch, Tensor], Tensor]
Fill = Callable[[slice, Tensor], Tensor]  # (rows of the batch, removed) -> what an imputer returns for them
# A name in `PAINTS` or "noisy_linear", a number, a tensor that broadcasts against x and follows its rows, an imputer.
Impute: TypeAlias = Any
_BESIDE = 1 / 6  # weight of a neighbour on a side; half of it with every further axis it lies across (arXiv:2202.00449)
NOISE = 0.01  # standard deviation around the solution, as published
_CLOSE = 1e-10  # error of an iterative solution, relative
# Where no more than this share of a picture with rows of so many places is removed, sparse elimination is quicker than
# a band: single solutions at 224 pixels took 0.01 to 0.2 s where a band took 0.2 to 0.4. Of small pictures both take
# milliseconds.
_LONG_ROW = 100
_SPARSE_SHARE = 0.6


def mean_colour(x: Batch, axes: Axes) -> Batch:
    """Return each input's own mean over its places; of tables and bags zeros, the mean of standardised numbers."""
    if axes == INSTANCES:
        return torch.zeros_like(x)
    return x.mean(axes, keepdim=True).expand_as(x)


def _blur_places(x: Batch, axes: Axes) -> Batch:
    """Return the inputs without their detail: under a Gaussian of a twelfth of each side."""
    lengths = [x.shape[axis] for axis in axes]
    fits = max(lengths) > 2
    require(fits, "metrics: impute='blur' needs more than two places along an axis", x, "impute='mean'")
    values = x.detach().double().cpu().numpy()
    for axis, length in zip(axes, lengths, strict=True):
        sigma = length / 12
        reach = min(round(3 * sigma), length - 1)
        if reach:
            values = gaussian_filter1d(values, sigma, axis=axis, mode="mirror", radius=reach)
    return torch.from_numpy(values).to(x)


def noisy_linear_imputation(x: Batch, removed: Float[Tensor, "N b *#shape"], axes: Axes = (2, 3)) -> Tensor:
    """Make each removed place the weighted mean of its neighbours, removed ones included, and a little noise.

    The mask leaves no edge that a network could read (ROAD, arXiv:2202.00449). A place has all neighbours that touch
    it, 8 in a picture, 2 in a signal, 26 in a volume. The noise is the same for an input at every call.
    """
    lengths = tuple(x.shape[axis] for axis in axes)
    inner = [axis for axis in range(1, x.ndim) if axis not in axes]
    # (B, values of a place, places): what lies at one place has the same equations
    moved = x.permute(0, *inner, *axes)
    known = moved.reshape(len(x), -1, torch.Size(lengths).numel())
    masks = removed.flatten(2).bool()
    # One mask for all inputs is one system of equations: their values stand side by side, (1, places, B C).
    one_mask = removed.shape[1] == 1
    columns = known.permute(2, 0, 1).flatten(1)[None] if one_mask else known.mT
    known_values = columns.double().cpu().numpy()
    solutions = []
    for rows in masks.cpu().numpy():
        pairs = zip(known_values, rows, strict=True)
        solutions.append([_solve_removed(*pair, lengths) for pair in pairs])
    solved = torch.from_numpy(np.stack(solutions)).to(x)
    # (N, b, places, B/b C) -> (N, B, C, places) -> as x lies
    filled = solved.unflatten(3, (-1, known.shape[1])).movedim(2, 4).flatten(1, 2)
    filled = filled.reshape(len(removed), *moved.shape)
    back = np.argsort([0, *inner, *axes])
    filled = filled.permute(0, *(1 + back).tolist())
    rng = make_generator("imputed noise", 0)
    noise = torch.randn(x.shape[1:], generator=rng, dtype=torch.float32).to(x) * NOISE
    return torch.where(removed.bool(), filled + noise, x)


def _solve_removed(values: NDArray, removed: NDArray, lengths: tuple[int, ...]) -> NDArray:
    """Solve the removed places of one input, values `(places, C)`."""
    if removed.all():
        return np.broadcast_to(values.mean(0), values.shape)
    # The equations of a picture are a band as wide as a row, solved within a millisecond; of a volume as wide as a
    # slice, which is too much to be filled in.
    dimensions = sum(length > 1 for length in lengths)
    if dimensions > 2:
        return _solve_by_iteration(values, removed, lengths)
    is_sparse = lengths[-1] >= _LONG_ROW and removed.mean() <= _SPARSE_SHARE
    solve = _solve_sparse if is_sparse and dimensions == 2 else _solve_bands
    return solve(values, removed, lengths)


def _solve_bands(values: NDArray, removed: NDArray, lengths: tuple[int, ...]) -> NDArray:
    """Solve the equations directly; they are symmetric, positive and banded."""
    # One equation a place. One that stays equals itself, and moves to the right side of its neighbours' equations:
    # so the matrix stays symmetric, and row k of `bands` holds what stands k below its diagonal.
    neighbours = _neighbour_pairs(lengths)
    width = max((pairs.step for pairs in neighbours), default=0)
    bands = np.zeros((width + 1, len(values)))
    bands[0] = ~removed
    right_side = np.where(removed[:, None], 0.0, values)
    # An unknown value is the weighted mean of its neighbours: known ones go to the right side, the rest into bands.
    for step, weight, first, second in neighbours:
        for places, others in ((first, second), (second, first)):
            unknown = places[removed[places]]
            beside = others[removed[places]]
            bands[0, unknown] += weight
            stays = ~removed[beside]
            right_side[unknown[stays]] += weight * values[beside[stays]]
        both_unknown = removed[first] & removed[second]
        bands[step, first[both_unknown]] = -weight
    return solveh_banded(bands, right_side, lower=True, overwrite_ab=True, overwrite_b=True, check_finite=False)


def _solve_sparse(values: NDArray, removed: NDArray, lengths: tuple[int, ...]) -> NDArray:
    """Solve the equations of the removed places alone, directly, in an order that fills in little."""
    unknown, known_sums = _write_equations(values, removed, lengths)
    symmetric = {"SymmetricMode": True}
    factors = splu(unknown.tocsc(), permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options=symmetric)
    solved = values.copy()
    solved[removed] = factors.solve(known_sums)
    return solved


def _solve_by_iteration(values: NDArray, removed: NDArray, lengths: tuple[int, ...]) -> NDArray:
    """Solve the equations by conjugate gradients."""
    unknown, known_sums = _write_equations(values, removed, lengths)
    solved = values.copy()
    # The mean of what stays is close to the solution, so that few iterations are needed.
    for channel in range(values.shape[1]):
        start = np.full(len(known_sums), values[~removed, channel].mean())
        solved[removed, channel], _ = cg(unknown, known_sums[:, channel], start, rtol=_CLOSE)
    return solved


def _write_equations(values: NDArray, removed: NDArray, lengths: tuple[int, ...]) -> tuple[csr_array, NDArray]:
    """The equations of the removed places: their matrix, and what known neighbours add up to, `(places, C)`."""
    graph = _neighbour_graph(lengths)
    of_removed = graph[removed]
    weights = np.asarray(of_removed.sum(1)).ravel()
    known_sums = of_removed[:, ~removed] @ values[~removed]
    unknown = csr_array(diags_array(weights) - of_removed[:, removed])
    return unknown, known_sums


class _Pairs(NamedTuple):
    """Places and the neighbours that lie `step` further in reading order, in one direction."""

    step: int
    weight: float
    first: NDArray
    second: NDArray


@lru_cache(maxsize=4)
def _neighbour_pairs(lengths: tuple[int, ...]) -> list[_Pairs]:
    """All pairs of places that touch, by direction, each pair once."""
    long = [length for length in lengths if length > 1]
    numbers = np.arange(np.prod(long, dtype=int)).reshape(long)
    pairs = []
    for offset in product((1, 0, -1), repeat=len(long)):
        if offset <= (0,) * len(long):  # the direction to the other side, or none
            continue
        first = numbers
        second = numbers
        for axis, move in enumerate(offset):
            first = _leave_out_end(first, axis, move)
            second = _leave_out_end(second, axis, -move)
        weight = 2 * _BESIDE / 2 ** np.count_nonzero(offset)
        step = int(second.flat[0] - first.flat[0])
        pairs.append(_Pairs(step, weight, first.ravel(), second.ravel()))
    return pairs


def _leave_out_end(numbers: NDArray, axis: int, move: int) -> NDArray:
    """The places from which a move of -1, 0 or 1 along an axis stays inside."""
    length = numbers.shape[axis]
    start = max(0, -move)
    return numbers.take(range(start, length - max(0, move)), axis)


@lru_cache(maxsize=4)
def _neighbour_graph(lengths: tuple[int, ...]) -> csr_array:
    """Weights of all pairs of places that touch, either way round."""
    pairs = _neighbour_pairs(lengths)
    first = np.concatenate([pair.first for pair in pairs])
    second = np.concatenate([pair.second for pair in pairs])
    weights = np.concatenate([np.full(len(pair.first), pair.weight) for pair in pairs])
    size = int(np.prod(lengths))
    one_way = csr_array((weights, (first, second)), shape=(size, size))
    return csr_array(one_way + one_way.T)


# A paint depends on the inputs alone and is laid where something is removed; an imputer sees what is removed.
PAINTS: dict[str, Callable[[Batch, Axes], Batch]] = {
    "zero": lambda x, axes: torch.zeros_like(x),
    "mean": mean_colour,
    "blur": _blur_places,
}
_NAMES = [*PAINTS, "noisy_linear"]


def make_fill(impute: Impute, x: Batch, axes: Axes) -> Fill:
    """Return a function (rows, removed) that replaces the removed values, 1 in `removed`, in these rows of `x`.

    Args:
        impute: zero, mean, blur, noisy_linear; a number; a tensor that broadcasts against `x`, also with a row an
            input; or a function (inputs, removed) -> inputs filled.
        axes: of `x`, that number its units; blur and noisy_linear go along them.

    Raises:
        ValueError: no imputer of that name, or one that goes along places on inputs that have none.
    """
    known = not isinstance(impute, str) or impute in _NAMES
    require(
        known, f"metrics: impute must be one of {_NAMES}, a number, a tensor or a function", impute, "impute='mean'"
    )
    fits = axes != INSTANCES or impute not in ("blur", "noisy_linear") if isinstance(impute, str) else True
    rule = f"metrics: impute={impute!r} goes along places, and features and instances have no neighbours"
    require(fits, rule, x, "impute='mean'")
    if isinstance(impute, str) and impute == "noisy_linear":
        return lambda rows, removed: noisy_linear_imputation(x[rows], removed, axes)
    if callable(impute):
        return lambda rows, removed: _ask_imputer(impute, x, rows, removed)
    # It does not depend on what is removed: it is mixed once for all calls.
    paint = PAINTS[impute](x, axes) if isinstance(impute, str) else _expand_paint(impute, x)
    return lambda rows, removed: torch.lerp(x[rows], paint[rows], removed)


def _expand_paint(values: Any, x: Batch) -> Batch:
    """A number or a tensor as inputs to lay on `x`, each row with its own."""
    hint = "impute=torch.zeros_like(x)"
    try:
        paint = torch.as_tensor(values, dtype=x.dtype, device=x.device)
        if paint.ndim == x.ndim:
            paint = follow_rows(paint, len(x), "impute")
        paint = paint.expand_as(x)
    except (TypeError, ValueError, RuntimeError):
        refuse(
            f"metrics: impute must be a name, a number or a tensor that broadcasts to x {tuple(x.shape)}", values, hint
        )
    require(is_finite(paint), "metrics: impute must be finite", "NaN or infinity", hint)
    return paint


def _ask_imputer(imputer: Imputer, x: Batch, rows: slice, removed: Tensor) -> Tensor:
    """What a user's function puts in place, checked."""
    with select_rows(rows, len(x)):
        filled = imputer(x[rows], removed)
    wanted = (len(removed), *x[rows].shape)
    fits = isinstance(filled, Tensor) and filled.shape == wanted
    hint = "impute=lambda x, removed: torch.where(removed.bool(), 0, x)"
    require(fits, f"metrics: a function that imputes must return inputs {wanted}, for (x, removed)", filled, hint)
    require(is_finite(filled), "metrics: a function that imputes must return finite numbers", "NaN or infinity", hint)
    return filled
