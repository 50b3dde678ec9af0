import asyncio
import io
import json
import re

import nbformat
import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from PIL import Image

from collection import kernel
from collection.kernel import reduce_colours


def notebook(*sources, tags=()):
    cells = [new_code_cell(source, id=f"cell-{n}") for n, source in enumerate(sources)]
    if cells:
        cells[0].metadata = nbformat.from_dict({"tags": list(tags)})
    return new_notebook(cells=cells)


def run(book, folder, timeout=600, **environment):
    """Ids of the cells that were begun."""
    begun = []

    def note(cell):
        begun.append(cell.id)

    asyncio.run(kernel.execute_notebook(book, folder, environment=environment, timeout=timeout, before_cell=note))
    return begun


def test_parameters_follow_the_notebook_s_own():
    book = notebook('PROFILE = "quick"\nSEED = 0', "PROFILE", tags=["parameters"])
    kernel.inject_parameters(book, {"PROFILE": "paper", "DATASET": "cifar10"})
    assert [cell.source for cell in book.cells] == ['PROFILE = "quick"\nSEED = 0', "PROFILE = 'paper'", "PROFILE"]
    assert book.cells[1].metadata.tags == ["injected-parameters"]
    nbformat.validate(book)


@pytest.mark.parametrize("tags", [[], ["parameters"]])
def test_a_notebook_without_that_parameter_stays_as_it_is(tags):
    book = notebook("SEED = 0", tags=tags)
    kernel.inject_parameters(book, {"PROFILE": "paper"})
    assert [cell.source for cell in book.cells] == ["SEED = 0"]


def test_runs_in_order_with_folder_and_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "agg")
    show = "print(os.getcwd(), os.environ['XNB_FIGURES'], os.environ['MPLBACKEND'])"
    book = notebook("import os; x = 1", show, "x")
    book.cells.insert(1, new_markdown_cell("words", id="words"))
    assert run(book, tmp_path, XNB_FIGURES="there") == ["cell-0", "cell-1", "cell-2"]
    assert [cell.get("execution_count") for cell in book.cells] == [1, None, 2, 3]
    assert book.cells[2].outputs[0].text == f"{tmp_path} there module://matplotlib_inline.backend_inline\n"
    assert book.cells[3].outputs[0].data["text/plain"] == "1"


def test_leaves_nothing_that_differs_from_run_to_run(tmp_path):
    widget = "import ipywidgets\n@ipywidgets.interact(n=(1, 3))\ndef show(n): print('n is', n)"
    text = []
    for number in range(2):
        book = notebook(widget, "import sys\nfor n in range(99): print(n, flush=True)\nprint(1, file=sys.stderr)")
        book.metadata = nbformat.from_dict({"widgets": {"state": number}, "language_info": {"version": str(number)}})
        authored = {"tags": ["a"], "article": ["listing-1"]}
        book.cells[0].metadata = nbformat.from_dict({"execution": {"iopub.status.busy": str(number)}} | authored)
        run(book, tmp_path)
        text.append(json.dumps(book))
    assert text[0] == text[1]
    assert book.cells[0].metadata == {"tags": ["a"], "article": ["listing-1"]}
    assert [output.get("text") for output in book.cells[0].outputs] == ["n is 2\n", None]
    assert book.cells[0].outputs[1].data.keys() == {"text/plain"}


@pytest.mark.parametrize("tags", [["hide-input"], []])
def test_a_cell_that_is_tagged_so_is_folded_and_no_other(tags, tmp_path):
    book = notebook("x = 1", tags=tags)
    book.cells[0].metadata["jupyter"] = {"source_hidden": not tags, "outputs_hidden": True}
    run(book, tmp_path)
    assert book.cells[0].metadata == ({"tags": tags, "jupyter": {"source_hidden": True}} if tags else {})


def test_an_expected_error_shows_no_library_paths(tmp_path):
    book = notebook("import json\njson.loads('{')", tags=["raises-exception"])
    run(book, tmp_path)
    [error] = book.cells[0].outputs
    assert error.ename == "JSONDecodeError"
    shown = kernel.strip_colours("\n".join(error.traceback))
    assert "json.loads('{')" in shown
    assert shown.endswith(error.evalue)
    assert "File " not in shown


@pytest.mark.parametrize(
    ("source", "timeout", "message"),
    [
        ("def f(): return {}['nothing']\nf()", 600, r"(?s)def f.*\nKeyError: 'nothing'$"),
        ("import time; time.sleep(600)", 4, "^CellTimeoutError: A cell timed out .* after 4 seconds"),
        ("import os; os._exit(1)", 600, "^DeadKernelError: Kernel died$"),
    ],
)
def test_failures(source, timeout, message, tmp_path):
    book = notebook("1", source, "2")
    with pytest.raises(kernel.FAILURES) as caught:
        run(book, tmp_path, timeout=timeout)
    assert re.search(message, kernel.strip_colours(kernel.explain_failure(caught.value, book.cells[1])))
    assert book.cells[2].execution_count is None


def test_pictures_keep_their_looks_in_fewer_bytes():
    smooth = np.add.outer(np.arange(200), np.arange(300))[..., None] * np.array([1, 0.5, 0.2]) / 2
    noisy = np.random.default_rng(0).normal(0, 3, smooth.shape) + smooth
    whole = io.BytesIO()
    Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(whole, "PNG")
    small = reduce_colours(whole.getvalue())
    assert small == reduce_colours(whole.getvalue())
    assert len(small) < 0.6 * len(whole.getvalue())  # noise is the worst case
    kept = np.asarray(Image.open(io.BytesIO(small)).convert("RGB"), dtype=float)
    assert np.abs(kept - noisy.clip(0, 255)).mean() < 5
