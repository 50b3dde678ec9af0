import pytest
from sample_project import Project


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A collection of its own below a temporary folder, which is the current one."""
    monkeypatch.chdir(tmp_path)
    return Project(tmp_path)
