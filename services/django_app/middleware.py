"""Middleware: headers that every answer carries, and refusals of the core as responses."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from services.core.refusals import Refusal
from services.core.wsgi import SECURITY_HEADERS
from services.django_app.errors import answer_refusal

Handler = Callable[[HttpRequest], HttpResponse]


def add_headers(get_response: Handler) -> Handler:
    """What Django's own middleware does not send: a content policy, and no caching."""

    def handle(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        for name, value in SECURITY_HEADERS.items():
            response.headers.setdefault(name, value)
        return response

    return handle


class answer_refusals:  # noqa: N801 - Django names middleware as it is listed
    """Turn a refusal that a view raises into a response."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        return answer_refusal(exception) if isinstance(exception, Refusal) else None
