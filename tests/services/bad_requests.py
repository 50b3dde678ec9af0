"""What must be refused, by name: the status, and what is sent."""

import base64
import json

import uploads as u

# name: status, content of the file
PICTURES = {
    "a text": (415, u.TEXT),
    "a GIF": (415, u.GIF),
    "an SVG with a script": (415, u.SVG),
    "a BMP": (415, u.BMP),
    "a TIFF": (415, u.TIFF),
    "PostScript": (415, u.POSTSCRIPT),
    "a pickle": (415, u.PICKLE),
    "an archive": (415, u.ZIP),
    "an empty file": (415, b""),
    "the first eight bytes of a PNG": (400, u.PHOTOGRAPH[:8]),
    "half a PNG": (400, u.PHOTOGRAPH[: len(u.PHOTOGRAPH) // 2]),
    "half a JPEG": (400, u.JPEG[: len(u.JPEG) // 2]),
    "a PNG with a wrong checksum": (400, u.wrong_checksum()),
    "20,000 x 20,000 pixels of one bit": (413, u.one_bit_bomb()),
    "one row of pixels too many": (413, u.too_many_pixels()),
    "a comment that unpacks to 200 MB": (400, u.text_bomb()),
    "5 MB and more": (413, u.PHOTOGRAPH + bytes(u.LARGEST)),
}

# name: status, fields beside a right picture
FIELDS = {
    "an unknown method": (422, {"method": "magic"}),
    "a method that is a path": (422, {"method": "../../etc/passwd"}),
    "an attribute of Python as method": (422, {"method": "__class__"}),
    "a method with a null byte": (422, {"method": "gradient\0"}),
    "a class out of range": (422, {"target": "3000000"}),
    "a class below zero": (422, {"target": "-1"}),
    "a class in words": (422, {"target": "cat"}),
    "half a class": (422, {"target": "1.5"}),
    "a class of 10,000 digits": (422, {"target": "9" * 10_000}),
    "a seed in words": (422, {"seed": "today"}),
    "a seed below zero": (422, {"seed": "-1"}),
    "a seed of 100 digits": (422, {"seed": "9" * 100}),
    "knobs that are no JSON": (400, {"knobs": "{steps: 8}"}),
    "knobs that are a list": (400, {"knobs": "[8]"}),
    "knobs that are text": (400, {"knobs": '"steps"'}),
    "an unknown knob": (422, {"knobs": '{"magic": 1}'}),
    "a knob of another method": (422, {"method": "gradient", "knobs": '{"steps": 8}'}),
    "a million steps": (422, {"knobs": '{"steps": 1000000}'}),
    "no step": (422, {"knobs": '{"steps": 0}'}),
    "minus one step": (422, {"knobs": '{"steps": -1}'}),
    "half a step": (422, {"knobs": '{"steps": 2.5}'}),
    "steps in words": (422, {"knobs": '{"steps": "many"}'}),
    "steps that are true": (422, {"knobs": '{"steps": true}'}),
    "steps that are nothing": (422, {"knobs": '{"steps": null}'}),
    "steps that are a list": (422, {"knobs": '{"steps": [8]}'}),
    "a baseline that is no number": (400, {"knobs": '{"baseline": NaN}'}),
    "a baseline without end": (400, {"knobs": '{"baseline": Infinity}'}),
    "a baseline of 1e999": (422, {"knobs": '{"baseline": 1e999}'}),
    "a chunk, which is the service's own": (422, {"knobs": '{"chunk": 100000}'}),
    "knobs 10,000 deep": (400, {"knobs": '{"steps":' + "[" * 10_000 + "]" * 10_000 + "}"}),
    "knobs that are nothing but false": (400, {"knobs": "false"}),
    "a field that nobody knows": (400, {"way": "gradient"}),
}


def as_text(content=u.PHOTOGRAPH):
    return base64.b64encode(content).decode()


def of_kind(kind):
    return {"Content-Type": kind}


RIGHT = {"picture": as_text()}
# name: status, body that is called JSON
BODIES = {
    "nothing at all": (400, b""),
    "no JSON": (400, "picture=1"),
    "half a JSON": (400, json.dumps(RIGHT)[:100]),
    "JSON that is a list": (400, [RIGHT]),
    "JSON that is a number": (400, "1"),
    "JSON without a picture": (400, {"method": "gradient"}),
    "a picture that is a number": (400, {"picture": 1}),
    "a picture that is nothing": (400, {"picture": None}),
    "a picture that is an address": (400, {"picture": "http://localhost/secret.png"}),
    "a picture that is a path": (400, {"picture": "/etc/passwd"}),
    "an empty picture": (415, {"picture": ""}),
    "base64 with a sign too many": (400, {"picture": as_text() + "?"}),
    "base64 that breaks off": (400, {"picture": as_text()[:101]}),
    "base64 of a text": (415, {"picture": as_text(u.TEXT)}),
    "base64 of a bomb": (413, {"picture": as_text(u.one_bit_bomb())}),
    "a method that is a list": (422, RIGHT | {"method": ["gradient"]}),
    "knobs that are a list": (400, RIGHT | {"knobs": [1]}),
    "a method that is zero": (422, RIGHT | {"method": 0}),
    "knobs that are zero": (400, RIGHT | {"knobs": 0}),
    "a seed that is true": (422, RIGHT | {"seed": True}),
    "a class that is true": (422, RIGHT | {"target": True}),
    "a class that is half": (422, RIGHT | {"target": 0.5}),
    "100,000 brackets": (400, '{"knobs":' + "[" * 100_000 + "]" * 100_000 + "}"),
    "100,000 open braces": (400, '{"a":' * 100_000),
    "a number of a million digits": (400, '{"seed": ' + "9" * 1_000_000 + "}"),
    "a key twice": (400, json.dumps(RIGHT)[:-1] + ', "method": "gradient", "method": "occlusion"}'),
    "bytes that are no UTF-8": (400, b'{"picture": "\xff\xfe"}'),
    "half of a surrogate pair": (422, RIGHT | {"method": "\ud800"}),
    "5 MB of JSON and more": (413, json.dumps({"picture": "A" * u.LARGEST})),
}

# name: status, verb, path, what else is asked
QUESTIONS = {
    "a page that is not there": (404, "GET", "/admin", {}),
    "a path out of the folder": (404, "GET", "/static/..%2f..%2f..%2fetc%2fpasswd", {}),
    "a file of the program": (404, "GET", "/static/../core.py", {}),
    "a null byte in the path": (404, "GET", "/v1/models/%00", {}),
    "bytes in the path that are no UTF-8": (404, "GET", "/v1/models/%ff%fe", {}),
    "a model that is not there": (404, "GET", "/v1/models/other", {}),
    "a model that is not there, to explain": (404, "POST", "/v1/models/other:explain", {"json": {"instances": []}}),
    "a verb of the model that is not there": (405, "POST", "/v1/models/tiny:train", {"json": {"instances": []}}),
    "an explanation by GET": (405, "GET", "/explain", {}),
    "an explanation by PUT": (405, "PUT", "/explain", {"data": b"1"}),
    "an explanation by DELETE": (405, "DELETE", "/explain", {}),
    "health by POST": (405, "POST", "/healthz", {}),
    "health by a verb that nobody knows": (405, "BREW", "/healthz", {}),
    "no body and no type": (415, "POST", "/explain", {}),
    "a body of plain text": (415, "POST", "/explain", {"data": b"1", "headers": of_kind("text/plain")}),
    "a picture without a form": (
        415,
        "POST",
        "/explain",
        {"data": u.PHOTOGRAPH, "headers": {"Content-Type": "image/png"}},
    ),
    "a pickle": (415, "POST", "/explain", {"data": u.PICKLE, "headers": {"Content-Type": "application/x-pickle"}}),
    "a form without a boundary": (
        400,
        "POST",
        "/explain",
        {"data": b"1", "headers": {"Content-Type": "multipart/form-data"}},
    ),
    "a form that never ends": (
        400,
        "POST",
        "/explain",
        {"data": b"--b\r\nContent-Disp", "headers": of_kind("multipart/form-data; boundary=b")},
    ),
    "a form without a picture": (400, "POST", "/explain", {"files": {"method": (None, "gradient")}}),
    "two pictures": (
        400,
        "POST",
        "/explain",
        {"files": [("picture", ("a.png", u.PHOTOGRAPH)), ("picture", ("b.png", u.PHOTOGRAPH))]},
    ),
    "a picture as file and as text": (
        400,
        "POST",
        "/explain",
        {"files": {"picture": ("a.png", u.PHOTOGRAPH), "picture_base64": (None, as_text())}},
    ),
    "broken base64 in a field": (400, "POST", "/explain", {"data": {"picture_base64": "%%%"}}),
    "2,000 fields": (400, "POST", "/explain", {"files": {f"f{n}": (None, "1") for n in range(2_000)}}),
    "a compressed body": (
        415,
        "POST",
        "/explain",
        {"data": b"\x1f\x8b" + bytes(50), "headers": of_kind("application/json") | {"Content-Encoding": "gzip"}},
    ),
    "instances that are missing": (400, "POST", "/v1/models/tiny:explain", {"json": {}}),
    "no instance": (400, "POST", "/v1/models/tiny:explain", {"json": {"instances": []}}),
    "instances that are a word": (400, "POST", "/v1/models/tiny:explain", {"json": {"instances": "all"}}),
    "an instance that is a number": (400, "POST", "/v1/models/tiny:explain", {"json": {"instances": [1]}}),
    "a thousand instances": (
        422,
        "POST",
        "/v1/models/tiny:explain",
        {"json": {"instances": [{"picture": {"b64": as_text()}}] * 1_000}},
    ),
    "an instance without a picture": (400, "POST", "/v1/models/tiny:predict", {"json": {"instances": [{}]}}),
    "an instance with half a picture": (
        400,
        "POST",
        "/v1/models/tiny:predict",
        {"json": {"instances": [{"picture": {"b64": as_text(u.PHOTOGRAPH[:99])}}]}},
    ),
}
