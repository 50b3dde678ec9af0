"""What stands around the model: bytes that are counted, settings, the description, the page, models by import path.

Tests: services.core.wsgi, services.core.settings, services.core.openapi, services.core.page, services.core.models,
services.core.service
"""

import hashlib
import io
import json
import sys
from types import ModuleType

import numpy as np
import pytest
import tiny_models
import torch
import uploads as u
from PIL import Image

from services.core import openapi
from services.core.models import ServedModel, check_served, cut_strip, find_loader, load_fastnet
from services.core.page import answer_form, describe_page
from services.core.refusals import Refusal
from services.core.service import Service, choose_reader
from services.core.settings import Settings
from services.core.wsgi import SECURITY_HEADERS, Front, check_form, read_body
from xnb.check import is_refusal

LIMIT = 1_000


class Stream(io.BytesIO):
    """Bytes that say how many of them were read."""

    taken = 0

    def read(self, size=-1):
        piece = super().read(min(size, 100))  # a network hands out less than is asked for
        self.taken += len(piece)
        return piece


def body_of(content, limit=LIMIT, **environ):
    return read_body({"wsgi.input": Stream(content), **environ}, limit)


def status_of(content, **environ):
    with pytest.raises(Refusal) as refused:
        body_of(content, **environ)
    return int(refused.value.status)


CHUNKED = {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True}


def test_bytes_are_counted_whatever_the_length_says():
    whole = bytes(LIMIT)
    assert body_of(whole, CONTENT_LENGTH="1000") == whole
    assert body_of(whole, **CHUNKED) == whole
    assert body_of(whole, CONTENT_LENGTH="10") == whole[:10]
    assert body_of(b"") == b""
    assert status_of(whole + b"1", CONTENT_LENGTH="1001") == 413
    assert status_of(whole + b"1", **CHUNKED) == 413
    assert status_of(whole, CONTENT_LENGTH="1001") == 400
    assert status_of(b"", CONTENT_LENGTH="ten") == 400
    assert status_of(b"", HTTP_TRANSFER_ENCODING="chunked") == 411
    assert status_of(b"", HTTP_CONTENT_ENCODING="gzip", CONTENT_LENGTH="0") == 415


def test_of_a_body_without_end_little_is_read_and_nothing_kept():
    stream = Stream(bytes(100 * LIMIT))
    with pytest.raises(Refusal):
        read_body({"wsgi.input": stream, **CHUNKED}, LIMIT)
    assert stream.taken <= 9 * LIMIT


FORM = "multipart/form-data; boundary=abc"


@pytest.mark.parametrize(
    ("kind", "body", "whole"),
    [
        (FORM, b"--abc\r\n\r\n--abc--\r\n", True),
        ('multipart/form-data; boundary="abc"', b"--abc\r\n\r\n--abc--", True),
        (FORM, b"--abc\r\n\r\n--ab", False),
        (FORM, b"", False),
        ("multipart/form-data", b"--abc--", False),
        (FORM, b"--abc\r\n" * 17 + b"--abc--", False),
        ("application/json", b"", True),
    ],
)
def test_a_form_is_whole(kind, body, whole):
    if whole:
        check_form(kind, body)
    else:
        with pytest.raises(Refusal) as refused:
            check_form(kind, body)
        assert refused.value.status == 400


def call(environ, application=None):
    seen = {}

    def start_response(status, headers, *error):
        seen.update(status=status, headers=dict(headers))

    def echo(environ, start):
        start("200 OK", [])
        return [environ["wsgi.input"].read(), environ["CONTENT_LENGTH"].encode()]

    asked = {"REQUEST_METHOD": "POST", "PATH_INFO": "/", "wsgi.input": io.BytesIO(b"12345"), **environ}
    body = Front(application or echo, Settings(most_bytes=LIMIT))(asked, start_response)
    return seen["status"], seen["headers"], b"".join(body)


def test_the_front_hands_on_a_body_with_its_true_length():
    status, headers, body = call({"CONTENT_LENGTH": "4"})
    assert (status, body) == ("200 OK", b"12344")
    assert len(headers["X-Request-ID"]) == 16


@pytest.mark.parametrize(("asked", "same"), [("a-1", True), ("a b", False), ("a\nb", False), ("x" * 65, False)])
def test_the_number_of_a_request_is_the_clients_if_it_is_harmless(asked, same):
    _, headers, _ = call({"HTTP_X_REQUEST_ID": asked})
    assert (headers["X-Request-ID"] == asked) == same


def test_the_front_refuses_with_the_headers_of_every_answer():
    status, headers, body = call({"CONTENT_LENGTH": "2000"})
    assert status == "400 Bad Request"
    assert headers.items() >= SECURITY_HEADERS.items()
    assert set(json.loads(body)["error"]) == {"rule", "got", "try"}


def test_an_answer_to_head_has_no_body():
    assert call({"REQUEST_METHOD": "HEAD", "CONTENT_LENGTH": "4"})[2] == b""


def test_no_line_break_of_a_path_reaches_the_log(caplog):
    with caplog.at_level("INFO", "services"):
        call({"PATH_INFO": "/a\nb\r\x1b"})
    assert all(line.isprintable() for line in caplog.messages)


def test_settings_are_read():
    environ = {"XNB_SERVE_HOSTS": "a.org, .b.org", "XNB_SERVE_MOST_BYTES": "10", "XNB_SERVE_TIMEOUT": "1.5"}
    settings = Settings.read(environ)
    assert (settings.hosts, settings.most_bytes, settings.timeout) == (("a.org", ".b.org"), 10, 1.5)
    assert isinstance(settings.most_bytes, int)
    assert len(Settings.read({}).secret) > 40
    assert Settings.read({}).secret != Settings.read({}).secret
    assert "secret" not in repr(settings)


@pytest.mark.parametrize("written", ["abc", "0", "-1", "nan", "inf", ""])
def test_a_setting_that_is_no_number(written):
    with pytest.raises(ValueError, match="XNB_SERVE_MOST_BYTES") as refused:
        Settings.read({"XNB_SERVE_MOST_BYTES": written})
    assert is_refusal(refused.value)


def test_the_description_is_the_stored_one():
    """`python -m services.core.openapi` writes it anew."""
    assert openapi.describe_service() == openapi.make_description()


@pytest.mark.parametrize(
    ("kind", "reader"),
    [("multipart/form-data; boundary=a", "form"), ("Application/JSON; charset=utf-8", "json"), ("text/plain", None)],
)
def test_what_a_body_is(kind, reader):
    if reader:
        assert choose_reader(kind) == reader
    else:
        with pytest.raises(Refusal) as refused:
            choose_reader(kind)
        assert refused.value.status == 415


def test_a_strip_is_cut_and_any_other_picture_is_left():
    picture = Image.fromarray(u.pixels(3, 100))
    assert np.array_equal(np.asarray(cut_strip(picture)), u.pixels(3, 100)[:, 44:56])
    for sides in ((4, 16), (16, 4), (5, 5)):
        assert cut_strip(Image.fromarray(u.pixels(*sides))).size == sides[::-1]


def test_fastnet_sees_what_it_was_trained_on():
    """The input is the picture in [0, 1]; the model's first step is the normalisation that FastNet was trained with."""
    from xnb.models import FASTNET, FastNet

    served = load_fastnet()
    picture = Image.fromarray(u.pixels(300, 400))
    x = served.read(picture)
    assert x.shape == (1, 3, 224, 224)
    assert x.min() >= 0
    assert x.max() <= 1
    theirs = FastNet.pretrained()(FASTNET(picture)).detach()
    torch.testing.assert_close(served.model(x).detach(), theirs, rtol=1e-3, atol=1e-3)
    assert len(served.classes) == 1000


def test_the_checksum_is_of_names_shapes_types_and_values():
    served = tiny_models.tiny()
    digest = hashlib.sha256()
    for name, value in sorted(served.model.state_dict().items()):
        digest.update(f"{name} torch.float32 {tuple(value.shape)}\n".encode() + value.numpy().tobytes())
    assert served.sha256 == digest.hexdigest()
    assert tiny_models.tiny().sha256 == served.sha256
    other = tiny_models.tiny()
    with torch.no_grad():
        other.model.layers[0].bias[0] += 1e-6
    assert other.sha256 != served.sha256


@pytest.mark.parametrize("path", ["nosuch", "nosuch:x", "json:nosuch", ":x", "json:", "json:__doc__"])
def test_an_import_path_that_leads_nowhere(path):
    with pytest.raises(ValueError, match="XNB_SERVE_MODEL") as refused:
        find_loader(path)
    assert is_refusal(refused.value)


@pytest.mark.parametrize("served", [None, tiny_models.Tiny(), ServedModel("A b", tiny_models.Tiny(), (), None)])
def test_what_cannot_be_served(served):
    with pytest.raises(ValueError, match="XNB_SERVE_MODEL"):
        check_served(served)


@pytest.fixture
def service():
    service = Service(Settings(model="tiny_models:tiny", most_waiting=2, timeout=60))
    while service.report_readiness().status != 200:
        pass
    return service


def test_a_model_that_cannot_be_loaded_is_told():
    broken = ModuleType("broken_model")
    broken.load = lambda: 1 / 0
    sys.modules["broken_model"] = broken
    service = Service(Settings(model="broken_model:load"))
    while b"loading" in service.report_readiness().body:
        pass
    assert json.loads(service.report_readiness().body) == {"status": "failed"}
    assert service.report_health().status == 200
    with pytest.raises(Refusal, match="could not be loaded"):
        service.list_models()


def test_the_page_has_a_card_for_the_picture_each_method_and_the_control(service):
    fields = {"method": ["gradient", "rise"], "control": ["random"], "target": ["2"]}
    status, shown = answer_form(service, fields, {"picture": [u.PHOTOGRAPH]})
    assert status == 200
    assert [card["title"] for card in shown["cards"]] == ["What the model saw", "Gradient", "RISE", "Random"]
    assert all(card["png"] and card["alt"] for card in shown["cards"])
    assert any("standard error" in line for line in shown["cards"][2]["lines"])
    page = describe_page("token", "abc", shown)
    assert [choice["name"] for choice in page["offered"] if choice["chosen"]] == ["gradient", "rise"]
    assert page["target"] == "2"


def test_a_method_that_is_refused_says_so_beside_the_others(service):
    status, shown = answer_form(service, {"method": ["rollout", "gradient"]}, {"picture": [u.PHOTOGRAPH]})
    assert status == 200
    assert "no attention was seen" in shown["cards"][0]["refused"]["rule"]
    assert shown["cards"][2]["title"] == "Gradient"


@pytest.mark.parametrize(
    ("status", "fields", "content"),
    [
        (415, {}, u.TEXT),
        (400, {}, u.PHOTOGRAPH[:100]),
        (422, {"method": ["magic"]}, u.PHOTOGRAPH),
        (422, {"method": ["gradient"] * 5}, u.PHOTOGRAPH),
        (422, {"target": ["cat"]}, u.PHOTOGRAPH),
        (422, {"target": ["8"]}, u.PHOTOGRAPH),
    ],
)
def test_a_form_of_the_page_that_is_wrong(service, status, fields, content):
    found, shown = answer_form(service, fields, {"picture": [content]})
    assert found == status
    assert set(shown["error"]) == {"rule", "got", "try"}
