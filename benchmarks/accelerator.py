"""Absolute times on an accelerator: `python -m benchmarks.accelerator` measures methods there, in two precisions.

For each method, network and number of inputs: milliseconds an explanation, the most memory of a call, and how far maps
in mixed precision lie from those in float32. It writes `accelerator.json` after every row.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from statistics import median

import torch
from torch import Tensor, nn
from torchvision.models import resnet50
from tqdm import tqdm

import xnb
from benchmarks.clock import Clock, peak_mib
from xnb.comparison.form_error import compare_maps
from xnb.folders import replace_file
from xnb.models import SmallCNN
from xnb.training.machine import describe_machine

STORED = Path(__file__).parent / "accelerator.json"
METHODS = (
    "gradient",
    "gradient_times_input",
    "integrated_gradients",
    "smoothgrad",
    "guided_backprop",
    "lrp",
    "grad_cam",
    "occlusion",
    "rise",
    "kernel_shap",
)
BATCHES = (1, 32)
ROUNDS = 5
QUICK_METHODS = ("gradient", "occlusion")
FORMS = {"float32": False, "mixed precision": True}


@dataclass(frozen=True)
class Network:
    """A network with seeded random weights, and the side of its pictures."""

    make: Callable[[], nn.Module]
    side: int


NETWORKS = {"ResNet-50": Network(resnet50, 224), "small CNN": Network(SmallCNN, 32)}
QUICK_NETWORKS = {"small CNN": Network(partial(SmallCNN, widths=(4, 6, 8)), 16)}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and store what was found; where no accelerator is there, say so."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accelerator", description=__doc__.splitlines()[0])
    parser.add_argument("--device", help="cuda, cuda:1 or mps; by default the accelerator that torch finds")
    parser.add_argument("--quick", action="store_true", help="two methods, a tiny network, one round; also on the cpu")
    parser.add_argument("--output", type=Path, default=STORED)
    options = parser.parse_args(arguments)
    device = options.device or find_accelerator()
    if device is None or (device == "cpu" and not options.quick):
        sys.stdout.write("no accelerator is there; --device cpu --quick tries the program on the processor\n")
        return 1
    conditions = {"date": datetime.now(UTC).date().isoformat(), "machine": describe_machine(torch.device(device))}
    conditions |= {"device": name_device(device), "torch": torch.__version__, "quick": options.quick}
    rows: list[dict] = []
    for row in measure_rows(device, quick=options.quick):
        rows.append(row)
        with replace_file(options.output) as draft:
            draft.write_text(json.dumps({"conditions": conditions, "rows": rows}, indent=1) + "\n")
    sys.stdout.write(f"{write_table(rows)}\nstored in {options.output.name}\n")
    return 0


def find_accelerator() -> str | None:
    """Return the kind of accelerator that torch finds here, or None."""
    found = torch.accelerator.current_accelerator(check_available=True)
    return None if found is None else found.type


def name_device(device: str) -> str:
    """Return the name of a graphics card as its driver gives it, of other devices their kind."""
    return torch.cuda.get_device_name(device) if device.startswith("cuda") else device


def measure_rows(device: str, *, quick: bool) -> Iterator[dict]:
    """Yield a row for each network, number of inputs and method, as soon as it is measured."""
    networks = QUICK_NETWORKS if quick else NETWORKS
    batches = (1, 2) if quick else BATCHES
    methods = QUICK_METHODS if quick else METHODS
    for name, network in networks.items():
        forms = prepare_forms(network, device)
        for inputs in batches:
            x = draw_pictures(inputs, network.side).to(device)
            target = torch.zeros(inputs, dtype=torch.long, device=device)
            for method in tqdm(methods, desc=f"{name}, {inputs} inputs"):
                row = {"network": name, "side": network.side, "inputs": inputs, "method": method}
                yield row | measure_method(forms, x, target, method, 1 if quick else ROUNDS)


def prepare_forms(network: Network, device: str) -> dict[str, nn.Module]:
    """Return the prepared network in both precisions."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = network.make().eval()
    model = model.to(device)
    return {form: xnb.prepare(model, mixed_precision=mixed) for form, mixed in FORMS.items()}


def draw_pictures(inputs: int, side: int) -> Tensor:
    """Noise, seeded; what a call costs does not depend on what is on a picture."""
    return torch.randn(inputs, 3, side, side, generator=torch.Generator().manual_seed(0))


def measure_method(forms: dict[str, nn.Module], x: Tensor, target: Tensor, method: str, rounds: int) -> dict:
    """Return times and memory of a method in each precision, in turn, and the error of the second beside the first."""
    clock = Clock(device=x.device.type)
    calls = {form: partial(xnb.attribute, model, x, target, method) for form, model in forms.items()}
    maps = {form: call() for form, call in calls.items()}  # a first call of each, which is not counted
    seconds: dict[str, list[float]] = {form: [] for form in calls}
    for _ in range(rounds):
        for form, call in calls.items():
            seconds[form].append(clock.seconds(call))
    milliseconds = {form: 1000 * median(times) / len(x) for form, times in seconds.items()}
    peaks = {form: peak_mib(call, str(x.device)) for form, call in calls.items()}
    error = compare_maps(maps["mixed precision"], maps["float32"])
    return {"milliseconds an explanation": milliseconds, "peak MiB": peaks, "mixed precision": error}


def write_table(rows: Sequence[dict]) -> str:
    """Return the rows as lines of text."""
    lines = []
    for row in rows:
        plain, mixed = row["milliseconds an explanation"].values()
        most = max(row["peak MiB"].values())
        error = row["mixed precision"]["largest_error"]
        what = f"{row['network']}, {row['inputs']} inputs, {row['method']}"
        lines.append(f"{what}: {plain:.3g} ms, mixed {mixed:.3g} ms; {most:.0f} MiB; error {error:.1g}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
