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
from xnb.check import require

ID = re.compile(r"fig-(\d\d)-\d+")
MOST = 20_000  # numbers in one figure: about 200 kB of text, and more than a reader sees
DIGITS = 7  # significant digits of float32
FLOOR = 1e-6  # rounding noise of float32 at values of order one

Plain: TypeAlias = str | int | float | bool | list | None
Record: TypeAlias = dict[str, Any]  # id, notebook, tolerance, data: what the JSON file holds


def savefig(
    fig: Figure,
    id: str,
    data: Mapping[str, object],
    *,
    tolerance: float = 1e-4,
    profile: Literal["quick", "paper"] = "quick",
) -> None:
    """Write `<id>.json` (the plotted numbers), `.png` and `.pdf`; the same figure gives the same bytes.

    Args:
        id: `fig-NN-n`, where NN is the notebook's number; also the id of the cell that draws it.
        data: what is drawn, by name: numbers, text, nested lists, arrays, tensors or columns. Floats keep
            7 digits; NaN stands for "no value".
        tolerance: how far a later run may be off, see `compare`.
        profile: figures of "paper" go to the subfolder `paper/`.

    Raises:
        ValueError: `id` is not `fig-NN-n`, or `data` is infinite, not numbers or text, or over 20,000 values.
    """
    path = profile_folder(profile) / f"{id}.json"
    text = written(record(id, data, tolerance))
    with folders.replace_file(path.with_suffix(".pdf")) as draft:
        fig.savefig(draft, format="pdf", bbox_inches="tight", metadata={"CreationDate": None})
    with folders.replace_file(path.with_suffix(".png")) as draft:
        fig.savefig(draft, format="png", bbox_inches="tight", dpi=100, metadata={"Software": None})
    with folders.replace_file(path) as draft:
        draft.write_text(text, encoding="utf-8")


def profile_folder(profile: Literal["quick", "paper"] = "quick") -> Path:
    """Where figures of that profile are kept."""
    require(profile in ("quick", "paper"), "savefig: profile must be 'quick' or 'paper'", profile, 'profile="quick"')
    return folders.figure_folder() if profile == "quick" else folders.figure_folder() / "paper"


def record(id: str, data: Mapping[str, object], tolerance: float = 1e-4) -> Record:
    """What the JSON file holds, as plain Python values."""
    match = ID.fullmatch(id)
    require(match is not None, "savefig: id must be fig-NN-n, NN the notebook's number", id, 'id="fig-02-1"')
    values = {name: plain(value) for name, value in data.items()}
    count = sum(1 for value in values.values() for _ in leaves(value))
    hint = "save what is drawn, pooled: one number per bin, curve point or shown pixel"
    require(count <= MOST, f"savefig: data must hold at most {MOST:,} numbers", count, hint)
    return {"id": id, "notebook": match[1], "tolerance": tolerance, "data": values}


def plain(value: object) -> Plain:
    """The value as JSON has it: arrays as nested lists, floats with 7 digits, NaN as null."""
    if isinstance(value, Tensor):
        value = value.detach().cpu()
    if not isinstance(value, list | tuple):
        value = np.asarray(value).tolist()
    return scalar(value) if not isinstance(value, list | tuple) else [plain(item) for item in value]


def scalar(value: object) -> Plain:
    known = isinstance(value, str | bool | int | float)
    require(known, "savefig: data must be numbers or text", value, 'data={"loss": history["loss"]}')
    if not isinstance(value, float):
        return value
    require(not math.isinf(value), "savefig: data must not be infinite", value, "draw and save a finite value, or NaN")
    return None if math.isnan(value) else float(f"{value:.{DIGITS}g}")


def leaves(value: Plain) -> Iterator[Plain]:
    """The single values of nested lists, in order."""
    if isinstance(value, list):
        for item in value:
            yield from leaves(item)
    else:
        yield value


def written(figure: Record) -> str:
    """JSON with one line per name, so that a change shows as the lines that changed."""
    head = [f' "{key}": {json.dumps(figure[key])}' for key in ("id", "notebook", "tolerance")]
    rows = [f"  {json.dumps(name)}: {json.dumps(value, ensure_ascii=False)}" for name, value in figure["data"].items()]
    return "{\n" + ",\n".join([*head, ' "data": {\n' + ",\n".join(rows) + "\n }"]) + "\n}\n"


def read(path: Path) -> Record:
    """The record that `savefig` wrote.

    Raises:
        ValueError: the file is not such a record.
    """
    try:
        figure = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        require(False, "figures: the file must be JSON", f"{path.name}: {error}", "make figures FORCE=1")
    whole = isinstance(figure, dict) and figure.keys() == {"id", "notebook", "tolerance", "data"}
    require(whole and figure["id"] == path.stem, "figures: the file must hold the figure it is named after", path.name)
    return figure


def compare(old: Record, new: Record) -> list[str]:
    r"""Where two records of a figure differ, one line for each name; empty if they agree.

    Shapes, text, whole numbers and missing values must be equal. Floats `a` of one name agree if
    :math:`|a - b| \le \text{tolerance} \cdot \max|a| + 10^{-6}` with the old record's tolerance: relative to the
    largest value drawn under that name, not to each value. Data below 1e-6 throughout is therefore
    not compared at all: scale it before drawing.
    """
    before, after = old["data"], new["data"]
    lost = [f"{name}: only in the old figure" for name in before.keys() - after.keys()]
    added = [f"{name}: only in the new figure" for name in after.keys() - before.keys()]
    shared = (difference(name, before[name], after[name], old["tolerance"]) for name in before if name in after)
    return sorted([*lost, *added, *filter(None, shared)])


def difference(name: str, old: Plain, new: Plain, tolerance: float) -> str:
    """One line on how `new` differs from `old`, empty if it does not."""
    if outline(old) != outline(new):
        return f"{name}: shape, text or whole numbers differ: {shortened(old)} became {shortened(new)}"
    a, b = (np.array([leaf for leaf in leaves(value) if isinstance(leaf, float)]) for value in (old, new))
    allowed = tolerance * np.abs(a).max(initial=0) + FLOOR
    gap = np.abs(a - b)
    if (gap <= allowed).all():
        return ""
    count = f"{(gap > allowed).sum()} of {a.size} numbers differ"
    return f"{name}: {count}, by up to {gap.max():.3g} ({allowed:.3g} allowed)"


def outline(value: Plain) -> Plain:
    """What must be equal: everything but the size of the floats."""
    if isinstance(value, list):
        return [outline(item) for item in value]
    return "float" if isinstance(value, float) else f"exactly {json.dumps(value)}"


def shortened(value: Plain) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."


def manifest(root: Path | None = None) -> pd.DataFrame:
    """One row a stored figure: figure, notebook, profile, files. Read off the folder, hence never out of date."""
    root = root or folders.figure_folder()
    places = [("quick", root), ("paper", root / "paper")]
    rows = [row(path, profile) for profile, place in places for path in sorted(place.glob("fig-*.json"))]
    return pd.DataFrame(rows, columns=["figure", "notebook", "profile", "files"])


def row(path: Path, profile: str) -> tuple[str, ...]:
    files = [beside.name for beside in sorted(path.parent.glob(f"{path.stem}.*"))]
    return path.stem, read(path)["notebook"], profile, ", ".join(files)
