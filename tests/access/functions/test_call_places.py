"""Compiled code shows no layers, and a refusal says how to take it out."""

import pytest
import torch
from torch import nn

from xnb.access.functions.call_places import uncompile_around


@pytest.mark.parametrize(("part", "layer"), [(False, "_orig_mod.0.0"), (True, "0._orig_mod.0")])
def test_the_line_takes_out_the_compiled_code_around_a_layer(part, layer):
    inner = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU())
    model = nn.Sequential(inner, nn.Flatten(), nn.Linear(32, 2))
    if part:
        model[0] = torch.compile(inner, backend="eager")
    else:
        model = torch.compile(model, backend="eager")
    line = uncompile_around(model, layer)
    assert line.endswith("# compiled code shows no layers")
    names = {"model": model}
    exec(line, names)
    assert names["model"].get_submodule("0.0") is inner[0]
    assert uncompile_around(names["model"], "0.0") == ""


def test_compiled_code_beside_a_layer_hides_nothing():
    model = nn.Sequential(nn.Linear(2, 2), torch.compile(nn.Linear(2, 2), backend="eager"))
    assert uncompile_around(model, "0") == ""
    assert uncompile_around(model, "1") != ""
