"""What Django refuses by itself, in the form of all other refusals."""

from typing import Any

from django.http import HttpRequest, HttpResponse

from services.core.refusals import Refusal
from services.core.replies import Reply, write_refusal
from services.core.service import unexpected
from services.core.statuses import explain_status


def respond(reply: Reply) -> HttpResponse:
    """Django's response of a reply."""
    return HttpResponse(reply.body, status=int(reply.status), content_type=reply.kind, headers=dict(reply.headers))


def answer_refusal(refusal: Refusal) -> HttpResponse:
    """A refusal of the core."""
    return respond(write_refusal(refusal))


def answer_broken(request: HttpRequest, exception: Exception) -> HttpResponse:
    """A request that Django could not read, or for another host."""
    return answer_refusal(explain_status(400))


def answer_foreign_form(request: HttpRequest, *_: Any, **__: Any) -> HttpResponse:
    """A form that was not sent from this page."""
    return answer_refusal(explain_status(403))


def answer_unknown(request: HttpRequest, exception: Exception) -> HttpResponse:
    """An address that is none."""
    return answer_refusal(explain_status(404))


def answer_failure(request: HttpRequest) -> HttpResponse:
    """A fault of the service: what it was stands in the log and nowhere else."""
    return answer_refusal(unexpected())
