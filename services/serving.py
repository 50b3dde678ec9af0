"""Run an app under waitress: one process, threads that wait, one that runs the model; SIGTERM lets it finish."""

import argparse
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import monotonic, sleep
from typing import Any

from waitress.channel import HTTPChannel
from waitress.server import create_server
from waitress.task import ErrorTask

from services.core.refusals import Refusal
from services.core.replies import write_refusal
from services.core.service import Service
from services.core.settings import Settings
from services.core.statuses import explain_status
from services.core.wsgi import SECURITY_HEADERS
from xnb.check import is_refusal

_BODY_LIMITS = 8  # times the service's own limit that waitress receives, so that the service can say what was wrong
_SECONDS_TO_FINISH = 60
LINE = "%(asctime)s %(levelname)s %(name)s %(message)s"  # of the log
_LOG = logging.getLogger("services")


class JsonErrorTask(ErrorTask):
    """What waitress refuses by itself, in the form of all other refusals."""

    def execute(self) -> None:
        reply = write_refusal(_explain(self.request.error))
        self.status = f"{self.request.error.code} {self.request.error.reason}"
        headers = {**SECURITY_HEADERS, "Content-Type": reply.kind, "Connection": "close"}
        self.response_headers.extend(headers.items())
        self.set_close_on_finish()
        self.content_length = len(reply.body)
        self.write(reply.body)


def _explain(error: Any) -> Refusal:
    return explain_status(error.code)


class JsonChannel(HTTPChannel):
    """A connection whose errors are JSON."""

    error_task_class = JsonErrorTask


def serve(app: Any, service: Service, settings: Settings, arguments: Sequence[str] | None = None) -> None:
    """Listen until a signal comes; then refuse what is new, finish what was begun, and end the process."""
    options = _read_options(arguments)
    server = _listen(app, options, settings)
    # a shell that starts a program in the background lets it ignore Ctrl-C
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=_stop, args=(server, service)).start())
    if options.with_starter:
        threading.Thread(target=_end_with_input, daemon=True).start()
    _LOG.info("listening on http://%s:%s", options.host, server.effective_port)
    server.run()
    _LOG.info("stopped")
    # Every answer is sent and no file is open. To take torch apart takes Python seconds, and a job that is given up
    # would end the process by an abort.
    logging.shutdown()
    os._exit(0)


def _listen(app: Any, options: argparse.Namespace, settings: Settings) -> Any:
    server = create_server(
        app,
        host=options.host,
        port=options.port,
        # as many threads as may wait for the model, and some that say that they may not
        threads=settings.most_waiting + 5,
        max_request_body_size=_BODY_LIMITS * settings.most_bytes,
        channel_timeout=30,
        connection_limit=200,
        ident="",
    )
    server.channel_class = JsonChannel
    return server


@contextmanager
def start_plainly() -> Iterator[None]:
    """Log from now on; end with the sentence of a refusal, as of a setting that is wrong, and not with a stack."""
    logging.basicConfig(level=logging.INFO, format=LINE)
    try:
        yield
    except ValueError as error:
        if not is_refusal(error):
            raise
        sys.exit(str(error))


def _stop(server: Any, service: Service) -> None:
    """Finish what was begun, then end the loop of the main thread as Ctrl-C would."""
    _LOG.info("stopping: what was begun is finished")
    service.worker.close()
    end = monotonic() + _SECONDS_TO_FINISH
    while monotonic() < end and not (service.worker.is_idle() and _all_sent(server)):
        sleep(0.05)
    os.kill(os.getpid(), signal.SIGINT)


def _end_with_input() -> None:
    """End at once when the standard input closes, as it does however the program at its other end has ended."""
    sys.stdin.read()
    os._exit(0)


def _all_sent(server: Any) -> bool:
    channels = list(server.active_channels.values())
    return not any(channel.requests or channel.total_outbufs_len for channel in channels)


def _read_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on; 0.0.0.0 for all")
    parser.add_argument("--port", type=int, default=8000, help="0 takes a free one")
    parser.add_argument("--with-starter", action="store_true", help="end when the standard input is closed")
    return parser.parse_args(arguments)
