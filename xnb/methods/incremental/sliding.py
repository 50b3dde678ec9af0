"""Convolutions and poolings on crops: what a sliding kernel sees is cut out, and what it returns is a crop again."""

from collections.abc import Callable, Sequence

from torch import Tensor

from xnb.methods.incremental.crops import Crops
from xnb.methods.incremental.geometry import Layer, input_span, margins, output_span


def slide_kernel(
    func: Callable,
    crops: Crops,
    layers: list[Layer],
    padding: float,
    padded: tuple,
    bare: tuple,
) -> list[Crops]:
    """Slide a kernel over the pictures: crops of each tensor that the operation returns.

    Args:
        func: a convolution or a pooling.
        crops: what it slides over.
        layers: its sizes along the rows and along the columns.
        padding: the value around the picture.
        padded: its arguments behind the picture.
        bare: the same without padding, for crops that have been cut out with the padding around them.
    """
    bases = _as_list(crops.tape.run_once(func, crops.base, *padded))
    before = crops.base.shape[2:]
    after = bases[0].shape[2:]
    if crops.is_full:  # nothing to cut, and a crop inside whole pictures would only be larger
        rows = crops.rows.widen(after[0])
        columns = crops.columns.widen(after[1])
        patches = func(crops.patch, *padded)
    else:
        rows = output_span(crops.rows, layers[0], after[0])
        columns = output_span(crops.columns, layers[1], after[1])
        top, bottom = margins(layers[0], before[0], after[0])
        left, right = margins(layers[1], before[1], after[1])
        around = (left, right, top, bottom)
        input_rows = input_span(rows, layers[0])
        input_columns = input_span(columns, layers[1])
        inputs = crops.cut(input_rows, input_columns, around, padding)
        patches = func(inputs, *bare)
    pairs = zip(bases, _as_list(patches), strict=True)
    return [Crops(crops.tape, base, patch, rows, columns) for base, patch in pairs]


def _as_list(outputs: Tensor | Sequence[Tensor]) -> list[Tensor]:
    if isinstance(outputs, Tensor):
        return [outputs]
    return list(outputs)
