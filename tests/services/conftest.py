"""Both services, started by the first test that asks for one: Flask on waitress, Django on gunicorn."""

import pytest
from asking import Asked
from launching import ON, running


@pytest.fixture(scope="package")
def both(tmp_path_factory):
    """By name, the two services with a tiny model."""
    folder = tmp_path_factory.mktemp("services")
    with running("flask", ON["flask"], folder) as flask, running("django", ON["django"], folder) as django:
        yield {"flask": Asked(flask.address), "django": Asked(django.address)}


@pytest.fixture(params=ON)
def service(request, both):
    return both[request.param]
