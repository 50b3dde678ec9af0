"""What several files of this folder use: Quantus, whose metrics stand beside ours."""

import warnings

import pytest


@pytest.fixture
def quantus():
    """The package, its warnings silenced; a test is skipped where it is not installed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield pytest.importorskip("quantus")
