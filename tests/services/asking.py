"""One service that runs, as tests ask it: over HTTP by `requests`, and byte by byte over a socket."""

import json
import socket
from urllib.parse import urlsplit

import requests
from uploads import PHOTOGRAPH

PATIENCE = 120  # seconds: nothing here measures time


class Asked:
    """A service at an address; every question is a connection of its own, as from another person."""

    def __init__(self, address):
        self.address = address

    def request(self, verb, path, **more):
        with requests.Session() as session:
            session.trust_env = False  # no proxy stands between
            return session.request(verb, self.address + path, timeout=PATIENCE, **more)

    def get(self, path, **more):
        return self.request("GET", path, **more)

    def post(self, path, **more):
        return self.request("POST", path, **more)

    def explain(self, content=PHOTOGRAPH, accept="application/json", name="photograph.png", **fields):
        """A picture in a form, as most people send it."""
        files = {"picture": (name, content, "image/png")}
        return self.post("/explain", files=files, data=fields, headers={"Accept": accept})

    def explain_json(self, body, **headers):
        text = body if isinstance(body, str | bytes) else json.dumps(body)
        return self.post("/explain", data=text, headers={"Content-Type": "application/json", **headers})

    def send(self, data, wait=PATIENCE):
        """Send bytes as they are; returns all that comes back until the service closes, or says nothing more."""
        place = urlsplit(self.address)
        with socket.create_connection((place.hostname, place.port), timeout=wait) as line:
            for piece in [data] if isinstance(data, bytes) else data:
                try:
                    line.sendall(piece)
                except OSError:  # refused early: what it says can still be read
                    break
            return receive(line)

    def host(self):
        return urlsplit(self.address).netloc


def receive(line):
    answer = b""
    while not is_whole(answer):
        try:
            piece = line.recv(65_536)
        except OSError:
            break
        if not piece:
            break
        answer += piece
    return answer


def is_whole(answer):
    """Whether an answer of a stated length has come to its end."""
    head, found, body = answer.partition(b"\r\n\r\n")
    lengths = [line.split(b":")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    return bool(found and lengths) and len(body) >= int(lengths[0])


def status_of(answer):
    """The number in the first line of an answer; nothing came: 0."""
    return int(answer.split(None, 2)[1]) if answer else 0


def multipart(boundary=b"xnb", **parts):
    """The body of a form: a field is bytes, a file a pair of its name and its content."""
    body = b""
    for key, value in parts.items():
        name, content = value if isinstance(value, tuple) else (None, value)
        file = b'; filename="%s"\r\nContent-Type: image/png' % name.encode() if name else b""
        body += b'--%s\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n' % (boundary, key.encode(), file)
        body += content + b"\r\n"
    return body + b"--%s--\r\n" % boundary


def heading(host, *lines, path="/explain", verb="POST", kind="multipart/form-data; boundary=xnb"):
    """The beginning of a request, up to its body."""
    first = [f"{verb} {path} HTTP/1.1", f"Host: {host}", f"Content-Type: {kind}", "Accept: application/json"]
    return "\r\n".join([*first, *lines, "", ""]).encode()
