"""The page as a browser without JavaScript uses it, in both apps: a form with its token, and answers as a new page."""

import html
import re

import pytest
import requests
import uploads as u

TOKEN = re.compile(r'<input type="hidden" name="(csrf\w+)" value="([^"]+)">')
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
}


def open_page(service):
    """A session with the page's cookie, and its token."""
    session = requests.Session()
    session.trust_env = False
    page = session.get(service.address + "/")
    assert page.status_code == 200
    return session, dict([TOKEN.search(page.text).groups()]), page


def send(service, content=u.PHOTOGRAPH, **fields):
    session, token, _ = open_page(service)
    files = {"picture": ("photograph.png", content, "image/png")}
    return session.post(service.address + "/", files=files, data=token | fields)


def without_token(page):
    """What a browser makes of the text: the frameworks write the same sign as other entities."""
    return html.unescape(TOKEN.sub("", page.text)).strip()


def test_both_show_the_same_page(both):
    pages = [open_page(service)[2] for service in both.values()]
    assert without_token(pages[0]) == without_token(pages[1])
    assert pages[0].headers["Content-Type"] == pages[1].headers["Content-Type"] == "text/html; charset=utf-8"


@pytest.mark.parametrize("path", ["/", "/healthz", "/nothing", "/static/page.js"])
def test_every_answer_carries_the_headers_that_guard_a_browser(path, service):
    answer = service.get(path)
    assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS
    assert answer.headers["Cache-Control"] in ("no-store", "no-cache" if path.startswith("/static") else "no-store")
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy


def test_the_page_brings_no_script_or_style_that_its_policy_forbids(service):
    text = open_page(service)[2].text
    assert not re.search(r"<script(?![^>]*src=)|<style|\sstyle=|\son\w+=|https?://", text)
    for name, kind in (("page.js", "text/javascript"), ("page.css", "text/css")):
        answer = service.get(f"/static/{name}")
        assert answer.status_code == 200
        assert answer.headers["Content-Type"].startswith(kind)


def test_the_form_alone_gives_maps_beside_a_control(both):
    pages = [send(service, method="gradient", control="edges") for service in both.values()]
    assert [page.status_code for page in pages] == [200, 200]
    cards = [re.findall(r'<article class="card">.*?</article>', page.text, re.S) for page in pages]
    words = [[re.sub(r"[\d.]+ seconds?|[\d.]+ s\b", "", card) for card in found] for found in cards]
    assert len(cards[0]) == 3  # the picture as the model saw it, the method, the control
    assert words[0] == words[1]
    assert cards[0][1].count("data:image/png;base64,") == 1


def test_a_form_from_another_page_is_refused(service):
    """Without the token, with another one, with the token and no cookie, from another site."""
    session, token, _ = open_page(service)
    [(name, value)] = token.items()
    files = {"picture": ("photograph.png", u.PHOTOGRAPH, "image/png")}
    asked = {"method": "gradient"}
    answers = [
        session.post(service.address + "/", files=files, data=asked),
        session.post(service.address + "/", files=files, data=asked | {name: value[::-1]}),
        service.post("/", files=files, data=asked | token),
    ]
    assert [answer.status_code for answer in answers] == [403] * 3
    assert {answer.json()["error"]["rule"] for answer in answers} == {"a form must be sent from this page"}
    assert session.post(service.address + "/", files=files, data=asked | token).status_code == 200


def test_the_cookie_is_the_service_s_alone(service):
    cookie = open_page(service)[2].headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie


@pytest.mark.parametrize(("content", "status"), [(u.TEXT, 415), (u.PHOTOGRAPH[:500], 400), (u.one_bit_bomb(), 413)])
def test_a_refusal_is_said_on_the_page(content, status, both):
    pages = [send(service, content, method="gradient") for service in both.values()]
    assert [page.status_code for page in pages] == [status] * 2
    assert 'role="alert"><p><b>' in pages[0].text
    assert without_token(pages[0]) == without_token(pages[1])


def test_what_is_sent_is_never_a_part_of_the_page_s_code(service):
    attack = '"><script>alert(1)</script>'
    for fields in (
        {"method": attack},
        {"method": "gradient", "target": attack},
        {"method": "gradient", "knobs": attack},
    ):
        page = send(service, **fields)
        assert page.status_code in (400, 422)
        assert "<script>alert" not in page.text
