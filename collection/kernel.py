"""Run one notebook top to bottom in a fresh kernel, so that two runs leave the same bytes."""

import ast
import base64
import io
import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import nbformat
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellControlSignal, CellExecutionError
from nbformat import NotebookNode
from PIL import Image, ImageChops, ImageStat
from tqdm import tqdm

WIDGET = "application/vnd.jupyter.widget-view+json"
PICTURE = "image/png"
# a cell that raised or took too long; a kernel that died or never came up
FAILURES = (CellControlSignal, RuntimeError)


def tagged(cell: NotebookNode, tag: str) -> bool:
    return tag in cell.metadata.get("tags", [])


def inject(notebook: NotebookNode, given: Mapping[str, str]) -> None:
    """Set parameters: a cell tagged `injected-parameters` after the one tagged `parameters`.

    A name which that cell does not assign is left out, as the notebook has no such parameter.
    """
    for index, cell in enumerate(notebook.cells):
        if tagged(cell, "parameters"):
            lines = [f"{name} = {value!r}" for name, value in given.items() if name in assigned(cell.source)]
            if lines:
                notebook.cells.insert(index + 1, parameter_cell("\n".join(lines)))
            return


def parameter_cell(source: str) -> NotebookNode:
    tags = {"tags": ["injected-parameters"]}
    return nbformat.v4.new_code_cell(source, id="injected-parameters", metadata=tags)


def assigned(source: str) -> set[str]:
    """Names that plain assignments of a cell set."""
    targets = [node.targets for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Assign)]
    return {target.id for group in targets for target in group if isinstance(target, ast.Name)}


def executing(
    notebook: NotebookNode, folder: Path, *, environment: Mapping[str, str], timeout: int
) -> Iterator[NotebookNode]:
    """Run every code cell and fill in its outputs; each cell is yielded just before it runs.

    Args:
        folder: where the kernel starts.
        environment: variables of the kernel, on top of this process's.
        timeout: seconds a single cell may take.

    Raises:
        FAILURES: the cell yielded last raised, took too long, or its kernel died.
    """
    reset(notebook)
    client = client_for(notebook, folder, timeout)
    with client.setup_kernel(cleanup_kc=True, env=variables(environment)):
        for index, cell in enumerate(notebook.cells):
            if cell.cell_type == "code":
                yield cell
                client.execute_cell(cell, index, execution_count=client.code_cells_executed + 1)
                tidy(cell)


def client_for(notebook: NotebookNode, folder: Path, timeout: int) -> NotebookClient:
    own_python = KernelSpecManager(kernel_dirs=[])  # not a kernel of that name that another environment installed
    client = NotebookClient(
        notebook,
        AsyncKernelManager(kernel_name="python3", kernel_spec_manager=own_python),
        timeout=timeout,
        record_timing=False,  # times differ from run to run
        coalesce_streams=True,  # so does where a stream is cut
        shutdown_kernel="immediate",
        resources={"metadata": {"path": str(folder)}},
        extra_arguments=["--log-level=ERROR"],
    )
    client.widget_registry = {}  # its stand-in for Output widgets can wait for ever (nbclient issue 312)
    return client


def variables(environment: Mapping[str, str]) -> dict[str, str]:
    """The kernel's environment: without `MPLBACKEND`, which would keep figures out of the notebook."""
    return {name: value for name, value in os.environ.items() if name != "MPLBACKEND"} | dict(environment)


def reset(notebook: NotebookNode) -> None:
    """Take away what an earlier run or an editor left."""
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    notebook.metadata = nbformat.from_dict({"kernelspec": kernel, "language_info": {"name": "python"}})
    for cell in notebook.cells:
        cell.metadata = nbformat.from_dict({"tags": cell.metadata.tags} if "tags" in cell.metadata else {})
        if cell.cell_type == "code":
            cell.update(outputs=[], execution_count=None)


def tidy(cell: NotebookNode) -> None:
    """Leave out what depends on the run or the machine.

    References to live widgets: their ids are random, and without a kernel they show nothing. Frames of an
    expected error inside library files: their paths are this machine's. Pictures keep 64 or 256 colours, which is
    a quarter to a third of their bytes.
    """
    for output in cell.outputs:
        held = output.get("data", {})
        held.pop(WIDGET, None)
        if PICTURE in held:
            held[PICTURE] = base64.b64encode(few_colours(base64.b64decode(held[PICTURE]))).decode()
        if output.output_type == "error":
            output.traceback = [frame for frame in output.traceback if not plain(frame).startswith("File ")]


def few_colours(png: bytes) -> bytes:
    """The same picture in 64 colours where nobody sees the difference, in 256 otherwise, as for photographs."""
    whole, out = Image.open(io.BytesIO(png)).convert("RGB"), io.BytesIO()
    few = whole.quantize(64, kmeans=2, dither=Image.Dither.NONE)
    unseen = max(ImageStat.Stat(ImageChops.difference(whole, few.convert("RGB"))).mean) < 1  # of 255 levels
    (few if unseen else whole.quantize(256, dither=Image.Dither.NONE)).save(out, "PNG", optimize=True)
    return out.getvalue()


def plain(text: str) -> str:
    """Text without the colours of a terminal."""
    return re.sub(r"\x1b\[[\d;]*m", "", text)


def reason(error: Exception, cell: NotebookNode, lines: int = 12) -> str:
    """What went wrong, with the last lines of the cell's traceback."""
    if not isinstance(error, CellExecutionError):
        return f"{type(error).__name__}: {str(error).splitlines()[0]}"
    trace = [line for output in cell.outputs for line in "\n".join(output.get("traceback", [])).splitlines()]
    return "\n".join(trace[-lines:] or [f"{error.ename}: {error.evalue}"])


@contextmanager
def progress(total: int) -> Iterator[tqdm]:
    """A bar on stderr, on a terminal with a clock that goes on while a cell takes long."""
    layout = "|{bar:20}| {n_fmt}/{total_fmt} cells, {elapsed_s:.0f} s  {desc}"
    stop = Event()
    with tqdm(total=total, bar_format=layout, leave=False, disable=not total) as bar:

        def tick() -> None:
            while sys.stderr.isatty() and not stop.wait(1):
                bar.refresh()

        clock = Thread(target=tick, daemon=True)
        clock.start()
        try:
            yield bar
        finally:
            stop.set()
            clock.join()
