"""Small studies for several processes; run as a program, one process of a group that trains them all.

`python elastic_studies.py RANK FOLDER`: both processes of a group train each study into a folder of its name. What a
process refuses, and the weights that it ends with, stand there too.
"""

import os
import signal
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from torch import distributed, nn
from torch.nn import functional as F
from torch.optim import SGD, AdamW

from xnb.data import Part
from xnb.storage import write_tensors
from xnb.training import Training, cosine, cross_entropy
from xnb.training import cosine as steady
from xnb.training.data_parallel import make_training, train_shared

VALUES = 4  # of an input; class 1 where the first is positive


def draw_parts(dtype=torch.float32):
    """199 inputs to learn: of batches of 33, the last has one, and the second process no share of it."""
    x = torch.randn(260, VALUES, generator=torch.Generator().manual_seed(0)).to(dtype)
    y = (x[:, 0] > 0).long()
    return Part(x[:199], y[:199]), Part(x[199:], y[199:])


def make_layers(*between):
    torch.manual_seed(0)  # make_training gives the state back
    return nn.Sequential(nn.Linear(VALUES, 16), *between, nn.ReLU(), nn.Linear(16, 2))


KNOBS = {"epochs": 3, "batch": 33, "schedule": cosine, "optimizer": partial(AdamW, lr=1e-2)}


def plain():
    return Training(make_layers(), *draw_parts(), **KNOBS)


def double():
    return Training(make_layers().double(), *draw_parts(torch.float64), **KNOBS)


def momentum():
    return Training(make_layers(), *draw_parts(), **KNOBS | {"optimizer": partial(SGD, lr=0.1, momentum=0.9)})


def unused():
    """A layer that nothing asks: AdamW would make its weights decay if it had a gradient, of zeros."""
    model = make_layers()
    model.spare = nn.Linear(3, 3)
    model.forward = lambda x: model[2](model[1](model[0](x)))
    return Training(model, *draw_parts(), **KNOBS)


def shifted():
    return Training(make_layers(), *draw_parts(), **KNOBS, augment=add_noise)


def add_noise(x, draws):
    return x + 0.1 * torch.randn(x.shape, generator=draws)


def smooth():
    """Asks for second derivatives, by two passes of the model a step."""
    return Training(make_layers(nn.Tanh()), *draw_parts(), **KNOBS, objective=partial(flat, weight=0.1))


def flat(model, part, weight):
    loss, out = cross_entropy(model, part)
    x = part.x.clone().requires_grad_()
    (slope,) = torch.autograd.grad(F.cross_entropy(model(x), part.y, reduction="sum"), x, create_graph=True)
    return loss + weight * (slope**2).sum(1).mean(), out


def normed():
    """Batch norm and dropout depend on the number of processes; of a share of one input there are no statistics."""
    train, valid = draw_parts()
    return Training(make_layers(nn.BatchNorm1d(16), nn.Dropout(0.2)), train[:198], valid, **KNOBS)


def unseeded():
    """Other first weights in each process: those of the first are taken."""
    model = make_layers()
    torch.seed()
    model[0].reset_parameters()
    return Training(model, *draw_parts(), **KNOBS)


def infinite():
    train, valid = draw_parts()
    train.x[100] = torch.inf
    return Training(make_layers(), train, valid, **KNOBS)


def different():
    """Other labels in each process."""
    train, valid = draw_parts()
    turned = Part(train.x, train.y.roll(int(os.environ.get("RANK", "0"))))
    return Training(make_layers(), turned, valid, **KNOBS)


def accidents():
    """`plain`, on whose way processes wait or are killed, as files in the folder that ACCIDENTS names tell them."""

    def cosine(progress):
        meet_accidents(progress)
        return steady(progress)

    return replace(plain(), schedule=cosine)


def meet_accidents(progress):
    rank = os.environ.get("RANK")
    place = Path(os.environ["ACCIDENTS"])
    while rank and progress > 0.5 and (place / "wait").exists():
        (place / f"waits-{rank}").touch()
        time.sleep(0.05)
    if rank == "1" and progress > 0.8 and (place / "kill").exists():
        (place / "kill").unlink()
        os.kill(os.getpid(), signal.SIGKILL)


def broken():
    """Fails in workers, which have a rank."""
    if "RANK" in os.environ:
        raise KeyError("no such column")
    return plain()


LEARNED = (plain, double, momentum, unused, shifted, smooth, normed, unseeded)
REFUSED = (infinite, different)


def train_all(rank, folder):
    store = distributed.FileStore(str(folder / "store"), 2)
    distributed.init_process_group("gloo", store=store, rank=rank, world_size=2)
    for study in (*LEARNED, *REFUSED):
        place = folder / study.__name__
        training = make_training(f"elastic_studies:{study.__name__}")
        try:
            train_shared(training, place, torch.device("cpu"))
        except (ValueError, FloatingPointError) as error:
            place.mkdir(exist_ok=True, parents=True)
            (place / f"refusal-{rank}.txt").write_text(f"{type(error).__name__}: {error}")
        write_tensors(place / f"rank-{rank}.safetensors", training.model.state_dict(), {})
    distributed.destroy_process_group()


if __name__ == "__main__":
    os.environ["RANK"] = sys.argv[1]
    train_all(int(sys.argv[1]), Path(sys.argv[2]))
