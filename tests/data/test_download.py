"""A server that refuses or talks nonsense costs nothing that has already come."""

import functools
import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from xnb.data.download import download_file

CONTENT = bytes(range(256)) * 40


class Server(BaseHTTPRequestHandler):
    def __init__(self, script, *args):
        self.script = script
        super().__init__(*args)

    def do_GET(self):
        reply = self.script.pop(0)
        if reply == "chunks cut short":
            self.protocol_version, self.close_connection = "HTTP/1.1", True
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"10\r\nabc")
        elif reply == "the rest":
            start = int(self.headers["Range"][6:-1])
            self.send_response(206)
            self.send_header("Content-Length", str(len(CONTENT) - start))
            self.end_headers()
            self.wfile.write(CONTENT[start:])
        else:
            self.send_error(reply)

    def log_message(self, *args):
        pass


@pytest.fixture
def serve():
    script = []
    http = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Server, script))
    thread = threading.Thread(target=functools.partial(http.serve_forever, poll_interval=0.02))
    thread.start()
    yield lambda *replies: script.extend(replies) or f"http://127.0.0.1:{http.server_port}/file"
    http.shutdown()
    http.server_close()
    thread.join()


@pytest.mark.parametrize("code", [403, 404, 503])
def test_a_refusal_keeps_what_came_before(code, serve, tmp_path):
    (tmp_path / "file.part").write_bytes(CONTENT[:4000])
    url = serve(code, "the rest")
    with pytest.raises(
        ConnectionError, match=rf"file broke off after 4000 bytes\n  got: 'HTTPError: HTTP Error {code}"
    ):
        download_file(url, "", tmp_path / "file")
    md5 = hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()
    assert download_file(url, md5, tmp_path / "file").read_bytes() == CONTENT
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_nonsense_is_named(serve, tmp_path):
    with pytest.raises(
        ConnectionError, match=r"broke off after \d+ bytes\n  got: 'IncompleteRead.*\n  try: the same call"
    ):
        download_file(serve("chunks cut short"), "", tmp_path / "file")


def test_a_longer_sum_is_sha256(serve, tmp_path):
    url = serve("the rest", "the rest")
    (tmp_path / "file.part").write_bytes(CONTENT[:10])
    with pytest.raises(ValueError, match=rf"file must have the SHA-256 sum {'0' * 64}\n  got: '[0-9a-f]{{64}}'"):
        download_file(url, "0" * 64, tmp_path / "file")
    (tmp_path / "file.part").write_bytes(CONTENT[:10])
    assert download_file(url, hashlib.sha256(CONTENT).hexdigest(), tmp_path / "file").read_bytes() == CONTENT
