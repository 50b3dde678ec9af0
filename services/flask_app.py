"""The service in Flask: an app factory, a blueprint for programs and one for people, error handlers."""

import io
from collections.abc import Sequence
from typing import Any

from flask import Blueprint, Flask, Request, Response, current_app, render_template, request
from flask_wtf.csrf import CSRFError, CSRFProtect, generate_csrf
from werkzeug.datastructures import FileStorage
from werkzeug.exceptions import HTTPException

from services.core.page import answer_form, describe_page
from services.core.refusals import Refusal
from services.core.replies import Reply, write_refusal
from services.core.service import Service, choose_reader, unexpected
from services.core.settings import Settings
from services.core.statuses import explain_status
from services.core.wsgi import MOST_PARTS, SECURITY_HEADERS, Front

_TOKEN = "csrf_token"
api = Blueprint("api", __name__)
pages = Blueprint("pages", __name__)


class MemoryRequest(Request):
    """A request whose files stay in memory: Werkzeug writes those of more than 500 kB to a temporary file."""

    def _get_file_stream(self, *_: Any, **__: Any) -> io.BytesIO:
        return io.BytesIO()


class ServiceApp(Flask):
    """A Flask app with the service that its views call."""

    request_class = MemoryRequest
    service: Service


def create_app(settings: Settings | None = None) -> ServiceApp:
    """The app, as `flask` and `gunicorn "services.flask_app:create_app()"` want it."""
    settings = settings or Settings.read()
    app = ServiceApp(__name__, static_folder="static", template_folder="templates")
    app.service = Service(settings)
    app.config.update(
        SECRET_KEY=settings.secret,
        TRUSTED_HOSTS=None if "*" in settings.hosts else list(settings.hosts),  # by default any name will do
        MAX_CONTENT_LENGTH=settings.most_bytes,  # by default there is no limit
        MAX_FORM_MEMORY_SIZE=settings.most_bytes,  # by default 500 kB: a picture as base64 field would be too large
        MAX_FORM_PARTS=MOST_PARTS,
        SESSION_COOKIE_SAMESITE="Strict",  # the session holds the token of the page's form and nothing else
    )
    app.url_map.merge_slashes = False
    protection = CSRFProtect(app)
    protection.exempt(api)  # programs send no cookies, and nothing they do is done in anybody's name
    app.register_blueprint(api)
    app.register_blueprint(pages)
    app.register_error_handler(Refusal, answer_refusal)
    app.register_error_handler(CSRFError, answer_foreign_form)
    app.register_error_handler(HTTPException, answer_status)
    app.register_error_handler(Exception, answer_failure)
    app.after_request(add_headers)
    app.wsgi_app = Front(app.wsgi_app, settings)  # type: ignore[method-assign]
    return app


def find_service() -> Service:
    """The service of the app that answers."""
    return current_app.service  # type: ignore[attr-defined]


def respond(reply: Reply) -> Response:
    """Flask's response of a reply."""
    response = Response(reply.body, int(reply.status), content_type=reply.kind)
    response.headers.update(reply.headers)
    return response


def read_fields() -> dict[str, Sequence[str]]:
    """Every field of the form, with all its values."""
    return {name: values for name, values in request.form.lists() if name != _TOKEN}


def read_files() -> dict[str, Sequence[bytes]]:
    """Every file of the form; a file field that was left empty has no name and is none."""
    files = {name: [file.read() for file in uploads if is_named(file)] for name, uploads in request.files.lists()}
    return {name: contents for name, contents in files.items() if contents}


def is_named(file: FileStorage) -> bool:
    """Whether a file has a name, which is all that is done with it; as Django sees it, a folder's is none."""
    return (file.filename or "").replace("\\", "/").rsplit("/")[-1] not in ("", ".", "..")


def read_accept() -> str:
    """What the client accepts."""
    return request.headers.get("Accept", "")


@api.get("/healthz")
def report_health() -> Response:
    return respond(find_service().report_health())


@api.get("/readyz")
def report_readiness() -> Response:
    return respond(find_service().report_readiness())


@api.get("/openapi.json")
def describe() -> Response:
    return respond(find_service().describe())


@api.get("/v1/models")
def list_models() -> Response:
    return respond(find_service().list_models())


@api.get("/v1/models/<name>")
def describe_model(name: str) -> Response:
    return respond(find_service().describe_model(name))


@api.post("/v1/models/<name>:explain")
def explain_instances(name: str) -> Response:
    return respond(find_service().explain_instances(name, request.get_data(), read_accept()))


@api.post("/v1/models/<name>:predict")
def predict_instances(name: str) -> Response:
    return respond(find_service().predict_instances(name, request.get_data(), read_accept()))


@api.post("/explain")
def explain() -> Response:
    if choose_reader(request.content_type or "") == "json":
        return respond(find_service().explain_json(request.get_data(), read_accept()))
    return respond(find_service().explain_form(read_fields(), read_files(), read_accept()))


@pages.get("/")
def show_page() -> str:
    return render_template("page.html", **describe_page(_TOKEN, generate_csrf()))


@pages.post("/")
def answer_page() -> tuple[str, int]:
    status, shown = answer_form(find_service(), read_fields(), read_files())
    return render_template("page.html", **describe_page(_TOKEN, generate_csrf(), shown)), status


def answer_refusal(refusal: Refusal) -> Response:
    """A refusal of the core."""
    return respond(write_refusal(refusal))


def answer_foreign_form(error: CSRFError) -> Response:
    """A form that was not sent from this page."""
    return respond(write_refusal(explain_status(403)))


def answer_status(error: HTTPException) -> Response:
    """A refusal of Flask or Werkzeug, in the form of all others."""
    allowed = getattr(error, "valid_methods", None) or []
    return respond(write_refusal(explain_status(error.code or 500, request.method, list(allowed))))


def answer_failure(error: Exception) -> Response:
    """A fault of the service: what it was stands in the log and nowhere else."""
    current_app.logger.exception("failed")
    return respond(write_refusal(unexpected()))


def add_headers(response: Response) -> Response:
    """What every answer carries; Flask sends none of it by itself."""
    for name, value in SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
    return response
