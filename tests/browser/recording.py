"""What a kernel publishes while a page runs a notebook, told again to nbval: one run serves browser and gate."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty
from typing import Any, NamedTuple

import zmq
from jupyter_client.session import Session

Message = dict[str, Any]
PATIENCE = 600  # seconds for a message that must come: generous, as nothing here measures time


class Run(NamedTuple):
    """The run of one cell: from the request that the page sent to the moment that the kernel was idle again."""

    request: str
    source: str
    messages: list[Message]


class RecordedKernel:
    """Stands in for nbval's kernel: a cell's messages are those of its run in the page."""

    def __init__(self, messages: list[Message]) -> None:
        self.runs = split_runs(messages)
        self.messages: Iterator[Message] = iter(())

    def execute_cell_input(self, source: str, allow_stdin: bool | None = None) -> str:
        """Turn to the next run of that source and return the id of its request."""
        while self.runs:
            run = self.runs.pop(0)
            if run.source == source:
                self.messages = iter(run.messages)
                return run.request
        raise RuntimeError("the page did not run this cell: an earlier one failed")

    def get_message(self, stream: str, timeout: float | None = None) -> Message:
        for message in self.messages:
            return message
        raise Empty

    def await_reply(self, request: str, timeout: float | None = None) -> None:
        """A recorded cell has ended."""

    def await_idle(self, request: str, timeout: float) -> None:
        self.messages = iter(())

    def is_alive(self) -> bool:
        return True

    def interrupt(self) -> None:
        """Nothing runs."""

    def stop(self) -> None:
        self.runs.clear()


def split_runs(messages: list[Message]) -> list[Run]:
    """One run for each cell that the kernel said it executes, in order; output that comes later is left out."""
    runs = []
    for start, message in enumerate(messages):
        if message["msg_type"] == "execute_input":
            request = message["parent_header"]["msg_id"]
            answers = [later for later in messages[start:] if later["parent_header"].get("msg_id") == request]
            end = next((k for k, answer in enumerate(answers) if says_idle(answer)), len(answers))
            runs.append(Run(request, message["content"]["code"], answers[: end + 1]))
    return runs


def says_idle(message: Message) -> bool:
    return message["msg_type"] == "status" and message["content"]["execution_state"] == "idle"


@contextmanager
def listen(connection: Path, wake: Callable[[], str]) -> Iterator[Callable[[], list[Message]]]:
    """Subscribe to what a kernel publishes; yield a function that returns all of it so far.

    Args:
        connection: the kernel's connection file.
        wake: runs nothing in the kernel and returns the id of that request. It is called until the kernel is heard,
            as messages which it sends before a subscription has reached it are lost.
    """
    info = json.loads(connection.read_text())
    session = Session(key=info["key"].encode(), signature_scheme=info["signature_scheme"])
    messages: list[Message] = []
    with zmq.Context() as context, context.socket(zmq.SUB) as socket:
        socket.set(zmq.RCVHWM, 0)  # nobody reads while a page is waited for, and nothing may be dropped
        socket.set(zmq.LINGER, 0)
        socket.connect(f"{info['transport']}://{info['ip']}:{info['iopub_port']}")
        socket.subscribe(b"")

        def receive(seconds: float) -> bool:
            """Take in what is there, or the first message that comes; return whether there was one."""
            count = len(messages)
            while socket.poll(1000 * seconds if len(messages) == count else 0):
                _, parts = session.feed_identities(socket.recv_multipart())
                messages.append(session.deserialize(parts))
            return len(messages) > count

        def catch_up() -> list[Message]:
            last = wake()
            while not any(
                says_idle(message) and message["parent_header"].get("msg_id") == last for message in messages
            ):
                assert receive(PATIENCE)
            return messages

        while not receive(1):
            wake()
        yield catch_up
