"""Run one notebook from top to bottom in a fresh kernel, so that two runs leave the same bytes."""

import ast
import base64
import io
import os
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import nbformat
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellControlSignal, CellExecutionError
from nbformat import NotebookNode
from PIL import Image, ImageChops, ImageStat

_WIDGET = "application/vnd.jupyter.widget-view+json"
_PICTURE = "image/png"
# A cell that raised or took too long; a kernel that died or never came up.
FAILURES = (CellControlSignal, RuntimeError)
# Seconds for a kernel to come up and for the last messages of a cell to arrive. On a busy machine both take long,
# and neither says anything about the notebook: only what hangs for good should meet this limit.
_PATIENCE = 600
# Metadata of a cell that authors write: tags, and which parts of the founding article it answers (docs/article.toml).
AUTHORED = ("tags", "article")


async def execute_notebook(
    notebook: NotebookNode,
    folder: Path,
    *,
    environment: Mapping[str, str],
    timeout: int,
    before_cell: Callable[[NotebookNode], object],
) -> None:
    """Run every code cell and fill in its outputs.

    Args:
        folder: where the kernel starts.
        environment: variables of the kernel, on top of this process's.
        timeout: seconds that a single cell may take.
        before_cell: called with each code cell just before it runs.

    Raises:
        FAILURES: the last cell that `before_cell` got raised or took too long, or its kernel died.
    """
    remove_traces(notebook)
    async with start_client(notebook, folder, environment, timeout) as client:
        for index, cell in enumerate(notebook.cells):
            if cell.cell_type == "code":
                before_cell(cell)
                await client.async_execute_cell(cell, index, execution_count=client.code_cells_executed + 1)
                tidy_outputs(cell)


@asynccontextmanager
async def start_client(
    notebook: NotebookNode, folder: Path, environment: Mapping[str, str], timeout: int
) -> AsyncIterator[NotebookClient]:
    """A client whose kernel runs for the length of the block."""
    own_python = KernelSpecManager(kernel_dirs=[])  # not a kernel of that name that another environment installed
    kernel = AsyncKernelManager(kernel_name="python3", kernel_spec_manager=own_python)
    client = NotebookClient(
        notebook,
        kernel,
        timeout=timeout,
        startup_timeout=_PATIENCE,
        iopub_timeout=_PATIENCE,
        raise_on_iopub_timeout=True,  # otherwise outputs that come late are lost without a word
        record_timing=False,  # times differ from run to run
        coalesce_streams=True,  # so does where a stream is cut
        resources={"metadata": {"path": str(folder)}},
        extra_arguments=["--log-level=ERROR"],
    )
    client.widget_registry = {}  # its stand-in for Output widgets can wait for ever (nbclient issue 312)
    # nbclient's own `async_setup_kernel` is not used: it takes the process's Ctrl-C for one notebook.
    try:
        await client.async_start_new_kernel(env=kernel_environment(environment))
        await client.async_start_new_kernel_client()
        yield client
    finally:
        if client.kc is not None:
            client.kc.stop_channels()
        await kernel.shutdown_kernel(now=True)


def kernel_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The kernel's variables: without `MPLBACKEND`, which would keep figures out of the notebook."""
    return {name: value for name, value in os.environ.items() if name != "MPLBACKEND"} | dict(environment)


def inject_parameters(notebook: NotebookNode, parameters: Mapping[str, str]) -> None:
    """Set parameters in a cell tagged `injected-parameters`, right after the one tagged `parameters`.

    A name which that cell does not assign is left out, as the notebook has no such parameter.
    """
    for index, cell in enumerate(notebook.cells):
        if "parameters" in cell.metadata.get("tags", []):
            known = assigned_names(cell.source)
            lines = [f"{name} = {value!r}" for name, value in parameters.items() if name in known]
            if lines:
                notebook.cells.insert(index + 1, _parameter_cell("\n".join(lines)))
            return


def _parameter_cell(source: str) -> NotebookNode:
    tags = {"tags": ["injected-parameters"]}
    return nbformat.v4.new_code_cell(source, id="injected-parameters", metadata=tags)


def assigned_names(source: str) -> set[str]:
    """Names that plain assignments of a cell set."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return names


def remove_traces(notebook: NotebookNode) -> None:
    """Take away what an earlier run or an editor left: outputs, counts, all metadata but `AUTHORED`.

    A cell tagged `hide-input` is folded: JupyterLab shows its output, and its source after a click.
    """
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    notebook.metadata = nbformat.from_dict({"kernelspec": kernel, "language_info": {"name": "python"}})
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        folded = {"jupyter": {"source_hidden": True}} if "hide-input" in tags else {}
        authored = {name: cell.metadata[name] for name in AUTHORED if cell.metadata.get(name)}
        cell.metadata = nbformat.from_dict(folded | authored)
        if cell.cell_type == "code":
            cell.update(outputs=[], execution_count=None)


def tidy_outputs(cell: NotebookNode) -> None:
    """Leave out what depends on the run or the machine.

    References to live widgets: their ids are random, and without a kernel they show nothing. Frames of an
    expected error inside library files: their paths are this machine's. Pictures keep 64 or 256 colours, which is
    a quarter to a third of their bytes.
    """
    for output in cell.outputs:
        data = output.get("data", {})
        data.pop(_WIDGET, None)
        if _PICTURE in data:
            png = base64.b64decode(data[_PICTURE])
            data[_PICTURE] = base64.b64encode(reduce_colours(png)).decode()
        if output.output_type == "error":
            output.traceback = [frame for frame in output.traceback if not strip_colours(frame).startswith("File ")]


def reduce_colours(png: bytes) -> bytes:
    """The same picture in 64 colours where nobody sees the difference, in 256 otherwise, as for photographs."""
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    reduced = picture.quantize(64, kmeans=2, dither=Image.Dither.NONE)
    difference = ImageChops.difference(picture, reduced.convert("RGB"))
    if max(ImageStat.Stat(difference).mean) >= 1:  # of 255 levels
        reduced = picture.quantize(256, dither=Image.Dither.NONE)
    file = io.BytesIO()
    reduced.save(file, "PNG", optimize=True)
    return file.getvalue()


def strip_colours(text: str) -> str:
    """Text without the colours of a terminal."""
    return re.sub(r"\x1b\[[\d;]*m", "", text)


def explain_failure(error: Exception, cell: NotebookNode, lines: int = 12) -> str:
    """What went wrong, with the last lines of the cell's traceback."""
    if not isinstance(error, CellExecutionError):
        return f"{type(error).__name__}: {str(error).splitlines()[0]}"
    trace = []
    for output in cell.outputs:
        trace += "\n".join(output.get("traceback", [])).splitlines()
    return "\n".join(trace[-lines:] or [f"{error.ename}: {error.evalue}"])
