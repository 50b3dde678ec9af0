"""A figure is stored with the numbers it shows, so that a test can compare figures as numbers."""

import json
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from torch import Tensor

from xnb import folders
from xnb.check import refuse, require, shorten_text

FIGURE_ID = re.compile(r"fig-(\d\d)-\d+")
_MAX_NUMBERS = 20_000  # numbers in one figure: about 200 kB of text, and more than a reader sees
_DIGITS = 7  # significant digits of float32
_FLOOR = 1e-6  # rounding noise of float32 at values of order one

JsonValue: TypeAlias = str | int | float | bool | list | None
FigureRecord: TypeAlias = dict[str, Any]  # what the JSON file holds: id, notebook, tolerance, data
Profile: TypeAlias = Literal["quick", "paper"]


def savefig(
    fig: Figure,
    id: str,
    data: Mapping[str, object],
    *,
    tolerance: float = 1e-4,
    profile: Profile = "quick",
) -> None:
    """Write `<id>.json` (the plotted numbers), `.png` and `.pdf`; the same figure gives the same bytes.

    Args:
        id: `fig-NN-n`, also that of the cell that draws it. NN is the notebook's number, or that of the notebook in
            which the figure first stood.
        data: what is drawn, by name: numbers, text, nested lists, arrays, tensors or columns. Floats keep
            7 digits; NaN stands for "no value".
        tolerance: how far a later run may be off, see `compare_figures`.
        profile: figures of "paper" go to the subfolder `paper/`.

    Raises:
        ValueError: `id` is not `fig-NN-n`, or `data` is infinite, not numbers or text, or over 20,000 values.
    """
    require(profile in ("quick", "paper"), "savefig: profile must be 'quick' or 'paper'", profile, 'profile="quick"')
    folder = folders.figure_folder()
    if profile == "paper":
        folder = folder / "paper"
    path = folder / f"{id}.json"
    # The text first: data that cannot be stored are refused before a file is touched.
    text = _format_record(make_record(id, data, tolerance))
    with folders.replace_file(path.with_suffix(".pdf")) as draft:
        fig.savefig(draft, format="pdf", bbox_inches="tight", metadata={"CreationDate": None})
    with folders.replace_file(path.with_suffix(".png")) as draft:
        fig.savefig(draft, format="png", bbox_inches="tight", dpi=100, metadata={"Software": None})
    with folders.replace_file(path) as draft:
        draft.write_text(text, encoding="utf-8")


def make_record(id: str, data: Mapping[str, object], tolerance: float = 1e-4) -> FigureRecord:
    """Return what the JSON file of a figure holds, as plain Python values."""
    match = FIGURE_ID.fullmatch(id)
    if match is None:
        refuse("savefig: id must be fig-NN-n, NN the notebook's number", id, 'id="fig-02-1"')
    values = {name: to_json_value(value) for name, value in data.items()}
    count = sum(len(list(_iterate_leaves(value))) for value in values.values())
    hint = "save what is drawn, pooled: one number per bin, curve point or shown pixel"
    require(count <= _MAX_NUMBERS, f"savefig: data must hold at most {_MAX_NUMBERS:,} numbers", count, hint)
    return {"id": id, "notebook": match[1], "tolerance": tolerance, "data": values}


def to_json_value(value: object) -> JsonValue:
    """Return the value as JSON has it: arrays as nested lists, floats with 7 digits, NaN as null."""
    if isinstance(value, Tensor):
        value = value.detach().cpu()
    if not isinstance(value, list | tuple):
        value = np.asarray(value).tolist()
    if isinstance(value, list | tuple):
        return [to_json_value(item) for item in value]
    return _to_json_scalar(value)


def _to_json_scalar(value: object) -> JsonValue:
    """A number rounded to the digits that are stored; NaN, which JSON lacks, is None."""
    if not isinstance(value, str | bool | int | float):
        refuse("savefig: data must be numbers or text", value, 'data={"loss": history["loss"]}')
    if not isinstance(value, float):
        return value
    require(not math.isinf(value), "savefig: data must not be infinite", value, "draw and save a finite value, or NaN")
    if math.isnan(value):
        return None
    return float(f"{value:.{_DIGITS}g}")


def _iterate_leaves(value: JsonValue) -> Iterator[JsonValue]:
    """Yield the single values of nested lists, in order."""
    if isinstance(value, list):
        for item in value:
            yield from _iterate_leaves(item)
    else:
        yield value


def _format_record(record: FigureRecord) -> str:
    """Return the record as JSON with one line per name, so that a change shows as the lines that changed."""
    head = [f' "{key}": {json.dumps(record[key])}' for key in ("id", "notebook", "tolerance")]
    lines = []
    for name, value in record["data"].items():
        text = json.dumps(value, ensure_ascii=False)
        lines.append(f"  {json.dumps(name)}: {text}")
    data = ' "data": {\n' + ",\n".join(lines) + "\n }"
    return "{\n" + ",\n".join([*head, data]) + "\n}\n"


def read_figure(path: Path) -> FigureRecord:
    """Return the record that `savefig` wrote.

    Raises:
        ValueError: the file is not such a record.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        refuse("figures: the file must be JSON", f"{path.name}: {error}", "make figures FORCE=1")
    whole = isinstance(record, dict) and record.keys() == {"id", "notebook", "tolerance", "data"}
    rule = "figures: the file must hold the figure it is named after"
    require(whole and record["id"] == path.stem, rule, path.name, "make figures FORCE=1")
    return record


def compare_figures(old: FigureRecord, new: FigureRecord) -> list[str]:
    r"""Return where two records of a figure differ, one line for each name; nothing if they agree.

    Shapes, text, whole numbers and missing values must be equal. Floats `a` of one name agree if
    :math:`|a - b| \le \text{tolerance} \cdot \max|a| + 10^{-6}` with the old record's tolerance: relative to the
    largest value drawn under that name, not to each value. Data below 1e-6 throughout is therefore
    not compared at all: scale it before drawing.
    """
    before = old["data"]
    after = new["data"]
    differences = [f"{name}: only in the old figure" for name in before.keys() - after.keys()]
    differences += [f"{name}: only in the new figure" for name in after.keys() - before.keys()]
    for name in before.keys() & after.keys():
        line = _describe_difference(name, before[name], after[name], old["tolerance"])
        if line:
            differences.append(line)
    return sorted(differences)


def _describe_difference(name: str, old: JsonValue, new: JsonValue, tolerance: float) -> str:
    """Return one line on how `new` differs from `old`, empty if it does not."""
    if _forget_floats(old) != _forget_floats(new):
        before = json.dumps(old, ensure_ascii=False)
        after = json.dumps(new, ensure_ascii=False)
        change = f"{shorten_text(before, 60)} became {shorten_text(after, 60)}"
        return f"{name}: shape, text or whole numbers differ: {change}"
    old_floats = np.array(_list_floats(old))
    gap = np.abs(old_floats - np.array(_list_floats(new)))
    # Relative to the largest value, not to each: where a curve is near zero, noise of the whole is all there is.
    allowed = tolerance * np.abs(old_floats).max(initial=0) + _FLOOR
    if (gap <= allowed).all():
        return ""
    count = f"{(gap > allowed).sum()} of {gap.size} numbers differ"
    return f"{name}: {count}, by up to {gap.max():.3g} ({allowed:.3g} allowed)"


def _list_floats(value: JsonValue) -> list[float]:
    return [leaf for leaf in _iterate_leaves(value) if isinstance(leaf, float)]


def _forget_floats(value: JsonValue) -> JsonValue:
    """Return what must be equal: the nested lists with every float replaced by the same word."""
    if isinstance(value, list):
        return [_forget_floats(item) for item in value]
    if isinstance(value, float):
        return "float"
    return f"exactly {json.dumps(value)}"


def list_figures(root: Path | None = None) -> pd.DataFrame:
    """Return one row a stored figure: figure, notebook (whose number the id bears), profile, files.

    It is read off the folder, hence never out of date.
    """
    root = root or folders.figure_folder()
    rows = []
    for profile, folder in (("quick", root), ("paper", root / "paper")):
        for path in sorted(folder.glob("fig-*.json")):
            files = [file.name for file in sorted(path.parent.glob(f"{path.stem}.*"))]
            notebook = read_figure(path)["notebook"]
            rows.append((path.stem, notebook, profile, ", ".join(files)))
    return pd.DataFrame(rows, columns=["figure", "notebook", "profile", "files"])
