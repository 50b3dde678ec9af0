"""Maps of a whole data set on disk are those of `attribute`, whatever one input is like."""

import warnings

import numpy as np
import pytest
import torch
import zarr
from counted_methods import count_lines, noted, zeros
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

import xnb
from xnb import progress
from xnb.check import PromiseWarning, refuse
from xnb.data import Part, Streamed

COUNT = 11
X = torch.randn(COUNT, 2, 6, 6, dtype=torch.double, generator=torch.Generator().manual_seed(1))
Y = torch.arange(COUNT) % 3
PART = Part(X, Y)
METHODS = {
    "gradient": {},
    "grad_cam": {},  # one value for both channels
    "integrated_gradients": {"steps": 16, "baseline": "zero"},
    "occlusion": {"window": 3, "stride": 3},
    "rise": {"samples": 40, "cells": 2},  # draws
    "random": {},
}


class Broken(Dataset):
    """Some inputs cannot be read."""

    def __init__(self, broken):
        self.broken = broken

    def __len__(self):
        return COUNT

    def __getitem__(self, position):
        if position in self.broken:
            raise OSError(f"cannot identify {object()}, picture {position}")
        return X[position], int(Y[position])


@pytest.mark.parametrize("batch", [1, 4, 64])
@pytest.mark.parametrize("method", METHODS)
def test_maps_are_those_of_attribute(method, batch, model, tmp_path):
    store = xnb.attribute_data(model, PART, method, tmp_path / "m.zarr", target=Y, knobs=METHODS[method], batch=batch)
    expected = xnb.attribute(model, X, Y, method, **METHODS[method])
    for start in range(0, COUNT, batch):
        rows = slice(start, start + batch)
        torch.testing.assert_close(torch.from_numpy(store["attribution"][rows]), expected[rows], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(store["logit"][:], model(X).detach().gather(1, Y[:, None]).squeeze(1), rtol=1e-12)
    assert store["target"][:].tolist() == Y.tolist()
    assert (store["error"][:] == "").all()


@pytest.mark.parametrize("data", [TensorDataset(X, Y), DataLoader(TensorDataset(X, Y), 3, shuffle=True)])
def test_streamed_data_have_the_maps_of_data_in_memory(data, model, tmp_path):
    streamed = xnb.attribute_data(model, data, "gradient", tmp_path / "s.zarr", batch=4)
    held = xnb.attribute_data(model, PART, "gradient", tmp_path / "h.zarr", batch=4)
    for name in ("attribution", "target", "logit", "error"):
        assert np.array_equal(streamed[name][:], held[name][:])


def test_what_belongs_to_an_input_follows_it(model, tmp_path):
    """A baseline an input, in blocks: the rows are those of the data."""
    knobs = {"baseline": X.flip(0), "steps": 8}
    store = xnb.attribute_data(model, PART, "integrated_gradients", tmp_path / "m", target=0, knobs=knobs, batch=4)
    expected = xnb.attribute(model, X, 0, "integrated_gradients", **knobs)
    np.testing.assert_allclose(store["attribution"][:], expected, rtol=1e-9, atol=1e-12)


def test_the_predicted_class_is_explained_unless_another_is_named(model, tmp_path):
    store = xnb.attribute_data(model, PART, "gradient", tmp_path / "m.zarr")
    assert store["target"][:].tolist() == model(X).argmax(1).tolist()
    one = xnb.attribute_data(model, PART, "gradient", tmp_path / "one.zarr", target=2)
    assert set(one["target"][:].tolist()) == {2}


def test_a_function_of_ones_own_has_knobs(model, tmp_path):
    knobs = {"log": str(tmp_path / "log")}
    store = xnb.attribute_data(model, PART, noted, tmp_path / "m.zarr", target=Y, knobs=knobs, batch=4)
    assert np.array_equal(store["attribution"][:], X * (Y.view(-1, 1, 1, 1) + 1))
    with pytest.raises(ValueError, match="no knob of that name"):
        xnb.attribute_data(model, PART, noted, tmp_path / "n.zarr", knobs={"logs": ""})


@pytest.mark.parametrize("dtype", ["float32", torch.float16])
def test_maps_are_stored_in_the_precision_that_is_asked_for(dtype, model, tmp_path):
    store = xnb.attribute_data(model, PART, "gradient", tmp_path / "m.zarr", target=Y, dtype=dtype)
    name = str(dtype).removeprefix("torch.")
    expected = xnb.attribute(model, X, Y, "gradient").to(getattr(torch, name))
    assert np.array_equal(store["attribution"][:], expected)
    assert store["attribution"].dtype == name


def test_a_map_that_does_not_fit_is_no_infinity(tmp_path):
    """The gradient of the last class is 1e5: past the largest number of half precision."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(72, 3, bias=False)).double().eval()
    nn.init.ones_(net[1].weight)
    with torch.no_grad():
        net[1].weight[2] = 1e5
    store = xnb.attribute_data(net, PART, "gradient", tmp_path / "m.zarr", target=Y, dtype="float16")
    failed = store["error"][:] != ""
    assert failed.tolist() == (Y == 2).tolist()
    assert "maps must fit torch.float16" in store["error"][:][2]
    assert np.isnan(store["attribution"][2]).all()


def test_bfloat16_is_stored_as_float32(model, tmp_path):
    part = Part(X.bfloat16(), Y)
    store = xnb.attribute_data(model.bfloat16(), part, "gradient", tmp_path / "m.zarr", target=Y)
    assert np.array_equal(store["attribution"][:], xnb.attribute(model, part.x, Y, "gradient").float())


def test_finished_blocks_are_not_run_again_even_of_zeros(model, tmp_path, monkeypatch):
    store = xnb.attribute_data(model, PART, zeros, tmp_path / "m.zarr", batch=4)
    assert not store["attribution"][:].any()
    monkeypatch.setattr("counted_methods.zeros.__code__", (lambda model, x, target: 1 / 0).__code__)
    again = xnb.attribute_data(model, PART, zeros, tmp_path / "m.zarr", batch=4)
    assert again["attribution"].nchunks_initialized == again["attribution"].nchunks == 3


def test_inputs_that_cannot_be_read_have_their_reason(model, tmp_path):
    """Of the third block none can be read."""
    data = Streamed(Broken({3, 8, 9, 10}))
    store = xnb.attribute_data(model, data, "gradient", tmp_path / "m.zarr", batch=4)
    named = xnb.attribute_data(model, data, "gradient", tmp_path / "named.zarr", batch=4, target=Y)
    error = store["error"][:]
    assert np.flatnonzero(error != "").tolist() == [3, 8, 9, 10]
    # the address of the object would be another each time
    assert error[3] == "OSError: cannot identify <object object>, picture 3"
    maps = torch.from_numpy(store["attribution"][:])
    assert maps.isnan().flatten(1).all(1).tolist() == (error != "").tolist()
    assert (store["target"][:] == -1).tolist() == np.isnan(store["logit"][:]).tolist() == (error != "").tolist()
    assert named["target"][:].tolist() == Y.tolist()
    expected = xnb.attribute(model, X[4:8], model(X[4:8]).argmax(1), "gradient")
    torch.testing.assert_close(maps[4:8], expected)


def test_an_input_that_is_refused_leaves_the_others(model, tmp_path):
    def picky(model, x, target):
        if (x == X[5]).all(3).all(2).all(1).any():
            refuse("picky: no such input", "this one", "another")
        return x

    store = xnb.attribute_data(model, PART, picky, tmp_path / "m.zarr", batch=4)
    assert np.flatnonzero(store["error"][:] != "").tolist() == [5]
    assert store["error"][:][5].startswith("ValueError: picky: no such input\n  got: ")
    assert np.array_equal(store["attribution"][6:], X[6:])


def test_what_is_refused_from_the_start_leaves_no_store(model, tmp_path):
    with pytest.raises(ValueError, match="legrad: the model must be a Transformer"):
        xnb.attribute_data(model, PART, "legrad", tmp_path / "m.zarr")
    assert list(tmp_path.iterdir()) == []


def test_any_other_error_ends_the_run_and_the_same_call_goes_on(model, tmp_path):
    """The end of memory is no property of an input; an interrupt is none either."""
    log = tmp_path / "log"
    ends = [KeyboardInterrupt, torch.OutOfMemoryError]

    def fails(model, x, target):
        if log.exists() and count_lines(log) > 4 and ends:
            raise ends.pop()
        return noted(model, x, target, log=log)

    for error in (torch.OutOfMemoryError, KeyboardInterrupt):
        with pytest.raises(error):
            xnb.attribute_data(model, PART, fails, tmp_path / "m.zarr", batch=4)
        waiting = zarr.open_group(tmp_path / "m.zarr", mode="r")["error"][:] == "not explained yet"
        assert waiting.tolist() == [False] * 4 + [True] * 7
    store = xnb.attribute_data(model, PART, fails, tmp_path / "m.zarr", batch=4)
    assert (store["error"][:] == "").all()
    # each input once, and with the first of all the form of maps is tried, once a call; the second died in the trial
    assert count_lines(log) == COUNT + 2


def test_a_broken_promise_is_told_once(tmp_path):
    """One step does not follow a curve: each block breaks the promise."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        bent = nn.Sequential(nn.Flatten(), nn.Linear(72, 8), nn.Tanh(), nn.Linear(8, 3)).double().eval()
    part, path = Part(3 * X, Y), tmp_path / "m.zarr"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        xnb.attribute_data(bent, part, "integrated_gradients", path, target=0, knobs={"steps": 1}, batch=2)
    assert [warning.category for warning in caught] == [PromiseWarning]
    assert "its sum misses the change of score" in str(caught[0].message)


def test_many_passes_are_announced_for_all_inputs_once(model, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(progress, "PATIENCE_SECONDS", 1000)
    knobs = {"samples": 1200, "cells": 2}
    xnb.attribute_data(model, PART, "rise", tmp_path / "m.zarr", knobs=knobs, batch=4)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("attribute_data: 1,20")
    assert line.endswith(" passes of each of 11 inputs")
