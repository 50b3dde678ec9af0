"""What stands in front of either app: bytes of a body are counted, a request gets a number and a line in the log.

Limits of the frameworks are not enough by themselves: Django's do not cover files, and it takes a body without a
declared length for an empty one. Here a body is read once, up to the limit, whatever its length claims to be, and
handed on with the length that it has.
"""

import io
import logging
import re
import secrets
from collections.abc import Callable, Iterable
from http import HTTPStatus
from time import monotonic
from typing import Any

from services.core.refusals import Refusal, refuse, require
from services.core.replies import Reply, write_refusal
from services.core.settings import Settings

Environ = dict[str, Any]
Application = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]

SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # not "no-referrer": a form would then be sent with `Origin: null`, which Django takes for another site
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}
MOST_PARTS = 16  # of a form
_STEP = 65_536  # bytes read at once
_DRAINED = 8  # times the limit that is read and thrown away, so that a client that is still sending hears the answer
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_BOUNDARY = re.compile(r"""boundary=("([^"]{1,70})"|[^\s;,"]{1,70})""", re.I)
_LOG = logging.getLogger("services")


class Front:
    """A WSGI application around another one."""

    def __init__(self, application: Application, settings: Settings) -> None:
        self.application = application
        self.most_bytes = settings.most_bytes

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        start = monotonic()
        asked = environ.get("HTTP_X_REQUEST_ID", "")
        number = asked if _ID.fullmatch(asked) else secrets.token_hex(8)

        def answer(status: str, headers: list[tuple[str, str]], *error: Any) -> Any:
            milliseconds = 1000 * (monotonic() - start)
            path = ascii(environ.get("PATH_INFO", ""))[1:-1]  # no line breaks of a client's in the log
            _LOG.info("%s %s %s %s %.0f ms", number, environ["REQUEST_METHOD"], path, status[:3], milliseconds)
            return start_response(status, [*headers, ("X-Request-ID", number)], *error)

        try:
            body = read_body(environ, self.most_bytes)
            check_form(environ.get("CONTENT_TYPE", ""), body)
        except Refusal as refusal:
            return start_reply(write_refusal(refusal), answer)
        environ["wsgi.input"] = io.BytesIO(body)
        environ["CONTENT_LENGTH"] = str(len(body))
        environ.pop("HTTP_TRANSFER_ENCODING", None)
        return _drop_body(environ, self.application(environ, answer))


def _drop_body(environ: Environ, body: Iterable[bytes]) -> Iterable[bytes]:
    """An answer to HEAD has the headers of the answer to GET, and no body."""
    if environ["REQUEST_METHOD"] != "HEAD":
        return body
    close = getattr(body, "close", None)
    if close is not None:
        close()
    return []


def read_body(environ: Environ, most_bytes: int) -> bytes:
    """The body of a request, counted as it comes.

    Raises:
        Refusal: 413, more than `most_bytes`; 400, less than was declared; 415, compressed.
    """
    packed = environ.get("HTTP_CONTENT_ENCODING", "identity")
    require(packed == "identity", 415, "a body must not be compressed", packed, "send it without Content-Encoding")
    expected = _read_length(environ)
    if expected is not None and expected > _DRAINED * most_bytes:
        _check_size(expected, most_bytes)  # nothing of it is read: the answer comes before the body
    if expected is None:
        if not environ.get("HTTP_TRANSFER_ENCODING"):
            return b""
        ends_by_itself = environ.get("wsgi.input_terminated", False)
        require(ends_by_itself, 411, "this server needs a Content-Length", "none", "send the length")
    body = _read_counted(environ["wsgi.input"], expected, most_bytes)
    whole = expected is None or len(body) == expected
    require(whole, 400, "the body must be as long as it says", f"{len(body)} bytes", "send all of it")
    return body


def _read_length(environ: Environ) -> int | None:
    """The length that a request declares for its body, if it does."""
    declared = environ.get("CONTENT_LENGTH") or ""
    number = declared.isascii() and declared.isdigit() and len(declared) < 20
    require(number or not declared, 400, "Content-Length must be a number", declared, "no Content-Length")
    return int(declared) if declared else None


def _read_counted(stream: Any, expected: int | None, most_bytes: int) -> bytes:
    """Read to the declared length, or to the end; what is beyond the limit is thrown away as it comes."""
    pieces: list[bytes] = []
    count = 0
    while expected is None or count < expected:
        step = _STEP if expected is None else min(_STEP, expected - count)
        piece = stream.read(step)
        if not piece:
            break
        count += len(piece)
        if count <= most_bytes:
            pieces.append(piece)
        elif count > _DRAINED * most_bytes:
            break
        else:
            pieces.clear()
    _check_size(count, most_bytes)
    return b"".join(pieces)


def _check_size(count: int, most_bytes: int) -> None:
    megabytes = f"at least {count / 1e6:.1f} MB"
    rule = f"a request has at most {most_bytes / 1e6:g} MB"
    require(count <= most_bytes, 413, rule, megabytes, "a smaller copy of the picture")


def check_form(content_type: str, body: bytes) -> None:
    """Refuse a form that breaks off, which one framework takes for a whole one and the other for an empty one.

    Raises:
        Refusal: 400, no boundary, no end, or more than 16 parts.
    """
    if not content_type.lower().startswith("multipart/form-data"):
        return
    found = _BOUNDARY.search(content_type)
    example = "curl -F picture=@photo.png ..."
    if found is None:
        refuse(400, "multipart/form-data must name its boundary", content_type, example)
    line = b"--" + (found[2] or found[1]).encode("latin-1")
    whole = body.rstrip().endswith(line + b"--")
    require(whole, 400, "the form must be whole", f"{len(body)} bytes without an end", example)
    parts = body.count(line) - 1
    require(parts <= MOST_PARTS, 400, f"a form has at most {MOST_PARTS} fields", parts, example)


def start_reply(reply: Reply, start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Send a reply without a framework."""
    headers = {**SECURITY_HEADERS, **reply.headers, "Content-Type": reply.kind, "Content-Length": str(len(reply.body))}
    start_response(f"{int(reply.status)} {HTTPStatus(reply.status).phrase}", list(headers.items()))
    return [reply.body]
