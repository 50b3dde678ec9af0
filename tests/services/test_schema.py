"""Questions that Schemathesis makes from the description of the service: some hundred a test, by a new seed each day.

`XNB_SCHEMA_EXAMPLES=1000` asks thousands. That a right question is answered is checked elsewhere: no description says
which bytes are a picture.
"""

import os
import re
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

EXAMPLES = os.environ.get("XNB_SCHEMA_EXAMPLES", "12")  # for each address
SEED = date.today().toordinal()
ADDRESSES = {
    "/",
    "/explain",
    "/healthz",
    "/openapi.json",
    "/readyz",
    "/v1/models",
    "/v1/models/{name}",
    "/v1/models/{name}:explain",
    "/v1/models/{name}:predict",
}


def test_both_are_described_alike(both):
    described = [service.get("/openapi.json").json() for service in both.values()]
    assert described[0] == described[1]
    assert set(described[0]["paths"]) <= ADDRESSES
    assert set(described[0]["paths"]) >= {path for path in ADDRESSES if path.startswith(("/v1", "/explain", "/readyz"))}


def test_every_status_that_is_sent_is_described(service):
    described = service.get("/openapi.json").json()["paths"]["/explain"]["post"]["responses"]
    assert set(described) >= {"200", "400", "406", "413", "415", "422", "503", "504"}
    assert set(described["200"]["content"]) == {"application/json", "image/png", "application/x-npz"}


@pytest.mark.timeout(600)
def test_no_question_ends_in_a_fault_or_in_an_answer_that_is_not_described(service, tmp_path):
    program = Path(sys.executable).with_name("schemathesis")
    command = [program, "run", f"{service.address}/openapi.json", "--phases=fuzzing", f"--max-examples={EXAMPLES}"]
    command += [f"--seed={SEED}", "--checks=all", "--exclude-checks=positive_data_acceptance", "--no-color"]
    command += ["--suppress-health-check=all", "--continue-on-failure"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert int(re.search(r"(\d+) generated", done.stdout)[1]) > 4 * int(EXAMPLES), done.stdout[-3000:]
    assert service.explain(method="gradient").status_code == 200
