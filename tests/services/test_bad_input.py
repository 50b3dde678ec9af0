"""What cannot be answered is refused in words, by both services in the same ones; and the next question is answered."""

import pytest
from bad_requests import BODIES, FIELDS, PICTURES, QUESTIONS

NEVER = ("Traceback", "site-packages", 'File "', "/root/", "/home/", "/work/", "SECRET", "PIL.")


def assert_refused(answer, status):
    """In three parts, as JSON, with nothing about the machine."""
    assert answer.status_code == status, answer.text[:300]
    assert answer.headers["Content-Type"].split(";")[0] == "application/json"
    assert set(answer.json()) == {"error"}
    error = answer.json()["error"]
    assert set(error) == {"rule", "got", "try"}
    assert all(isinstance(part, str) and 0 < len(part) < 400 for part in error.values())
    assert not [text for text in NEVER if text in answer.text]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def assert_alive(service):
    answer = service.explain(method="gradient")
    assert answer.status_code == 200
    assert answer.json()["method"]["name"] == "gradient"


@pytest.fixture
def ask(both, request):
    """Ask both the same: both refuse with this status and the same words, and both live on."""

    def ask(status, question):
        answers = [question(service) for service in both.values()]
        for answer, service in zip(answers, both.values(), strict=True):
            assert_refused(answer, status)
            assert_alive(service)
        assert answers[0].json() == answers[1].json()
        assert answers[0].headers.get("Allow") == answers[1].headers.get("Allow")
        return answers[0]

    return ask


@pytest.mark.parametrize("name", PICTURES)
def test_a_file_that_is_no_picture_to_explain(name, ask):
    status, content = PICTURES[name]
    ask(status, lambda service: service.explain(content))


@pytest.mark.parametrize("name", FIELDS)
def test_a_field_that_is_wrong(name, ask):
    status, fields = FIELDS[name]
    ask(status, lambda service: service.explain(**fields))


@pytest.mark.parametrize("name", BODIES)
def test_a_body_of_json_that_is_wrong(name, ask):
    status, body = BODIES[name]
    ask(status, lambda service: service.explain_json(body))


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_question_that_is_wrong(name, ask):
    status, verb, path, more = QUESTIONS[name]
    answer = ask(status, lambda service: service.request(verb, path, **more))
    assert ("Allow" in answer.headers) == (status == 405)


@pytest.mark.parametrize("accept", ["text/html", "image/jpeg", "application/xml", "image/png;q=0", "nonsense"])
def test_a_form_of_answer_that_there_is_not(accept, ask):
    ask(406, lambda service: service.explain(accept=accept))


@pytest.mark.parametrize("host", ["example.org", "localhost.example.org", "127.0.0.1@example.org", "[::2]", "a b", ""])
def test_a_host_that_is_not_trusted(host, ask):
    ask(400, lambda service: service.get("/v1/models", headers={"Host": host}))


@pytest.mark.parametrize("name", ["../../../etc/cron.d/x.png", "C:\\windows\\x.png", "/tmp/x.png", "x.png\0.exe"])
def test_a_file_name_is_never_used(name, both):
    answers = [service.explain(name=name, method="gradient") for service in both.values()]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert "etc" not in answers[0].text


@pytest.mark.parametrize("name", [".", "..", "a" * 3_000])
def test_a_file_name_that_is_none_is_not_used_either(name, service):
    """Django takes such a file for none, Flask for a picture."""
    assert service.explain(name=name, method="gradient").status_code in (200, 400)
    assert_alive(service)
