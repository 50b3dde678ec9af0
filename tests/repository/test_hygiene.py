"""Rules that every committed notebook keeps. A rule lists what breaks it, and is itself shown to catch it."""

import ast
import json
import re
from pathlib import Path

import nbformat
import pytest
from IPython.core.inputtransformer2 import TransformerManager
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from collection.kernel import AUTHORED

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
PARTS = ["title", "goals", "parameters", "setup", "takeaways", "exercises", "references", "versions"]
FIGURE = re.compile(r"fig-(\d\d)-(\d+)")
PLACE = re.compile(r"(?<!\w)/(?:root|home|tmp|work|Users)/|[A-Z]:\\+Users")
ADDRESS = re.compile(r"\bat 0x[0-9a-fA-F]+")


def code(book):
    return [cell for cell in book.cells if cell.cell_type == "code"]


def outputs(book):
    return [(cell, output) for cell in code(book) for output in cell.outputs]


def tags(cell):
    return cell.metadata.get("tags", [])


def nodes(book, *kinds):
    """Nodes of the cells' syntax trees with their cell; `%magic` lines become calls, as in the kernel."""
    for cell in code(book):
        for node in ast.walk(ast.parse(TransformerManager().transform_cell(cell.source))):
            if isinstance(node, kinds):
                yield cell, node


def calls(book, *names):
    return [(cell, node) for cell, node in nodes(book, ast.Call) if ast.unparse(node.func).split(".")[-1] in names]


def texts(book):
    """Sources and outputs, without pictures, each with its cell."""
    yield from ((cell, cell.source) for cell in book.cells)
    for cell, output in outputs(book):
        data = {kind: text for kind, text in output.get("data", {}).items() if not kind.startswith("image/")}
        yield cell, json.dumps([data, *(output.get(key) for key in ("text", "evalue", "traceback"))])


def executed_in_order(book):
    return [cell.id for number, cell in enumerate(code(book), 1) if cell.execution_count != number]


def errors_are_expected(book):
    found = [cell for cell, output in outputs(book) if output.output_type == "error"]
    return [cell.id for cell in found if "raises-exception" not in tags(cell)]


def no_stderr(book):
    return [cell.id for cell, output in outputs(book) if output.get("name") == "stderr"]


def no_place_on_a_machine(book):
    return [(cell.id, PLACE.search(text)[0]) for cell, text in texts(book) if PLACE.search(text)]


def no_address(book):
    return [(cell.id, ADDRESS.search(text)[0]) for cell, text in texts(book) if ADDRESS.search(text)]


def no_times_and_no_widget_state(book):
    live = [cell.id for cell, output in outputs(book) if any("widget-view" in kind for kind in output.get("data", {}))]
    foreign = [(cell.id, key) for cell in book.cells for key in cell.metadata if key not in ("jupyter", *AUTHORED)]
    return live + foreign + [key for key in book.metadata if key not in ("kernelspec", "language_info")]


def folded_cells_are_tagged(book):
    """JupyterLab folds by one entry, pages made of notebooks by the tag: a reader sees the same in both."""
    wanted = {True: {"source_hidden": True}, False: {}}
    return [cell.id for cell in book.cells if cell.metadata.get("jupyter", {}) != wanted["hide-input" in tags(cell)]]


def readable_unique_ids(book):
    ids = [cell.get("id", "") for cell in book.cells]
    return [id for id in ids if ids.count(id) > 1 or not re.fullmatch(r"[a-z]+(-[a-z0-9]+)*", id)]


def kernel_is_python3(book):
    wanted = ("python3", {"name": "python"})
    found = (book.metadata.kernelspec.name, book.metadata.language_info)
    return [] if found == wanted else [found]


def below_300_kilobytes(book):
    size = len(nbformat.writes(book).encode())
    return [size] if size >= 300_000 else []


def code_cells_have_1_to_25_lines(book):
    return [cell.id for cell in code(book) if not 1 <= len(cell.source.strip().splitlines()) <= 25]


def functions_have_at_most_10_lines(book):
    """The one kernel that is being taught may be longer."""
    functions = nodes(book, ast.FunctionDef, ast.AsyncFunctionDef)
    return [node.name for cell, node in functions if node.end_lineno - node.lineno >= 10 and "kernel" not in tags(cell)]


def has_its_parts_in_order(book):
    found = [cell.id for cell in book.cells if cell.id in PARTS]
    return [] if found == PARTS else [found]


def figures_are_announced_read_and_checked(book):
    ids = [cell.id for cell in book.cells]
    numbers = {id: FIGURE.fullmatch(id)[2] for id in ids if FIGURE.fullmatch(id)}
    stories = [[f"expect-{n}", id, f"read-{n}", f"check-{n}"] for id, n in numbers.items()]
    return [story for story in stories if [id for id in ids if id in story] != story]


def a_widget_is_drawn_and_checked(book):
    """Cells `play`, with a picture that stays where no kernel runs, and `play-check`, before takeaways."""
    found = {cell.id: cell for cell in book.cells if cell.id in ("play", "play-check", "takeaways")}
    if list(found) != ["play", "play-check", "takeaways"]:
        return [list(found)]
    kept = [kind for output in found["play"].outputs for kind in output.get("data", {})]
    return [] if "image/png" in kept and "assert" in found["play-check"].source else [kept]


def figures_bear_the_id_of_their_cell(book):
    drawn = [(cell.id, ast.unparse(node.args[1])) for cell, node in calls(book, "savefig")]
    wanted = [(cell.id, repr(cell.id)) for cell in book.cells if cell.id.startswith("fig-")]
    return sorted(set(drawn) ^ set(wanted))


def parameters_are_literals(book):
    tagged = [cell for cell in book.cells if "parameters" in tags(cell)]
    if [cell.id for cell in tagged] != ["parameters"]:
        return [cell.id for cell in tagged] or ["no cell tagged parameters"]
    return [ast.unparse(node) for node in ast.parse(tagged[0].source).body if not is_literal_assignment(node)]


def is_literal_assignment(node):
    try:
        ast.literal_eval(node.value)
    except (AttributeError, ValueError):
        return False
    return isinstance(node, ast.Assign)


def no_sys_path(book):
    return [cell.id for cell in code(book) if "sys.path" in cell.source]


def no_star_import(book):
    return [cell.id for cell, node in nodes(book, ast.ImportFrom) if node.names[0].name == "*"]


def no_trailing_semicolon(book):
    """The kernel heeds it and nbval does not: the outputs would differ."""
    return [cell.id for cell in code(book) if cell.source.rstrip().endswith(";")]


def no_blanket_silence(book):
    """One warning may be silenced by its message, not all of them at once."""
    filters = calls(book, "filterwarnings", "simplefilter")
    return [cell.id for cell, node in filters if "message" not in {word.arg for word in node.keywords}]


def good():
    """A notebook that keeps every rule."""

    def words(id):
        return new_markdown_cell(f"# {id}", id=id)

    book = new_notebook(
        cells=[
            words("title"),
            words("goals"),
            new_code_cell('SEED = 0\nPROFILE = "quick"', id="parameters", metadata={"tags": ["parameters"]}),
            new_code_cell("from xnb import figures\n%xmode Minimal", id="setup"),
            words("expect-1"),
            new_code_cell('figures.savefig(fig, "fig-02-1", {"loss": loss})', id="fig-02-1"),
            words("read-1"),
            new_code_cell("print('ok')", id="check-1", outputs=[new_output("stream", text="ok\n")]),
            new_code_cell("play", id="play", outputs=[new_output("display_data", {"image/png": "A"})]),
            new_code_cell("assert play", id="play-check"),
            *map(words, PARTS[4:7]),
            new_code_cell("versions()", id="versions"),
        ],
        metadata={"kernelspec": {"name": "python3", "display_name": "any"}, "language_info": {"name": "python"}},
    )
    for number, cell in enumerate(code(book), 1):
        cell.execution_count = number
    return book


def emit(kind, **fields):
    """Give the checking cell one more output."""
    return lambda book: book.cells[7].outputs.append(new_output(kind, **fields))


def write(source):
    """Give the checking cell another source."""
    return lambda book: book.cells[7].update(source=source)


def change(index, **fields):
    return lambda book: book.cells[index].update(nbformat.from_dict(fields))


BROKEN = [
    (executed_in_order, change(7, execution_count=None)),
    (executed_in_order, change(7, execution_count=9)),
    (errors_are_expected, emit("error", ename="ValueError", evalue="no", traceback=[])),
    (no_stderr, emit("stream", name="stderr", text="UserWarning")),
    (no_place_on_a_machine, emit("stream", text="saved to /home/me/figures")),
    (no_place_on_a_machine, emit("error", ename="E", evalue="e", traceback=["File /tmp/x.py"])),
    (no_place_on_a_machine, write("open(r'C:\\Users\\me\\data')")),
    (no_address, emit("execute_result", data={"text/plain": "<object at 0x7f00aa>"})),
    (no_times_and_no_widget_state, change(7, metadata={"execution": {"iopub.status.busy": "2030"}})),
    (no_times_and_no_widget_state, emit("display_data", data={"application/vnd.jupyter.widget-view+json": {}})),
    (no_times_and_no_widget_state, lambda book: book.metadata.update(widgets={})),
    (folded_cells_are_tagged, change(7, metadata={"tags": ["hide-input"]})),
    (folded_cells_are_tagged, change(7, metadata={"jupyter": {"source_hidden": True}})),
    (folded_cells_are_tagged, change(7, metadata={"tags": ["hide-input"], "jupyter": {"outputs_hidden": True}})),
    (readable_unique_ids, change(7, id="3f2a9c1e")),
    (readable_unique_ids, change(7, id="setup")),
    (kernel_is_python3, lambda book: book.metadata.kernelspec.update(name="my-env")),
    (kernel_is_python3, lambda book: book.metadata.language_info.update(version="3.11.7")),
    (below_300_kilobytes, emit("display_data", data={"image/png": "A" * 300_000})),
    (code_cells_have_1_to_25_lines, write("x = 1\n" * 26)),
    (code_cells_have_1_to_25_lines, write(" ")),
    (functions_have_at_most_10_lines, write("def f():\n" + "    x = 1\n" * 10)),
    (has_its_parts_in_order, lambda book: book.cells.pop(1)),
    (has_its_parts_in_order, lambda book: book.cells.reverse()),
    (figures_are_announced_read_and_checked, lambda book: book.cells.pop(6)),
    (figures_are_announced_read_and_checked, change(4, id="expect-2")),
    (figures_are_announced_read_and_checked, lambda book: book.cells.insert(4, book.cells.pop(5))),
    (a_widget_is_drawn_and_checked, lambda book: book.cells.pop(8)),
    (a_widget_is_drawn_and_checked, change(8, outputs=[])),
    (a_widget_is_drawn_and_checked, change(9, source="print(play)")),
    (a_widget_is_drawn_and_checked, lambda book: book.cells.insert(5, book.cells.pop(9))),
    (figures_bear_the_id_of_their_cell, change(5, source='figures.savefig(fig, "fig-02-2", {})')),
    (figures_bear_the_id_of_their_cell, change(5, source="plot.draw()")),
    (figures_bear_the_id_of_their_cell, write('figures.savefig(fig, "fig-02-1", {})')),
    (parameters_are_literals, change(2, source="SEED = 1 + abs(2)")),
    (parameters_are_literals, change(2, source="import os\nSEED = 1")),
    (parameters_are_literals, change(2, metadata={})),
    (no_sys_path, write("import sys\nsys.path.insert(0, '..')")),
    (no_star_import, write("from xnb import *")),
    (no_trailing_semicolon, write("ax.plot([1]);\n")),
    (no_blanket_silence, write("warnings.filterwarnings('ignore')")),
    (no_blanket_silence, write("import warnings as w\nw.simplefilter('ignore')")),
]
RULES = list(dict.fromkeys(rule for rule, _ in BROKEN))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_keeps_the_rule(path, rule):
    assert rule(nbformat.read(path, as_version=4)) == []


def test_notebooks_are_numbered_without_gap():
    assert all(re.fullmatch(r"\d\d_[a-z0-9]+(_[a-z0-9]+)*\.ipynb", path.name) for path in NOTEBOOKS)
    assert [int(path.name[:2]) for path in NOTEBOOKS] == list(range(len(NOTEBOOKS)))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_a_good_notebook_keeps_the_rule(rule):
    nbformat.validate(good())
    assert rule(good()) == []


@pytest.mark.parametrize(("rule", "harm"), BROKEN)
def test_the_rule_catches(rule, harm):
    book = good()
    harm(book)
    assert rule(book) != []
