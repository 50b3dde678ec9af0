"""What a network is made of: its parameters and work, module by module, and how much of the input a layer sees."""

from xnb.summary.connections import list_edges as list_edges
from xnb.summary.filters import correlate_neighbours as correlate_neighbours
from xnb.summary.memory import count_memory as count_memory
from xnb.summary.parameters import (
    COLUMNS as COLUMNS,
    count_parameters as count_parameters,
    from_json as from_json,
    module_table as module_table,
    to_json as to_json,
)
