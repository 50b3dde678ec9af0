"""What a service refuses: a status and three lines, the rule, what came, and what to try."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import NoReturn

from xnb.check import abbreviate_value, is_refusal, shorten_text

_LONGEST = 500  # characters of a line that comes from within


class Refusal(Exception):  # noqa: N818 - a refusal is no error of the service
    """An answer that says what was wrong with the request, or why it cannot be answered now."""

    def __init__(
        self, status: int, rule: str, got: str, way_out: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(rule)
        self.status = HTTPStatus(status)
        self.rule = rule
        self.got = got
        self.way_out = way_out
        self.headers = dict(headers or {})

    def facts(self) -> dict[str, dict[str, str]]:
        """The body of the answer, before it becomes JSON."""
        return {"error": {"rule": self.rule, "got": self.got, "try": self.way_out}}


def refuse(status: int, rule: str, got: object, way_out: str, **headers: str) -> NoReturn:
    """Answer with this status and these three lines; `Retry_After="2"` is the header `Retry-After`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    raise Refusal(status, rule, abbreviate_value(got), way_out, named)


def require(ok: bool, status: int, rule: str, got: object, way_out: str) -> None:
    """Refuse unless `ok`."""
    if not ok:
        refuse(status, rule, got, way_out)


def hand_on_refusal(error: Exception, status: int, way_out: str) -> NoReturn:
    """Hand on what `xnb` refuses, with its own three lines.

    Args:
        way_out: what to try if it names nothing.
    """
    lines = str(error).split("\n")
    rule = shorten_text(lines[0], _LONGEST)
    got = _find_line(lines, "  got: ") or type(error).__name__
    hint = _find_line(lines, "  try: ") or way_out
    if not is_refusal(error):
        rule = f"the method must run on this model; it ended in {type(error).__name__}"
        got = shorten_text(" ".join(str(error).split()), _LONGEST)
    raise Refusal(status, rule, got, hint) from error


def _find_line(lines: list[str], start: str) -> str:
    found = [line.removeprefix(start) for line in lines if line.startswith(start)]
    return shorten_text(found[0], _LONGEST) if found else ""
