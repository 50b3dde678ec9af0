"""One run of `benchmarks.scaling` in a process of its own: what it took stands on its last line, as JSON."""

import json
import sys
from hashlib import sha256
from pathlib import Path
from time import perf_counter, time

import torch
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.models import resnet50

import xnb
from benchmarks.costs import EIGHT, photograph
from xnb import checkpoints, data
from xnb.access.memory import measure_peak_memory
from xnb.comparison import estimate_cost
from xnb.comparison.store import Store
from xnb.comparison.sweep import run_comparison
from xnb.data import Streamed
from xnb.explanation import attribute_data
from xnb.scale.dask_tasks import start_workers


class NoisePictures(Dataset):
    """As many pictures of noise as are asked for, each made when it is read."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, position: int) -> tuple[Tensor, int]:
        generator = torch.Generator().manual_seed(position)
        return torch.rand(3, 32, 32, generator=generator), position % 6


STEPS = 3  # of a curve, from the whole picture to none: few, and such as Quantus takes with three channels
SWEEP = {
    "methods": ["gradient", "integrated_gradients", "deep_lift"],
    "metrics": ["srg"],
    "knobs": {"srg": {"steps": STEPS}, "integrated_gradients": {"steps": 16}},
    "batch": 50,
}
LIGHT = {"methods": ["gradient"], "metrics": ["effective_support"], "batch": 50}
WORKLOADS = {
    "pixels, four metrics": {"methods": ["gradient", "occlusion"], "batch": 16},
    "sampling": {"methods": ["smoothgrad", "kernel_shap"], "metrics": ["srg"], "batch": 16},
    "stability": {"methods": ["lrp", "grad_cam"], "metrics": ["max_sensitivity", "road"], "batch": 16},
}


def main() -> None:
    """Run what the first argument, as JSON, asks for."""
    ask = json.loads(sys.argv[1])
    torch.set_num_threads(ask.get("threads", 1))
    found = RUNS[ask["run"]](ask)
    found["started"] = found.pop("began") - ask["asked"]
    sys.stdout.write(json.dumps(found) + "\n")


def run_sweep(ask: dict) -> dict:
    """Compare rendered shapes: here, by workers, or a shard of them."""
    part = data.shapes(n=(0, ask["pictures"]), seed=1).test
    model = checkpoints.load("smallcnn-shapes")
    path = Path(ask["folder"]) / f"{ask['name']}.parquet"
    workers = ask.get("workers", 0)
    if workers:
        with start_workers(workers) as client:
            client.run(_warm_up)
            began, start = time(), perf_counter()
            run_comparison(model, part, **SWEEP, path=path, client=client)
            seconds = perf_counter() - start
    else:
        _warm_up()
        began, start = time(), perf_counter()
        run_comparison(model, part, **SWEEP, path=path, shard=ask.get("shard"))
        seconds = perf_counter() - start
    digest = sha256(path.read_bytes()).hexdigest() if path.exists() else ""
    return {"began": began, "seconds": seconds, "sha256": digest}


def _warm_up() -> None:
    """Load all that the first block would: what is left is the work."""
    part = data.shapes(n=(0, 2), seed=2).test
    run_comparison(checkpoints.load("smallcnn-shapes"), part, **SWEEP)


def run_streamed(ask: dict) -> dict:
    """Compare noise pictures that are read as they are needed; memory, and seconds of the first and last blocks."""
    model = checkpoints.load("smallcnn-shapes")
    folder = Path(ask["folder"])
    run_comparison(model, Streamed(NoisePictures(100)), **LIGHT, path=folder / "warm.parquet")
    ends: list[float] = []
    plain = Store.add

    def add(store: Store, rows: list) -> None:
        plain(store, rows)
        ends.append(perf_counter())

    Store.add = add  # type: ignore[method-assign]
    began, start = time(), perf_counter()
    with measure_peak_memory(torch.device("cpu")) as peak:
        run_comparison(model, Streamed(NoisePictures(ask["pictures"])), **LIGHT, path=folder / "t.parquet")
    seconds = perf_counter() - start
    blocks = -(-ask["pictures"] // LIGHT["batch"])
    block_ends = ends[len(ends) // blocks - 1 :: len(ends) // blocks]
    few = block_ends[:10], block_ends[-10:]
    first, last = ((group[-1] - group[0]) / max(len(group) - 1, 1) for group in few)
    return {
        "began": began,
        "seconds": seconds,
        "mib": peak.mib,
        "blocks": blocks,
        "first block": first,
        "last block": last,
    }


def run_attributions(ask: dict) -> dict:
    """Explain noise pictures into a store on disk."""
    model = checkpoints.load("smallcnn-shapes")
    folder = Path(ask["folder"])
    attribute_data(model, Streamed(NoisePictures(100)), "gradient", folder / "warm")
    began, start = time(), perf_counter()
    with measure_peak_memory(torch.device("cpu")) as peak:
        attribute_data(model, Streamed(NoisePictures(ask["pictures"])), "gradient", folder / "maps")
    return {"began": began, "seconds": perf_counter() - start, "mib": peak.mib}


def run_cost(ask: dict) -> dict:
    """Say what a comparison will cost, and then run it."""
    part = data.shapes(n=(0, ask["pictures"]), seed=1).test
    model = checkpoints.load("smallcnn-shapes")
    settings = WORKLOADS[ask["workload"]]
    began = time()
    cost = estimate_cost(model, part, **settings)
    start = perf_counter()
    run_comparison(model, part, **settings)
    seconds = perf_counter() - start
    return {"began": began, "predicted": cost.seconds, "seconds": seconds}


def run_methods(ask: dict) -> dict:
    """Seconds of a thousand explanations by each method, from those of a few."""
    count = ask["pictures"]
    x = data.shapes(n=(0, count), seed=1).test.x
    model = xnb.prepare(checkpoints.load("smallcnn-shapes"))
    target = model(x).argmax(1)
    began = time()
    found: dict[str, float] = {}
    for name in ask["methods"]:
        xnb.attribute(model, x[:2], target[:2], name)
        start = perf_counter()
        xnb.attribute(model, x, target, name)
        found[name] = (perf_counter() - start) * 1000 / count
    return {"began": began, "thousand": found}


def run_photograph(ask: dict) -> dict:
    """Seconds of eight methods on one photograph with a ResNet-50 of random weights: of all at once, and of each."""
    net = resnet50().eval()
    x = photograph(ask["side"])
    target = net(x).argmax(1)
    began, start = time(), perf_counter()
    xnb.explain(net, x, target, EIGHT)
    seconds = perf_counter() - start
    each: dict[str, float] = {}
    for name in EIGHT:
        start = perf_counter()
        xnb.attribute(net, x, target, name)
        each[name] = perf_counter() - start
    return {"began": began, "seconds": seconds, "methods": each}


def run_peers(ask: dict) -> dict:
    """The same maps, and both curves of removal of each, by Captum and Quantus: the class that is predicted."""
    from benchmarks.tables import sweep_by_peers  # seconds to load, which are none of ours

    x = data.shapes(n=(0, ask["pictures"]), seed=1).test.x
    model = checkpoints.load("smallcnn-shapes")
    began, start = time(), perf_counter()
    for part in x.split(SWEEP["batch"]):
        sweep_by_peers(model, part, model(part).argmax(1), STEPS)
    return {"began": began, "seconds": perf_counter() - start}


RUNS = {
    "sweep": run_sweep,
    "streamed": run_streamed,
    "attributions": run_attributions,
    "cost": run_cost,
    "methods": run_methods,
    "photograph": run_photograph,
    "peers": run_peers,
}

if __name__ == "__main__":
    main()
