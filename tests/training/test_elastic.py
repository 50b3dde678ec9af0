"""Training over several processes that may die: the weights of one process, and of an undisturbed run, to the bit.

The processes are real, as what is tested is what happens between them: each takes seconds to begin, as it imports
torch, so all studies without an accident are trained by two processes one after the other, and accidents share runs.

Tests: xnb.training.data_parallel, xnb.training.launching, xnb.training.run_files
"""

import shutil
import subprocess
import sys

import elastic_studies as studies
import psutil
import pytest
import torch
from elastic_runs import (
    ENVIRONMENT,
    HERE,
    PATIENCE,
    fit_alone,
    is_alive,
    largest_difference,
    read_rows,
    read_weights,
    same_bits,
    wait_until,
)

from xnb.training import cross_entropy, fit_elastic
from xnb.training.data_parallel import make_training
from xnb.training.elastic import run_worker
from xnb.training.loop import Run

ACCIDENTS = f"{HERE / 'elastic_studies.py'}:accidents"


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    """The folder in which two processes have trained every study."""
    folder = tmp_path_factory.mktemp("together")
    command = [sys.executable, str(HERE / "elastic_studies.py")]
    ranks = [subprocess.Popen([*command, rank, str(folder)], env=ENVIRONMENT) for rank in ("0", "1")]
    assert [rank.wait(PATIENCE) for rank in ranks] == [0, 0]
    return folder


@pytest.mark.parametrize("study", ["plain", "momentum", "unused", "shifted", "smooth", "double"])
def test_two_processes_take_the_steps_of_one(study, together):
    model, table = fit_alone(study)
    bar = 1e-13 if study == "double" else 1e-5
    assert largest_difference(model, read_weights(together / study)) < bar
    for row, alone in zip(read_rows(together / study), table.to_dict("records"), strict=True):
        assert (row["number"], row["train_accuracy"]) == (alone["number"], alone["train_accuracy"])
        assert row["valid_accuracy"] == alone["valid_accuracy"]
        assert (row["train_loss"], row["valid_loss"]) == pytest.approx((alone["train_loss"], alone["valid_loss"]))


@pytest.mark.parametrize("study", [study.__name__ for study in studies.LEARNED])
def test_all_processes_end_with_the_same_network(study, together):
    first, second = (read_weights(together / study, f"rank-{rank}.safetensors") for rank in (0, 1))
    assert same_bits(first, second)
    assert all(torch.equal(value, read_weights(together / study)[f"model.{name}"]) for name, value in first.items())


def test_batch_norm_and_dropout_learn_too(together):
    assert read_rows(together / "normed")[-1]["train_accuracy"] > 0.7
    assert int(read_weights(together / "normed")["model.1.num_batches_tracked"]) == 18


def test_a_loss_that_is_not_finite_is_refused_by_all_as_by_one(together):
    with pytest.raises(FloatingPointError) as alone:
        fit_alone("infinite")
    for rank in (0, 1):
        assert (together / "infinite" / f"refusal-{rank}.txt").read_text() == f"FloatingPointError: {alone.value}"


def test_processes_that_see_other_data_are_refused(together):
    for rank in (0, 1):
        message = (together / "different" / f"refusal-{rank}.txt").read_text()
        assert message.startswith("ValueError: train: all processes must make the same study")
        assert "got: {'labels': " in message
    assert not (together / "different" / "last.safetensors").exists()


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """The folder of a run that was killed in its second epoch, with its first process, and where others listened."""
    place = tmp_path_factory.mktemp("killed")
    (place / "wait").touch()
    code = "import sys, pathlib, xnb.training as t; t.fit_elastic(sys.argv[1], pathlib.Path(sys.argv[2]))"
    command = [sys.executable, "-c", code, ACCIDENTS, str(place / "out")]
    caller = subprocess.Popen(command, env=ENVIRONMENT | {"ACCIDENTS": str(place), "TMPDIR": str(place)})
    try:
        wait_until(lambda: (place / "waits-0").exists() and (place / "waits-1").exists())
        started = psutil.Process(caller.pid).children(recursive=True)
        listening = [connection.laddr.ip for process in started for connection in list_listening(process)]
    finally:
        caller.kill()
        caller.wait()
    wait_until(lambda: not any(is_alive(process) for process in started))
    return place / "out", listening


def list_listening(process):
    return [one for one in process.net_connections("inet") if one.status == psutil.CONN_LISTEN]


def test_nothing_listens_beyond_this_machine(killed):
    """Nor goes on when who started it has gone: the fixture waits for that."""
    _, listening = killed
    assert listening
    assert set(listening) <= {"127.0.0.1", "::1"}


@pytest.fixture
def stopped(killed, tmp_path, monkeypatch):
    """A copy of that folder, after one epoch."""
    monkeypatch.setenv("ACCIDENTS", str(tmp_path))
    return shutil.copytree(killed[0], tmp_path / "out")


def test_after_everything_was_killed_and_then_a_worker_not_a_bit_differs(stopped, together, capfd):
    assert len(read_rows(stopped)) == 1
    accident = stopped.parent / "kill"
    accident.touch()
    table = fit_elastic(ACCIDENTS, stopped)
    assert not accident.exists()
    assert list(table["number"]) == [1, 2, 3]
    out, err = capfd.readouterr()
    assert out == ""
    assert "accuracy" in err
    for name in ("last.safetensors", "best.safetensors"):
        assert same_bits(read_weights(stopped, name), read_weights(together / "plain", name))
    undisturbed = read_rows(together / "plain")
    for row in [*undisturbed, *table.to_dict("records")]:
        del row["seconds"]
    assert table.drop(columns="seconds").to_dict("records") == undisturbed


def test_one_process_goes_on_where_two_ended_and_fit_too(stopped, tmp_path):
    alone = shutil.copytree(stopped, tmp_path / "alone")
    fit_elastic(ACCIDENTS, stopped, workers=1, progress=False)
    _, table = fit_alone("plain", folder=alone)
    assert len(table) == 3
    assert same_bits(read_weights(stopped), read_weights(alone))
    undisturbed, _ = fit_alone("plain")
    assert largest_difference(undisturbed, read_weights(stopped)) < 1e-5
    # all is done: nothing is started, and the table is that of the file
    (alone / "workers.log").unlink()
    assert fit_elastic(ACCIDENTS, alone).equals(table)
    assert not (alone / "workers.log").exists()


def test_refusals_of_workers_are_those_of_fit(tmp_path):
    with pytest.raises(FloatingPointError) as alone:
        fit_alone("infinite")
    with pytest.raises(FloatingPointError) as refusal:
        fit_elastic("elastic_studies:infinite", tmp_path / "out", workers=1, progress=False)
    assert str(refusal.value) == str(alone.value)


def test_other_errors_of_workers_come_out_when_no_restart_is_left(tmp_path, capsys):
    with pytest.raises(RuntimeError, match=r"end within max_restarts") as refusal:
        fit_elastic("elastic_studies:broken", tmp_path / "out", workers=1, max_restarts=0, progress=False)
    _, got, line = str(refusal.value).split("\n")
    assert "KeyError: 'no such column'" in got
    exec(line.removeprefix("  try: "))
    assert 'raise KeyError("no such column")' in capsys.readouterr().out


def test_what_cannot_begin_is_refused_before_anything_is_started(tmp_path, monkeypatch):
    for study in ("nowhere.py:make", "elastic_studies:nothing", "elastic_studies:draw_parts", "elastic_studies"):
        with pytest.raises(ValueError, match=r"^study: .*\n  got: .*\n  try: "):
            fit_elastic(study, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    monkeypatch.delenv("RANK", raising=False)
    with pytest.raises(ValueError, match=r"torchrun must start the workers.*\n  got: \['RANK', 'TORCH_DISABLE_SHARE"):
        run_worker(["elastic_studies:plain", "--folder", str(tmp_path / "out")])


@pytest.mark.parametrize(("study", "same"), [("plain", True), ("normed", False)])
def test_each_process_draws_its_own_dropout_and_all_have_one_order(study, same):
    ends = []
    for rank in (0, 1):
        training = make_training(f"elastic_studies:{study}")
        optimizer = training.optimizer(training.model.parameters())
        parts = (training.train, training.valid)
        run = Run(training.model, *parts, optimizer, 33, None, 0, 1, cross_entropy, None, rank=rank)
        list(run.yield_epochs(0))
        ends.append(training.model.state_dict())
    assert same_bits(*ends) == same
