"""What the package and its tools write, each as two calls: what was there before, and what is then written.

Clocks stand still here, so that two runs which end well leave the same bytes.
"""

import json
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import matplotlib as mpl
import nbformat
import numpy as np
import torch
import zarr
from matplotlib import pyplot as plt
from PIL import Image
from pyarrow import parquet
from torch import nn

import xnb
from benchmarks.store import Results
from collection import jobs, runner, stamps
from reproduce import results, t1_blocks
from reproduce.verdicts import Measurement
from xnb import folders, storage
from xnb.comparison import cells, store
from xnb.data import Part
from xnb.data.download import download_file
from xnb.plot import figures
from xnb.training import loop, weight_folder

mpl.use("Agg")
cells.perf_counter = loop.perf_counter = lambda: 0.0
X = torch.arange(6 * 18.0).view(6, 2, 3, 3) / 100
PART = Part(X, torch.arange(6) % 3)
ENOUGH = 10**9
calls_left = [ENOUGH]  # until what runs here is interrupted, as somebody does who has waited too long
greedy = {"calls": 0, "from": ENOUGH}  # from which of its calls on a model asks for more memory than there is


class Writer(NamedTuple):
    """What is asked of the disk.

    Attributes:
        before: writes what lies in the folder beforehand.
        write: writes what is to be written into the folder; the next run is the same call.
        read: reads what is in the folder, whatever went wrong; what cannot be read is an error.
        passing: patterns of files that a run leaves only where it did not end.
        growing: patterns of files that have whole states between those before and after; `read` judges them.
    """

    before: Callable[[Path], object]
    write: Callable[[Path], object]
    read: Callable[[Path], object]
    passing: tuple[str, ...] = ()
    growing: tuple[str, ...] = ()


def interrupted(function, calls):
    """The function that is stopped in the call after so many of those that count."""

    def run(home):
        calls_left[0] = calls
        try:
            function(home)
        except KeyboardInterrupt:
            return
        finally:
            calls_left[0] = ENOUGH

    return run


def count_call():
    greedy["calls"] += 1
    if greedy["calls"] >= greedy["from"]:
        torch.empty(2**30, dtype=torch.uint8)
    calls_left[0] -= 1
    if calls_left[0] < 0:
        raise KeyboardInterrupt


def make_model():
    model = nn.Sequential(nn.Flatten(), nn.Linear(18, 3)).eval()
    with torch.no_grad():
        model[1].weight.copy_(torch.arange(54.0).view(3, 18) / 100)
        model[1].bias.zero_()
    return model


def store_tensors(value):
    return lambda home: storage.write_tensors(home / "net.safetensors", {"w": torch.full((99,), value)}, {"is": value})


def read_weights(home):
    return storage.read_tensors(home / "net.safetensors")


def store_facts(names):
    def run(home):
        for name in names:
            weight_folder.write_facts(home, name, {"accuracy": 0.5}, order="abc")

    return run


def objective(model, part):
    count_call()
    return loop.cross_entropy(model, part)


def train(home):
    knobs = {"folder": home / "run", "progress": False, "epochs": 3, "batch": 3, "objective": objective}
    return loop.fit(make_model(), PART, PART, **knobs)


def read_run(home):
    for name in ("best", "last"):
        path = home / "run" / f"{name}.safetensors"
        if path.exists():
            storage.load_weights(make_model(), path) if name == "best" else storage.read_tensors(path)


def own(model, x, target):
    count_call()
    return x


def total(model, x, target, attribution):
    return attribution.flatten(1).sum(1)


def compare(home, **knobs):
    path = home / "c.parquet"
    return xnb.compare(make_model(), PART, {"own": own}, {"total": total}, path=path, batch=3, **knobs)


def compare_in_shards(home):
    compare(home, shard="1/2")
    compare(home, shard="2/2")


def gather(home):
    store.gather(home / "c.parquet")


def read_comparison(home):
    for part in home.glob("c.parts/*.jsonl"):
        *whole, _ = part.read_text().split("\n")
        assert all(isinstance(json.loads(line), dict) for line in whole), part.name
    for path in home.glob("*.parquet"):
        parquet.read_table(path)


def explain_all(home):
    return xnb.attribute_data(make_model(), PART, own, home / "maps.zarr", batch=2)


def read_maps(home):
    path = home / "maps.zarr"
    if (path / "zarr.json").exists():
        group = zarr.open_group(path, mode="r")
        done = group["error"][:] == ""
        assert np.array_equal(group["attribution"][:][done], X.numpy()[done])


def draw(value):
    def run(home):
        os.environ["XNB_FIGURES"] = str(home)
        fig, ax = plt.subplots(figsize=(1, 1))
        ax.plot([0, value])
        figures.savefig(fig, "fig-99-1", {"line": [0, value]})
        plt.close(fig)

    return run


def read_figure(home):
    figures.read_figure(home / "fig-99-1.json")
    Image.open(home / "fig-99-1.png").load()
    assert (home / "fig-99-1.pdf").read_bytes().rstrip().endswith(b"%%EOF")


SOURCES = Path(os.environ.get("XNB_TRUST_SOURCES", "/nonexistent"))


def make_sources():
    """What is brought or copied in the calls below."""
    (SOURCES / "large").write_bytes(bytes(768_000))
    for part in ("train", "test"):
        for number in range(2):
            file = SOURCES / "pictures" / part / "cat" / f"{number}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (32, 32), (number, 2, 3)).save(file)


def bring(home):
    source = SOURCES / "large"
    return download_file(source.as_uri(), storage.sha256(source), home / "large")


def read_download(home):
    assert not (home / "large").exists() or (home / "large").read_bytes() == (SOURCES / "large").read_bytes()


def fill_cache(home):
    os.environ["XNB_CACHE"] = str(home)
    return xnb.data.cifar10(SOURCES / "pictures")


def read_cache(home):
    if (home / "CIFAR10").exists():
        assert len(xnb.data.image_folder(home / "CIFAR10").train) == 2


def publish(value):
    """A notebook that ran well, with its stamp and a figure."""

    def run(home):
        book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1", id="one")], metadata={"value": value})
        build = home / "build"
        job = jobs.Job(home / "99_a.ipynb", book, {}, "quick", build, home / "figures", home / "figures", str(value))
        runner.prepare_environment(job)
        with folders.replace_file(job.staging / "fig-99-1.txt") as draft:
            draft.write_text(f"figure {value}")
        runner._publish(job, book, SimpleNamespace(finish=lambda job, pictures: 1.0))
        tree = jobs.Tree(home)
        with folders.replace_file(tree.figures / "paper" / "fig-99-2.json") as draft:
            draft.touch()
        stamps.write_stamps(tree, {"fig-99-2": {"code": str(value)}})

    return run


def read_published(home):
    """Where a stamp says that the run is whole, it is."""
    stamp = home / "build" / "99_a.stamp.json"
    if stamp.exists():
        said = json.loads(stamp.read_text())
        for name, digest in said["files"].items():
            assert storage.sha256(home / "figures" / name) == digest
        assert nbformat.read(home / "build" / "99_a.ipynb", as_version=4).metadata["value"] == int(said["key"])
    json.loads((home / "figures" / "paper" / "manifest.json").read_text())


PUBLISHED = results.FOLDER / "published.toml"


def reproduce(value):
    def run(home):
        results.FOLDER = home
        if not (home / "published.toml").exists():
            (home / "published.toml").write_bytes(PUBLISHED.read_bytes())
        measured = {name: Measurement(value, 80.0, 99.0) for name in results.read_figures("T2")["accuracy"]}
        results.write_result("T2", {"accuracy": measured}, code=(), data=(), settings={}, facts={})

    return run


def lay_out_blocks(home):
    os.environ["XNB_CACHE"] = str(home)
    results.FOLDER = PUBLISHED.parent
    count, steps = t1_blocks.BLOCK, t1_blocks.STEPS - 1
    shape = (count, len(t1_blocks.PROTOCOLS), len(t1_blocks.MAPS), steps)
    block = t1_blocks.Block(np.ones(count, bool), np.ones(shape, bool))
    t1_blocks.lay_out_blocks(t1_blocks.pack_blocks({t1_blocks.NETWORKS[0]: block}))


def read_blocks(home):
    for file in home.rglob("*.npz"):
        assert t1_blocks._read_block(file).right.all()


def time_rows(value):
    return lambda home: Results(home / "results.json", "cpu", {"date": None}, {"row": {"seconds": value}}).write()


def read_json(name):
    return lambda home: json.loads((home / name).read_text())


PARTS = ("c.parts/*.jsonl", "c.parts")
WRITERS = {
    "weights": Writer(store_tensors(1.0), store_tensors(2.0), read_weights),
    "manifest of weights": Writer(store_facts("a"), store_facts("b"), weight_folder.read_facts),
    "training": Writer(interrupted(train, 3), train, read_run, growing=("run/*.safetensors",)),
    "comparison": Writer(interrupted(compare, 1), compare, read_comparison, PARTS),
    "comparison of shards": Writer(compare_in_shards, gather, read_comparison, PARTS),
    "attributions": Writer(interrupted(explain_all, 3), explain_all, read_maps),
    "figure": Writer(draw(1), draw(2), read_figure),
    "download": Writer(Path.exists, bring, read_download, ("large.part",)),
    "cache of pictures": Writer(Path.exists, fill_cache, read_cache),
    "executed notebook": Writer(publish(1), publish(2), read_published, ("build/staging/*",), ("*.stamp.json",)),
    "reproduced table": Writer(reproduce(90.0), reproduce(91.0), read_json("T2.json")),
    "reproduced blocks": Writer(Path.exists, lay_out_blocks, read_blocks),
    "benchmark": Writer(time_rows(1.0), time_rows(2.0), read_json("results.json")),
}
