"""Whole data sets that a call is handed: in memory or read input by input, checked, and known again by content."""

from dataclasses import replace

from torch.utils.data import DataLoader, Dataset

from xnb.access.descriptions import fingerprint
from xnb.access.inputs import read_input
from xnb.check import refuse, require
from xnb.data import Part, Streamed
from xnb.data.streamed import Readable
from xnb.types import Model


def read_data_set(model: Model, data: object, who: str) -> Part | Streamed:
    """Return the data with plain tensors; a `Dataset` or `DataLoader` streamed.

    Args:
        model: that the inputs are for.
        who: called by the user, the first word of a refusal.

    Raises:
        ValueError: no part of a data set, no input in it, or inputs that no model takes; of streamed data the first
            input is looked at.
    """
    if isinstance(data, DataLoader | Dataset):
        data = Streamed(data)
    if not isinstance(data, Part | Streamed):
        hint = "data = data.test" if hasattr(data, "test") else "data = xnb.data.Part(x, y)"
        refuse(f"{who}: data must be a part of a data set, inputs and their classes, or a Dataset", data, hint)
    require(len(data) > 0, f"{who}: data must have an input", f"{len(data)} inputs")
    if isinstance(data, Streamed):
        read_input(model, data[:1].x, who)
        return data
    return replace(data, x=read_input(model, data.x, who))


def read_rows(data: Part | Streamed, rows: slice) -> Readable:
    """Return the selected inputs; of streamed data those that can be read, and why the others cannot."""
    if isinstance(data, Streamed):
        return data.read_readable(rows)
    part = data[rows]
    return Readable(part, list(range(len(part))), {})


def describe_data(data: Part | Streamed) -> str:
    """Return what data are known by: all values, or of streamed data their number and a sample from all over."""
    if isinstance(data, Part):
        return fingerprint([data.x, data.masks])
    sample = data.sample()
    return f"{len(data)} streamed, some of them {fingerprint([sample.x, sample.masks])}"
