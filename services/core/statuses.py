"""What a framework refuses by itself, in the words of the service."""

from collections.abc import Iterable
from http import HTTPStatus

from services.core.refusals import Refusal

_WORDS = {
    400: (
        "the request must be whole, and its Host one that is served",
        "a broken request",
        "curl http://localhost:8000/healthz",
    ),
    403: ("a form must be sent from this page", "no token, or an old one", "load the page again, or POST /explain"),
    404: ("there is no such address", "an unknown path", "/openapi.json"),
    413: ("the request is too large", "too many bytes", "a smaller copy of the picture"),
    415: ("the body must be a form or JSON", "another type", "curl -F picture=@photo.png ..."),
}


def explain_status(status: int, method: str = "", allowed: Iterable[str] = ()) -> Refusal:
    """A refusal for a status that a framework has chosen.

    Args:
        allowed: methods that the address has, for 405.
    """
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        methods = ", ".join(sorted(set(allowed) - {"OPTIONS"}))
        return Refusal(405, "the address has no such method", method, methods, {"Allow": methods})
    rule, got, way_out = _WORDS.get(status, (HTTPStatus(status).phrase.lower(), str(status), "/openapi.json"))
    return Refusal(status, rule, got, way_out)
