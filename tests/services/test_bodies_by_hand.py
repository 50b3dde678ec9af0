"""Bodies whose length is unsaid or untrue, sent byte by byte: bytes are counted as they come. All four pairs."""

import socket
import time
from itertools import product
from urllib.parse import urlsplit

import pytest
import uploads as u
from asking import Asked, heading, multipart, receive, status_of
from launching import APPS, SERVERS, running


@pytest.fixture(scope="module", params=product(APPS, SERVERS), ids="-".join)
def service(request, both, tmp_path_factory):
    """Two of them run already."""
    app, server = request.param
    if (app, server) in {("flask", "waitress"), ("django", "gunicorn")}:
        yield both[app]
    else:
        with running(app, server, tmp_path_factory.mktemp("pair")) as other:
            yield Asked(other.address)


@pytest.fixture(autouse=True)
def alive(service):
    yield
    assert service.explain(method="gradient").status_code == 200


def in_pieces(body, size=50_000):
    """A body in chunks that say their own length."""
    for start in range(0, len(body), size):
        piece = body[start : start + size]
        yield b"%x\r\n%s\r\n" % (len(piece), piece)
    yield b"0\r\n\r\n"


def test_a_body_in_chunks_is_read(service):
    body = multipart(picture=("a.png", u.PHOTOGRAPH), method=b"gradient")
    answer = service.send([heading(service.host(), "Transfer-Encoding: chunked"), *in_pieces(body)])
    assert status_of(answer) == 200


def test_chunks_beyond_the_limit_are_refused(service):
    body = multipart(picture=("a.png", u.PHOTOGRAPH + bytes(2 * u.LARGEST)))
    answer = service.send([heading(service.host(), "Transfer-Encoding: chunked"), *in_pieces(body)])
    assert status_of(answer) == 413


def test_chunks_without_end_are_refused(service):
    endless = (b"%x\r\n%s\r\n" % (100_000, bytes(100_000)) for _ in range(1_000))
    first = heading(service.host(), "Transfer-Encoding: chunked")
    answer = service.send([first, *endless])
    assert status_of(answer) in (0, 413)  # 0: the line was cut before the answer was read


def test_chunks_that_are_none_are_refused(service):
    answer = service.send(heading(service.host(), "Transfer-Encoding: chunked") + b"zzz\r\nnonsense\r\n0\r\n\r\n")
    assert status_of(answer) == 400


def test_a_length_that_is_beyond_the_limit_is_refused_before_the_body_comes(service):
    answer = service.send(heading(service.host(), f"Content-Length: {10**12}"))
    assert status_of(answer) == 413


def test_a_length_that_is_too_short_cuts_the_body(service):
    """The rest is another request, or nothing: never a part of the picture."""
    body = multipart(picture=("a.png", u.PHOTOGRAPH), method=b"gradient")
    answer = service.send(heading(service.host(), "Content-Length: 100", "Connection: close") + body)
    assert status_of(answer) == 400


def test_a_length_that_is_too_long_is_no_picture(service):
    """Whoever sends less and closes has sent a broken form."""
    body = multipart(picture=("a.png", u.PHOTOGRAPH))[:-40]
    place = urlsplit(service.address)
    with socket.create_connection((place.hostname, place.port), timeout=60) as line:
        line.sendall(heading(service.host(), f"Content-Length: {len(body) + 1000}") + body)
        line.shutdown(socket.SHUT_WR)
        assert status_of(receive(line)) in (0, 400)


@pytest.mark.parametrize("length", ["-1", "ten", "1e3", "", "0x10", "10, 20", "9" * 40])
def test_a_length_that_is_none_is_refused(length, service):
    answer = service.send(heading(service.host(), f"Content-Length: {length}", "Connection: close") + b"0123456789")
    assert status_of(answer) in (400, 413)


def test_two_lengths_are_refused(service):
    """Where a proxy believes one and the service the other, a second request can be smuggled in."""
    answer = service.send(heading(service.host(), "Content-Length: 4", "Content-Length: 40") + bytes(40))
    assert status_of(answer) == 400


def test_a_length_beside_chunks_smuggles_nothing(service):
    inner = b"GET /smuggled HTTP/1.1\r\nHost: %s\r\n\r\n" % service.host().encode()
    lines = ("Content-Length: 5", "Transfer-Encoding: chunked", "Connection: close")
    answer = service.send(heading(service.host(), *lines) + b"0\r\n\r\n" + inner)
    assert answer.count(b"HTTP/1.") <= 1
    assert status_of(answer) == 400


def test_a_header_without_end_is_refused(service):
    answer = service.send(heading(service.host(), "X-Long: " + "a" * 400_000))
    assert status_of(answer) in (0, 400, 431)


def test_ten_thousand_headers_are_refused(service):
    answer = service.send(heading(service.host(), *(f"X-{n}: 1" for n in range(10_000))))
    assert status_of(answer) in (0, 400, 431)


def test_what_is_no_http_is_refused(service):
    assert status_of(service.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200) + b"\r\n\r\n")) in (
        0,
        400,
    )


def test_slow_clients_take_nothing_from_others(service):
    """As many as there are threads, each a byte at a time: who comes behind them is answered."""
    place = urlsplit(service.address)
    first = heading(service.host(), "Content-Length: 100000")
    lines = [socket.create_connection((place.hostname, place.port), timeout=60) for _ in range(12)]
    try:
        for line in lines:
            line.sendall(first[:40])
        for position in range(40, 44):
            for line in lines:
                line.sendall(first[position : position + 1])
            time.sleep(0.05)
        assert service.explain(method="gradient").status_code == 200
    finally:
        for line in lines:
            line.close()


def test_who_hangs_up_before_the_answer_leaves_nothing_behind(service):
    body = multipart(picture=("a.png", u.PHOTOGRAPH), method=b"gradient")
    place = urlsplit(service.address)
    for _ in range(8):
        with socket.create_connection((place.hostname, place.port), timeout=60) as line:
            line.sendall(heading(service.host(), f"Content-Length: {len(body)}") + body)
    assert service.get("/readyz").status_code == 200
