"""The front page shows what its own code draws, and lists the notebooks that there are."""

import json
import re
from operator import attrgetter

import matplotlib as mpl
import nbformat
import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from PIL import Image, ImageSequence
from test_reading import NEAR, read_minutes
from torchvision.transforms.v2.functional import to_pil_image

import xnb
import xnb.adapters  # not loaded by `import xnb`
from xnb import data, folders

README = (folders.ROOT / "README.md").read_text()
CHINESE = (folders.ROOT / "README.zh-CN.md").read_text()
TIMES = (folders.ROOT / "benchmarks" / "README.md").read_text()
NOTEBOOKS = sorted(folders.NOTEBOOKS.glob("*.ipynb"))


def grey(path):
    """32 x 32 grey values: equal for another version's fonts, different for another picture."""
    return np.asarray(Image.open(path).convert("L").resize((32, 32), Image.Resampling.BOX), dtype=float)


def run_in(folder, code, monkeypatch):
    """Run the page's code in a folder, without a screen; the style that it sets does not outlive it."""
    monkeypatch.chdir(folder)
    backend = mpl.get_backend()
    mpl.use("agg")
    with mpl.rc_context():
        exec(code, {})
        mpl.pyplot.close("all")
    mpl.use(backend)


def test_the_picture_is_what_the_code_draws(tmp_path, monkeypatch):
    code = re.search(r"```python\n(.*?)```", README, re.S).group(1)
    assert README[: README.index(code)].count("\n") < 15
    run_in(tmp_path, code, monkeypatch)
    assert np.abs(grey(tmp_path / "readme.png") - grey(folders.ROOT / "figures" / "readme.png")).mean() < 1.5


@pytest.fixture
def photographs(tmp_path):
    """A folder of five photographs, beside which the page's code runs."""
    (tmp_path / "photographs").mkdir()
    split = data.photos(256)
    for name in ("cat", "coffee", "flower", "palace", "rocket"):
        picture = split.test.x[split.classes.index(name)]
        to_pil_image(picture).save(tmp_path / "photographs" / f"{name}.png")
    return tmp_path


def test_the_second_picture_is_what_the_code_draws(photographs, monkeypatch):
    _, code, *_ = re.findall(r"```python\n(.*?)```", README, re.S)
    assert len(code.strip().splitlines()) <= 15
    run_in(photographs, code, monkeypatch)
    difference = grey(photographs / "photographs.png") - grey(folders.ROOT / "figures" / "photographs.png")
    assert np.abs(difference).mean() < 1.5


def test_the_explorer_moves():
    with Image.open(folders.ROOT / "figures" / "explorer.gif") as film:
        seen = {frame.convert("RGB").tobytes() for frame in ImageSequence.Iterator(film)}
        assert len(seen) == film.n_frames >= 5


# In which order they are read: the path, and then the basics beside it.
PATH = "00 03 14 04 15 05 16 06 18 07 21 08 20 09 17 10 22 23 19 11 12 13".split()
BASICS = ["01", "02"]
COLUMNS = ("notebook", "question", "reading", "machine", "level", "before", "figures")


def read_rows(page):
    """The table of notebooks, by number: a dictionary of the columns."""
    lines = [line for line in page.splitlines() if re.match(r"\| \[\d\d_", line)]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    return {row[0][1:3]: dict(zip(COLUMNS, row, strict=True)) for row in cells}


def number_figure(name):
    return [int(part) for part in name.split("-")[1:]]


def write_ranges(book):
    """Figures as the table has them: of each notebook that they are numbered after, the first and the last."""
    groups = {}
    for name in sorted((cell.id for cell in book.cells if cell.id.startswith("fig-")), key=number_figure):
        groups.setdefault(name[:6], []).append(name)
    return ", ".join(" … ".join(dict.fromkeys([names[0], names[-1]])) for names in groups.values())


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_map_names_each_notebook_with_its_question_and_figures(path):
    book = nbformat.read(path, 4)
    row = read_rows(README).get(path.name[:2])
    assert row, f"README.md and README.zh-CN.md: add a row for {path.name} to the table of notebooks"
    assert row["notebook"] == f"[{path.stem}](notebooks/{path.name})"
    assert row["question"] == book.cells[0].source.splitlines()[0].split("· ")[1]
    assert row["figures"] == write_ranges(book)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_map_says_how_long_each_reads_and_runs(path):
    row = read_rows(README)[path.name[:2]]
    minutes = {column: int(re.fullmatch(r"(\d+) min", row[column])[1]) for column in ("reading", "machine")}
    assert abs(minutes["reading"] - read_minutes(nbformat.read(path, 4))) <= NEAR
    seconds = json.loads((folders.ROOT / "collection" / "seconds.json").read_text())[path.name[:2]]
    assert abs(minutes["machine"] - seconds / 60) < 1


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_map_says_how_hard_each_is_and_what_comes_before(path):
    number = path.name[:2]
    row = read_rows(README)[number]
    assert row["level"] in ("easy", "medium", "hard")
    before = re.findall(r"\d\d", row["before"])
    assert row["before"] == (", ".join(before) or "–")
    earlier = PATH if number in BASICS else PATH[: PATH.index(number)]
    assert set(before) <= {*earlier, *BASICS} - {number}
    [goals] = [cell.source for cell in nbformat.read(path, 4).cells if cell.id == "goals"]
    named = set(re.findall(r"\((\d\d)_", goals.split("Prerequisites:")[1].split("\n\n")[0]))
    assert named <= set(before), f"README.md: the row of {number} lacks what its prerequisites name"


def test_map_is_in_reading_order():
    there = {path.name[:2] for path in NOTEBOOKS}
    assert list(read_rows(README)) == [number for number in PATH + BASICS if number in there]
    assert list(read_rows(CHINESE)) == list(read_rows(README))


@pytest.mark.parametrize(
    ("names", "written"),
    [
        (["fig-03-1", "fig-03-10", "fig-03-2"], "fig-03-1 … fig-03-10"),
        (["fig-14-1", "fig-03-4", "fig-14-2"], "fig-03-4, fig-14-1 … fig-14-2"),
    ],
)
def test_figures_of_several_notebooks_are_written_apart(names, written):
    assert write_ranges(new_notebook(cells=[new_code_cell("x", id=name) for name in names])) == written


def test_map_names_no_notebook_that_is_not_there():
    assert set(re.findall(r"\(notebooks/(\S*?\.ipynb)\)", README)) == {path.name for path in NOTEBOOKS}


PAGES = [folders.ROOT / "README.md", folders.ROOT / "README.zh-CN.md", folders.DATA / "README.md"]
PAGES += [folders.ROOT / "benchmarks" / "README.md"]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(folders.ROOT)))
def test_links_lead_somewhere(path):
    links = re.findall(r"\]\((?!https?://)([^)#]+)\)", path.read_text())
    assert links
    assert [link for link in links if not (path.parent / link).exists()] == []


def test_make_targets_in_the_text_exist():
    makefile = (folders.ROOT / "Makefile").read_text()
    for target in set(re.findall(r"(?:^|[`*])make ([a-z-]+)", README, re.M)):
        assert f"\n{target}:" in makefile, target


def test_the_calls_in_the_table_exist():
    for name in set(re.findall(r"`xnb\.([a-z_.]+)\(", README)):
        assert callable(attrgetter(name)(xnb)), name


RUN = json.loads((folders.ROOT / "benchmarks" / "results.json").read_text())["runs"]["cpu"]
RESULTS = RUN["rows"]
SPEED = re.findall(r"^\| ([^|]+?) \(`(.+?)`\) \| ([a-zA-Z-]+) \| ([\d.]+) \| ([\d.]+) \|$", TIMES, re.M)


@pytest.mark.parametrize("row", SPEED, ids=lambda row: "-".join(row[:3]))
def test_times_are_those_of_the_stored_run(row):
    _, name, peer, default, best = row
    ratios = next(line["ratios"] for line in RESULTS[name]["lines"] if line["peer"] == peer.lower())
    assert next(line["equal"] for line in RESULTS[name]["lines"] if line["peer"] == peer.lower())
    assert f"{ratios['prepared/default']['median']:.2g}" == default
    assert f"{ratios['prepared/best']['median']:.2g}" == best


def test_there_are_times_to_check_and_all_works_that_are_slower_are_named():
    assert len(SPEED) >= 10
    ratios = [(n, line["ratios"].get("prepared/best")) for n, row in RESULTS.items() for line in row.get("lines", ())]
    slower = {name for name, ratio in ratios if ratio and ratio["median"] > 1}
    assert slower == set(re.findall(r"`([^`]+/[a-z0-9]+)`", TIMES.split("Slower than")[1].split("\n")[0]))


def test_the_geometric_mean_is_that_of_the_stored_run():
    mean = f"{RUN['suite']['geometric mean of prepared/default']:.2g}"
    assert f"their default: {mean})" in TIMES
    assert f"ours takes {mean} of the time" in README


def test_milliseconds_are_those_of_the_stored_run():
    quick, slow = "gradient gradient_times_input lrp grad_cam", "integrated_gradients smoothgrad occlusion"
    for names, end in ((quick, "for gradient"), (slow, "for integrated")):
        medians = [RESULTS["latency"]["milliseconds"][name]["median"] for name in names.split()]
        assert f"{min(medians):.0f} to {max(medians):.0f} ms {end}" in TIMES


TAKEN_OVER = {
    "program": r"```python\n.*?```",
    "commands": r"^make \w+ (?=   )",
    "code in the text": r"`[^`\n]+`",
    "links": r"\]\(((?!README|docs/zh/)[^)]+)\)",
    "figures of notebooks": r"\| fig-.* \|$",
    "minutes": r"\| (\d+) (?:min|分钟) \| (\d+) (?:min|分钟) \|",
    "what comes before": r"\| (–|\d\d(?:, \d\d)*) \| fig-",
    "geometric mean": r"(?:ours takes |默认设置下的 )([\d.]+)",
}


@pytest.mark.parametrize("what", TAKEN_OVER)
def test_the_page_in_chinese_says_the_same(what):
    found = [re.findall(TAKEN_OVER[what], page, re.M | re.S * (what == "program")) for page in (README, CHINESE)]
    assert found[0]
    assert sorted(map(str, found[1])) == sorted(map(str, found[0]))
