"""The loop: learning, seeds, interruptions, and runs that are resumed.

Tests: xnb.training.run_files
"""

import signal
import subprocess
import sys
import textwrap
from functools import partial

import pytest
import torch
from torch import nn
from torch.optim import SGD, AdamW
from torch.utils.data import DataLoader, TensorDataset

import xnb
from xnb import attribute
from xnb.data.split import Part, Split
from xnb.storage import read_tensors
from xnb.training.loop import cosine, evaluate, fit, train_epochs, warmup_cosine


@pytest.fixture
def parts():
    """Class 1 where the first pixel is positive."""
    x = torch.randn(256, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    y = (x[:, 0, 0, 0] > 0).long()
    return Part(x[:192], y[:192]), Part(x[192:], y[192:])


def fresh():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Flatten(), nn.Linear(16, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 2)
        )


def weights(model):
    return torch.cat([value.double().flatten() for value in model.state_dict().values()])


def test_learns_and_can_be_explained_at_every_yield(parts):
    model, (train, valid) = fresh(), parts
    share, accuracy, x, target = [], [], valid.x[:8], torch.ones(8, dtype=torch.long)
    for epoch in train_epochs(model, train, valid, epochs=8, optimizer=AdamW(model.parameters(), lr=1e-2), batch=32):
        a = attribute(model, x, target, "gradient")
        accuracy.append(epoch.valid_accuracy)
        share.append(float(a[:, 0, 0, 0].abs().mean() / a.abs().mean()))
    assert accuracy[-1] > 0.9
    assert share[-1] > 3 > share[0]
    assert all(p.grad is None for p in model.parameters())


def test_same_seed_same_run_and_global_random_state_is_left_alone(parts):
    before, ends = torch.get_rng_state(), []
    for seed in (0, 0, 1):
        model = fresh()
        list(train_epochs(model, *parts, epochs=2, seed=seed))
        ends.append(weights(model))
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(ends[0], ends[1])
    assert not torch.equal(ends[0], ends[2])


def test_evaluate_by_hand(parts):
    model, (_, valid) = fresh().eval(), parts
    loss, accuracy = evaluate(model, valid)
    with torch.no_grad():
        p = model(valid.x).softmax(1)[range(64), valid.y]
    assert loss == pytest.approx(float(-p.log().mean()), rel=1e-5)
    assert accuracy == float((p > 0.5).double().mean())


def test_diverged_run_names_epoch_and_batch(parts):
    train, valid = parts
    poisoned = Part(train.x.clone(), train.y)
    poisoned.x[100] = torch.inf
    with pytest.raises(
        FloatingPointError, match=r"in epoch 1, batch [1-6]\n  got: nan\n  try: optimizer=torch.optim.AdamW"
    ):
        list(train_epochs(fresh(), poisoned, valid, epochs=3, batch=32))


def test_interrupted_run_leaves_a_usable_model(parts):
    model, (train, valid) = fresh(), parts
    model.append(nn.Identity())
    calls = []

    def interrupt(progress):
        calls.append(progress)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return 1.0

    with pytest.raises(KeyboardInterrupt):
        fit(model, train, valid, batch=32, schedule=interrupt, progress=False)
    assert not any(module.training for module in model.modules())
    assert all(p.grad is None for p in model.parameters())
    evaluate(model, valid)


@pytest.mark.parametrize("make", [AdamW, partial(SGD, lr=0.1, momentum=0.9), partial(SGD, lr=0.1)])
def test_resumed_run_is_bit_identical(make, parts, tmp_path):
    once = fresh()
    whole = fit(once, *parts, epochs=5, optimizer=make(once.parameters()), schedule=cosine, progress=False, batch=32)

    def stop(progress):
        if progress > 0.5:
            raise KeyboardInterrupt
        return cosine(progress)

    stop.__name__ = "cosine"
    twice = fresh()
    knobs = {"epochs": 5, "progress": False, "batch": 32, "folder": tmp_path}
    with pytest.raises(KeyboardInterrupt):
        fit(twice, *parts, optimizer=make(twice.parameters()), schedule=stop, **knobs)
    again = fresh()
    history = fit(again, *parts, optimizer=make(again.parameters()), schedule=cosine, **knobs)
    assert torch.equal(weights(again), weights(once))
    assert history.drop(columns="seconds").equals(whole.drop(columns="seconds"))
    assert len(history) == 5


KILLED = """
    import os, sys, torch
    from pathlib import Path
    sys.path.insert(0, {tests!r})
    import test_loop as t
    from xnb.data.split import Part
    x = torch.randn(256, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    y = (x[:, 0, 0, 0] > 0).long()
    def cosine(progress):
        if progress > 0.5 and {die}:
            os.kill(os.getpid(), 9)
        return t.cosine(progress)
    model = t.fresh()
    t.fit(model, Part(x[:192], y[:192]), Part(x[192:], y[192:]), epochs=5, batch=32, schedule=cosine,
          progress=False, folder=Path({folder!r}))
"""


def test_kill_9_then_resume_ends_with_identical_files(tmp_path, request):
    def go(folder, *, die):
        code = textwrap.dedent(KILLED.format(tests=str(request.path.parent), die=die, folder=str(folder)))
        return subprocess.run([sys.executable, "-c", code], check=False).returncode

    assert go(tmp_path / "killed", die=True) == -signal.SIGKILL
    assert len(read_tensors(tmp_path / "killed" / "last.safetensors")[1]["epochs"]) == 2
    assert go(tmp_path / "killed", die=False) == 0
    assert go(tmp_path / "whole", die=False) == 0
    for name in ("last.safetensors", "best.safetensors"):
        (a, facts_a), (b, facts_b) = read_tensors(tmp_path / "killed" / name), read_tensors(tmp_path / "whole" / name)
        assert a.keys() == b.keys()
        assert all(torch.equal(a[key], b[key]) for key in a)
        assert len(facts_a["epochs"]) == len(facts_b["epochs"])


def test_best_file_holds_the_epoch_with_the_highest_accuracy(parts, tmp_path):
    model = fresh()
    history = fit(model, *parts, epochs=6, folder=tmp_path, progress=False)
    tensors, facts = read_tensors(tmp_path / "best.safetensors")
    model.load_state_dict(tensors)
    assert facts["epochs"][-1]["number"] == history["number"][history["valid_accuracy"].idxmax()]
    assert evaluate(model, parts[1])[1] == history["valid_accuracy"].max()


def test_files_of_earlier_runs_can_go_on(parts, tmp_path):
    """They hold these settings, under these names."""
    fit(fresh(), *parts, epochs=2, folder=tmp_path, progress=False, batch=96, schedule=cosine)
    settings = read_tensors(tmp_path / "last.safetensors")[1]["settings"]
    assert settings.keys() == {"count", "train", "optimizer", "knobs"}
    assert (settings["count"], settings["knobs"]) == (2, "batch=96, schedule=cosine")


def test_other_settings_in_the_folder_are_refused(parts, tmp_path):
    model = fresh()
    fit(model, *parts, epochs=1, folder=tmp_path, progress=False)
    with pytest.raises(ValueError, match="holds a run with other settings"):
        fit(model, *parts, epochs=1, folder=tmp_path, progress=False, seed=1)


def test_cosine():
    assert [cosine(p) for p in (0.0, 0.5, 1.0)] == pytest.approx([1, 0.5, 0])


def test_warmup_rises_for_a_tenth_and_is_cosine_then():
    assert [warmup_cosine(p) for p in (0.0, 0.05, 0.1, 0.5, 1.0)] == pytest.approx(
        [0, cosine(0.05) / 2, cosine(0.1), 0.5, 0]
    )


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_follows_the_model_to_its_device(parts):
    model = fresh().cuda()
    assert list(train_epochs(model, *parts, epochs=8, batch=32))[-1].valid_accuracy > 0.8


@pytest.mark.usefixtures("as_users_run")
@pytest.mark.parametrize("wrong", ["train.x", "(train.x, train.y)", "Split(train, train, ())", "DataLoader(pairs)"])
@pytest.mark.parametrize("call", ["next(train_epochs(net, train, train))", "fit(net, train, train, epochs=1)"])
def test_what_is_no_part_is_told_how_to_become_one(wrong, call, parts):
    """The lines of refusals give the very numbers that a part gives."""
    part = parts[0]
    names = {"xnb": xnb, "torch": torch, "net": fresh(), "train": part, "x": part.x, "y": part.y}
    names |= {"Split": Split, "DataLoader": DataLoader, "pairs": TensorDataset(part.x, part.y)}
    names |= {"train_epochs": train_epochs, "fit": partial(fit, progress=False)}
    names["train"] = eval(wrong, names)
    with pytest.raises(ValueError, match="train: train must be a part of a data set") as refusal:
        eval(call, names)
    exec(str(refusal.value).split("try: ")[1], names)
    assert torch.equal(names["train"].x, part.x)
    assert torch.equal(names["train"].y, part.y)


@pytest.mark.usefixtures("as_users_run")
@pytest.mark.parametrize("model", [lambda x: x, nn.Flatten(), None])
def test_what_cannot_be_trained_is_refused(model, parts):
    calls = lambda: next(train_epochs(model, *parts)), lambda: fit(model, *parts), lambda: evaluate(model, parts[0])
    for call in calls:
        with pytest.raises(ValueError, match=r"must be a torch.nn.Module with parameters") as refusal:
            call()
    names = {"xnb": xnb, "x": parts[0].x}
    exec(str(refusal.value).split("try: ")[1], names)
    assert evaluate(names["model"].eval(), parts[0]).loss > 0
