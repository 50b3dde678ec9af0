"""What a network is made of: its parameters and work, module by module, and how much of the input a layer sees."""

from xnb.summary.parameters import (
    COLUMNS as COLUMNS,
    count as count,
    edges as edges,
    from_json as from_json,
    layers as layers,
    to_json as to_json,
)
