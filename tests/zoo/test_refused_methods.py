"""No network of the zoo loses a method unseen: what each refuses is stored in `refused_methods.txt`."""

import pytest
from refused_methods import list_refused, read_refused
from zoo import ZOO

from xnb import METHODS

SIGNALS_AND_VOLUMES = ["wave", "wave, pool", "volume"]
CHANNELS_LAST = ["last-axis block", "last-axis stage", "shifted windows"]
STORED = read_refused()


@pytest.mark.parametrize("kind", ZOO)
@pytest.mark.usefixtures("as_users_run")
def test_a_network_refuses_what_it_did_and_nothing_else(kind):
    now = list_refused(kind)
    lost = {name: reason for name, reason in now.items() if name not in STORED[kind]}
    assert not lost
    assert not STORED[kind] - now.keys(), "won: store it by `python tests/zoo/refused_methods.py`"


def test_only_networks_of_the_zoo_are_stored():
    assert STORED.keys() == ZOO.keys()
    assert set().union(*STORED.values()) <= METHODS.keys()


@pytest.mark.parametrize(
    ("kinds", "least"), [(SIGNALS_AND_VOLUMES, 27), (CHANNELS_LAST, 25)], ids=["signals and volumes", "channels last"]
)
def test_families_have_the_methods_that_they_were_promised(kinds, least):
    for kind in kinds:
        assert len(METHODS) - len(STORED[kind]) >= least, kind
