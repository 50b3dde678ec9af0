"""What a service is told from outside: environment variables that begin with `XNB_SERVE_`, each with a default."""

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite

from xnb.check import require

LOCAL_HOSTS = ("localhost", "127.0.0.1", "[::1]")


@dataclass(frozen=True)
class Settings:
    """Limits and names of a service.

    Attributes:
        model: `package.module:function` that returns a `services.core.models.ServedModel`; empty for FastNet.
        hosts: names under which it may be asked; a request for another one is refused. `.example.org` stands for all
            names that end so, and `*` for any.
        secret: signs the token of the page's form. Processes that share the work need the same one.
        most_bytes: of the body of a request.
        most_pixels: of a picture, read from its header before anything is decoded.
        most_passes: of the model, forward and backward, that one explanation may cost.
        most_waiting: requests that wait for the model; one more is told to come again.
        timeout: seconds until a request that waits or runs is given up.
        torch_threads: that one pass uses; 0 leaves it to torch. More are faster on a machine that does nothing else.
    """

    model: str = ""
    hosts: tuple[str, ...] = LOCAL_HOSTS
    secret: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    most_bytes: int = 5_000_000
    most_pixels: int = 16_000_000
    most_passes: int = 600
    most_waiting: int = 8
    timeout: float = 60.0
    torch_threads: int = 1

    @classmethod
    def read(cls, environ: Mapping[str, str] = os.environ) -> "Settings":
        """Settings out of the environment.

        Raises:
            ValueError: a number that is none, or not positive.
        """
        values: dict[str, object] = {}
        for name, default in vars(cls()).items():
            written = environ.get(f"XNB_SERVE_{name.upper()}")
            if written is not None:
                values[name] = _read_value(f"XNB_SERVE_{name.upper()}", written, default)
        return cls(**values)  # type: ignore[arg-type]


def _read_value(name: str, written: str, default: object) -> object:
    if isinstance(default, str):
        return written
    if isinstance(default, tuple):
        return tuple(host.strip() for host in written.split(",") if host.strip())
    number = _read_number(written)
    least = 0 if name.endswith("THREADS") else 1
    require(number is not None and number >= least, f"{name}: a number from {least} on", written, f"{name}={default}")
    return type(default)(number)  # type: ignore[call-arg]


def _read_number(written: str) -> float | None:
    try:
        number = float(written)
    except ValueError:
        return None
    return number if isfinite(number) else None
