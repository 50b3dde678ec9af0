"""What is to be run: notebooks with their parameters, where their results go, and which results still stand."""

import hashlib
import json
import os
import re
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Literal, TypedDict

import nbformat
from nbformat import NotebookNode
from nbformat.reader import NotJSONError

from collection.long_runs import choose_dataset, find_obstacle, has_long_run
from xnb import folders
from xnb.check import refuse, require
from xnb.storage import sha256

Profile = Literal["quick", "paper"]
# Seconds of one core that each notebook takes, by number: for the order and the clock, so a rough number is enough.
_SECONDS = Path(__file__).parent / "seconds.json"
_SECONDS_OF_A_NEW_NOTEBOOK = 60.0


@dataclass(frozen=True)
class Tree:
    """The folders of a collection: `notebooks/` and `figures/` are committed, `build/` is not."""

    root: Path = folders.ROOT

    @property
    def notebooks(self) -> Path:
        return self.root / "notebooks"

    @property
    def figures(self) -> Path:
        """The stored figures, which only `make refresh` writes."""
        return self.root / "figures"


class Stamp(TypedDict):
    """What a good run leaves beside its notebook: the key of its job, its figures' hashes, its length in seconds."""

    key: str
    files: dict[str, str]
    seconds: float


@dataclass(frozen=True)
class Job:
    """One notebook with its parameters, and where its results go."""

    path: Path
    source: NotebookNode
    parameters: dict[str, str]
    profile: Profile
    build: Path  # executed copies, stamps, figures on their way
    figures: Path  # figures of this run
    stored: Path  # figures that they are compared with
    key: str  # hash of all that decides the results

    @property
    def name(self) -> str:
        return self.path.stem

    @property
    def staging(self) -> Path:
        """Where the kernel writes figures, until the whole notebook has succeeded; no other process writes there."""
        return self.build / "staging" / str(os.getpid()) / self.name

    def file(self, kind: Literal["ipynb", "failed.ipynb", "stamp.json"]) -> Path:
        return self.build / f"{self.name}.{kind}"

    def shows_other_data(self, figure: str) -> bool:
        """Whether that figure file cannot be compared: a longer run or another dataset was asked for.

        The stored figures of the paper profile are those of the large datasets. A figure that a longer run draws
        without that profile is no other than the notebook's own by its name, and of more or other inputs.
        """
        return (self.profile == "paper" or "DATASET" in self.parameters) and not figure.startswith("paper/")

    def figure(self, name: str) -> Path:
        """Where a figure's file goes. Other data than the stored ones stay in the folder of their own run."""
        return (self.build / "figures" if self.shows_other_data(name) else self.figures) / name

    def code_cells(self) -> list[NotebookNode]:
        return [cell for cell in self.source.cells if cell.cell_type == "code"]


def plan_jobs(
    tree: Tree, notebook: str | None = None, profile: Profile | None = None, dataset: str | None = None
) -> list[Job]:
    """One job for the notebook of that number, or for each; of the paper profile, for each that can run it.

    Raises:
        ValueError: no such notebook, a file that is not a notebook, or no notebook that can run the paper profile.
    """
    inputs = _hash_inputs(tree)
    jobs, obstacles = [], []
    for path in choose_notebooks(tree.notebooks, notebook):
        source = read_notebook(path)
        obstacle = find_obstacle(tree.root, path, source, dataset) if profile == "paper" else ""
        if obstacle:
            obstacles.append(obstacle)
        else:
            jobs.append(_plan_job(tree, path, source, profile or "quick", dataset, inputs))
    hint = "make figures" + (f" NOTEBOOK={notebook}" if notebook else "")
    require(bool(jobs), "runner: no notebook that can run the paper profile", "; ".join(obstacles), hint)
    return jobs


def list_left_out(tree: Tree, dataset: str | None) -> list[str]:
    """Notebooks whose longer version lacks its data, with what is missing."""
    notebooks = [(path, read_notebook(path)) for path in choose_notebooks(tree.notebooks, None)]
    long = [(path, source) for path, source in notebooks if has_long_run(source)]
    obstacles = [find_obstacle(tree.root, path, source, dataset) for path, source in long]
    return [obstacle for obstacle in obstacles if obstacle]


def _plan_job(tree: Tree, path: Path, source: NotebookNode, profile: Profile, dataset: str | None, inputs: str) -> Job:
    if profile == "paper" and dataset is None:
        dataset = choose_dataset(tree.root, path.name[:2])
    settings = {"PROFILE": profile if profile == "paper" else None, "DATASET": dataset}
    parameters = {name: value for name, value in settings.items() if value is not None}
    # a folder for each profile and dataset: the stamps of one run say nothing about another
    variant = "-".join(filter(None, [profile, dataset]))
    cells = [[cell.id, cell.source, cell.metadata.get("tags", [])] for cell in source.cells]
    return Job(
        path=path,
        source=source,
        parameters=parameters,
        profile=profile,
        build=tree.root / "build" / re.sub(r"[^\w.-]+", "_", variant),
        figures=tree.root / "build" / "figures",
        stored=tree.figures,
        key=_hash_value([cells, parameters, inputs]),
    )


def choose_notebooks(folder: Path, number: str | None) -> list[Path]:
    """The notebook of that number, or all of them in order."""
    notebooks = sorted(folder.glob("[0-9][0-9]_*.ipynb"))
    selected = [path for path in notebooks if number is None or path.name.startswith(f"{number:0>2}")]
    known = ", ".join(path.name[:2] for path in notebooks)
    require(bool(selected), "runner: no notebook of that number", number, f"one of {known or 'no notebooks yet'}")
    return selected


def _hash_inputs(tree: Tree) -> str:
    """Hash of what every notebook depends on: the package, the data that ships, and the libraries that compute."""
    shipped = [folder for folder in (tree.root / "data").glob("*") if folder.name != "cache"]
    data = [path for top in shipped for path in (top, *top.rglob("*")) if path.is_file()]
    # stub files count too: rooms load their names from them
    code = [path for pattern in ("xnb/**/*.py", "xnb/**/*.pyi", "collection/*.py") for path in tree.root.glob(pattern)]
    hashes = [(path.relative_to(tree.root).as_posix(), sha256(path)) for path in sorted([*code, *data])]
    return _hash_value([hashes, [version(name) for name in ("torch", "torchvision", "numpy", "matplotlib")]])


def _hash_value(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()


def read_notebook(path: Path) -> NotebookNode:
    try:
        return nbformat.read(path, as_version=4)
    except NotJSONError:
        refuse("runner: the file must be a notebook", path.name, f"git checkout {path.parent.name}/{path.name}")


def write_notebook(notebook: NotebookNode, path: Path) -> None:
    with folders.replace_file(path) as part:
        nbformat.write(notebook, part)


def write_stamp(job: Job, hashes: dict[str, str], seconds: float) -> None:
    stamp = Stamp(key=job.key, files=hashes, seconds=round(seconds, 1))
    with folders.replace_file(job.file("stamp.json")) as part:
        part.write_text(json.dumps(stamp, indent=1))


def standing_figures(job: Job) -> dict[str, str] | None:
    """Figure files, with their hashes, of an earlier run that is up to date and untouched; None if there is none."""
    stamp = _read_stamp(job)
    if stamp is None or stamp["key"] != job.key or not job.file("ipynb").exists():
        return None
    for name, hashed in stamp["files"].items():
        path = job.figure(name)
        if not path.exists() or sha256(path) != hashed:
            return None
    return stamp["files"]


def expected_seconds(job: Job) -> float | None:
    """How long the job should take: as long as it took here last time, else as the collection says; None: unknown."""
    stamp = _read_stamp(job)
    if stamp is not None:
        return stamp["seconds"]
    if job.profile == "paper":
        return None
    return json.loads(_SECONDS.read_text()).get(job.name[:2], _SECONDS_OF_A_NEW_NOTEBOOK)


def _read_stamp(job: Job) -> Stamp | None:
    path = job.file("stamp.json")
    if not path.exists():
        return None
    stamp: Stamp = json.loads(path.read_text())
    return stamp if stamp.keys() == Stamp.__annotations__.keys() else None  # an older runner's has other keys
