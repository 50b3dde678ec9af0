"""Which methods each network of the zoo refuses, as stored: `python tests/zoo/refused_methods.py` writes it anew.

In `refused_methods.txt` a line a network; all other methods answer. A name that is new there is a method lost.
"""

import sys
from pathlib import Path

STORED = Path(__file__).with_suffix(".txt")


def read_refused():
    """Names of methods by network."""
    pairs = [line.split(": ") for line in STORED.read_text().splitlines()]
    return {network: set(names.split()) for network, names in pairs}


def list_refused(kind):
    """What `xnb.lint` says of a network as it is now."""
    from zoo import ZOO, build_model

    from xnb import lint

    table = lint(build_model(kind), ZOO[kind].inputs())
    return table["reason"][~table["valid"]].to_dict()


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from zoo import ZOO

    lines = [f"{kind}: {' '.join(sorted(list_refused(kind)))}\n" for kind in ZOO]
    STORED.write_text("".join(lines))
