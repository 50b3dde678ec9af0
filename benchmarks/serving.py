"""What the two services cost: `make bench-serve`, two minutes on an idle machine, into `serving.json`.

Flask and Django, each on waitress and on gunicorn, with FastNet: seconds from the start to the first answer, memory of
all their processes after the last one, and, by 4 and by 32 clients at once, answers a second and the milliseconds that
an answer took. Clients are threads of this process, on the same machine; whoever is told to come again does so.
"""

import argparse
import io
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import product
from pathlib import Path

import numpy as np
import requests
from torchvision.transforms.v2.functional import to_pil_image

from tests.services.launching import APPS, SERVERS, Running
from xnb import data
from xnb.folders import replace_file
from xnb.training.machine import name_processor

STORED = Path(__file__).with_name("serving.json")
CLIENTS = (4, 32)
PROCESSES = {"waitress": 1, "gunicorn": 2}  # with one thread of torch each
ASKED = {"method": "gradient", "seed": "0"}  # of the picture: the quickest method beside its controls
LIBRARIES = "xnb torch flask django waitress gunicorn".split()
ABOUT = {
    "start_seconds": "from the start of the process to the first answer that it is ready",
    "memory_mib": "resident memory of all processes of the service, after all questions",
    "requests_per_second": "answers with status 200 by seconds of the whole measurement",
    "p50_ms": "milliseconds from sending a question to the whole answer, median of those with status 200",
    "p95_ms": "the same, 95th percentile",
    "refused": "answers with status 503: all places were taken, come again",
    "health": "GET /healthz, which runs no model",
    "explain": f"POST /explain of a photograph of 256 x 256 pixels, {ASKED}",
}


def main(arguments: list[str] | None = None) -> int:
    """Measure all pairs, and store what was measured."""
    command = argparse.ArgumentParser(prog="python -m benchmarks.serving", description=__doc__)
    command.add_argument("--seconds", type=float, default=8.0, help="of each measurement of explanations")
    command.add_argument("--out", type=Path, default=STORED)
    options = command.parse_args(arguments)
    rows, known = [], conditions(options.seconds)
    for app, server in product(APPS, SERVERS):
        rows.append(measure_service(app, server, options.seconds))
        sys.stdout.write(describe(rows[-1]) + "\n")
    text = json.dumps({"how to read": ABOUT, "conditions": known, "rows": rows}, indent=1)
    with replace_file(options.out) as draft:
        draft.write_text(text + "\n")
    return 0


def conditions(seconds: float) -> dict[str, object]:
    """What the numbers depend on. Nothing in it names the machine or its user."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "processor": name_processor(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "load_average": round(os.getloadavg()[0], 1),  # what else the machine did, before the first service began
        "seconds": seconds,
        "processes": PROCESSES,
        "versions": {name: version(name) for name in LIBRARIES},
    }


def measure_service(app: str, server: str, seconds: float) -> dict[str, object]:
    """Start a service, ask it in four ways, and end it."""
    picture = encode_photograph()
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        service = Running(app, server, Path(folder), processes=PROCESSES[server], model="").wait()
        row = {"app": app, "server": server, "start_seconds": round(time.perf_counter() - began, 2)}
        try:
            ask_explanation(service.address, picture)  # the first warms up
            row["health"] = {n: measure(lambda: ask_health(service.address), n, seconds / 2) for n in CLIENTS}
            row["explain"] = {
                n: measure(lambda: ask_explanation(service.address, picture), n, seconds) for n in CLIENTS
            }
            return row | {"memory_mib": round(service.memory())}
        finally:
            service.stop()


def encode_photograph() -> bytes:
    """A photograph of a cat, 256 x 256 pixels, as a PNG file."""
    file = io.BytesIO()
    to_pil_image(data.photos(256).test.x[1]).save(file, "PNG")
    return file.getvalue()


def ask_health(address: str) -> int:
    return requests.get(f"{address}/healthz", timeout=120).status_code


def ask_explanation(address: str, picture: bytes) -> int:
    files = {"picture": ("photograph.png", picture, "image/png")}
    return requests.post(f"{address}/explain", files=files, data=ASKED, timeout=120).status_code


def measure(ask: Callable[[], int], clients: int, seconds: float) -> dict[str, float | None]:
    """Ask by this many clients at once, each again as soon as it is answered, for about this long."""
    end = time.perf_counter() + seconds

    def ask_until_the_end() -> list[tuple[int, float]]:
        answers = []
        while time.perf_counter() < end:
            began = time.perf_counter()
            status = ask()
            answers.append((status, time.perf_counter() - began))
            if status == 503:
                time.sleep(0.1)  # whoever comes again at once only keeps the others waiting
        return answers

    began = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        lists = [future.result() for future in [pool.submit(ask_until_the_end) for _ in range(clients)]]
    return summarise([answer for answers in lists for answer in answers], time.perf_counter() - began)


def summarise(answers: list[tuple[int, float]], seconds: float) -> dict[str, float | None]:
    """Answers a second and their milliseconds; whatever is neither an answer nor a refusal is counted too."""
    took = [1000 * duration for status, duration in answers if status == 200]
    median, most = np.percentile(took, [50, 95]).round(1).tolist() if took else (None, None)
    return {
        "requests_per_second": round(len(took) / seconds, 3),
        "p50_ms": median,
        "p95_ms": most,
        "answered": len(took),
        "refused": sum(status == 503 for status, _ in answers),
        "other": sum(status not in (200, 503) for status, _ in answers),
    }


def describe(row: dict) -> str:
    """Say in a line what was measured of one service."""
    load = "  ".join(f"{n} clients {part['requests_per_second']}/s" for n, part in row["explain"].items())
    return f"{row['app']} on {row['server']}: ready in {row['start_seconds']} s, {row['memory_mib']} MiB, {load}"


if __name__ == "__main__":
    sys.exit(main())
