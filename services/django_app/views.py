"""Views: one class an address; what they answer comes from the service, as in the other app."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import get_token
from django.shortcuts import render
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.csrf import csrf_exempt, csrf_protect

from services.core.page import answer_form, describe_page
from services.core.service import Service, choose_reader
from services.core.statuses import explain_status
from services.django_app.errors import answer_refusal, respond
from services.django_app.settings import SERVE

_TOKEN = "csrfmiddlewaretoken"
_STATIC = Path(__file__).parents[1] / "static"
_KINDS = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8"}


@cache
def find_service() -> Service:
    """The one service of the process."""
    return Service(SERVE)


@method_decorator(csrf_exempt, name="dispatch")
class ServiceView(View):
    """A view that refuses other methods as the service does; Django answers OPTIONS by itself, this one does not.

    Programs send no cookies, and nothing they do is done in anybody's name: only the page's form has a token.
    """

    http_method_names = ["get", "head", "post"]  # noqa: RUF012 - as Django has it

    def http_method_not_allowed(self, request: HttpRequest, *_: Any, **__: Any) -> HttpResponse:
        return answer_refusal(explain_status(405, str(request.method), self._allowed_methods()))


class HealthView(ServiceView):
    def get(self, request: HttpRequest) -> HttpResponse:
        return respond(find_service().report_health())


class ReadinessView(ServiceView):
    def get(self, request: HttpRequest) -> HttpResponse:
        return respond(find_service().report_readiness())


class DescriptionView(ServiceView):
    def get(self, request: HttpRequest) -> HttpResponse:
        return respond(find_service().describe())


class ModelsView(ServiceView):
    def get(self, request: HttpRequest) -> HttpResponse:
        return respond(find_service().list_models())


class ModelView(ServiceView):
    def get(self, request: HttpRequest, name: str) -> HttpResponse:
        return respond(find_service().describe_model(name))


class ExplainInstancesView(ServiceView):
    def post(self, request: HttpRequest, name: str) -> HttpResponse:
        return respond(find_service().explain_instances(name, request.body, read_accept(request)))


class PredictInstancesView(ServiceView):
    def post(self, request: HttpRequest, name: str) -> HttpResponse:
        return respond(find_service().predict_instances(name, request.body, read_accept(request)))


class ExplainView(ServiceView):
    def post(self, request: HttpRequest) -> HttpResponse:
        if choose_reader(request.headers.get("Content-Type", "")) == "json":
            return respond(find_service().explain_json(request.body, read_accept(request)))
        return respond(find_service().explain_form(read_fields(request), read_files(request), read_accept(request)))


class PageView(ServiceView):
    def get(self, request: HttpRequest) -> HttpResponse:
        return render(request, "page.html", describe_page(_TOKEN, get_token(request)))

    @method_decorator(csrf_protect)
    def post(self, request: HttpRequest) -> HttpResponse:
        status, shown = answer_form(find_service(), read_fields(request), read_files(request))
        return render(request, "page.html", describe_page(_TOKEN, get_token(request), shown), status=status)


class StaticView(ServiceView):
    """The page's two files; Django serves static files only while it is debugged."""

    def get(self, request: HttpRequest, name: str) -> HttpResponse:
        file = _STATIC / name  # the address has one of two names and no other
        return HttpResponse(file.read_bytes(), content_type=_KINDS[file.suffix])


def read_fields(request: HttpRequest) -> dict[str, Sequence[str]]:
    """Every field of the form, with all its values."""
    return {name: values for name, values in request.POST.lists() if name != _TOKEN}


def read_files(request: HttpRequest) -> dict[str, Sequence[bytes]]:
    """Every file of the form; Django leaves out those without a name."""
    return {name: [file.read() for file in uploads] for name, uploads in request.FILES.lists()}


def read_accept(request: HttpRequest) -> str:
    """What the client accepts."""
    return request.headers.get("Accept", "")
