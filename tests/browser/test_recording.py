"""What nbval is told of a run that it did not make, with a real kernel and no page."""

from pathlib import Path
from queue import Empty

import pytest
from jupyter_client.manager import start_new_kernel
from recording import RecordedKernel, listen

CELLS = ["print('a')", "6 * 7", "1 / 0", "print('a')"]


@pytest.fixture(scope="module")
def messages():
    """What a kernel publishes of these cells, of which the last two are not run, as a page stops at a failure."""
    manager, client = start_new_kernel(startup_timeout=600)

    def wake():
        return client.execute("", silent=True, reply=True, timeout=600)["parent_header"]["msg_id"]

    with listen(Path(manager.connection_file), wake) as catch_up:
        for source in CELLS[:3]:
            client.execute(source, reply=True, timeout=600)
        messages = catch_up()
    client.stop_channels()
    manager.shutdown_kernel(now=True)
    return messages


def tell(kernel, source):
    """Types and contents of what the kernel says of that cell, up to the end, as nbval reads it."""
    request = kernel.execute_cell_input(source, allow_stdin=False)
    kernel.await_reply(request, timeout=1)
    answers = [kernel.get_message("iopub", timeout=1)]
    while answers[-1]["content"] != {"execution_state": "idle"}:
        answers.append(kernel.get_message("iopub", timeout=1))
    with pytest.raises(Empty):
        kernel.get_message("iopub", timeout=1)
    assert {answer["parent_header"]["msg_id"] for answer in answers} == {request}
    return {answer["msg_type"]: answer["content"] for answer in answers}


def test_each_cell_has_its_own_outputs(messages):
    kernel = RecordedKernel(messages)
    assert tell(kernel, CELLS[0])["stream"]["text"] == "a\n"
    assert tell(kernel, CELLS[1])["execute_result"]["data"] == {"text/plain": "42"}
    assert tell(kernel, CELLS[2])["error"]["ename"] == "ZeroDivisionError"


def test_a_cell_that_the_page_did_not_reach_is_no_success(messages):
    kernel = RecordedKernel(messages)
    for source in CELLS[:3]:
        tell(kernel, source)
    with pytest.raises(RuntimeError, match="did not run this cell"):
        kernel.execute_cell_input(CELLS[3])


def test_a_cell_that_nbval_leaves_out_is_passed_over(messages):
    assert tell(RecordedKernel(messages), CELLS[1])["execute_result"]["data"] == {"text/plain": "42"}
