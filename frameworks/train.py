"""`python -m frameworks.train` trains the two networks again and stores them beside this file."""

import torch
from torch.optim import AdamW

from frameworks.torch_side import FOLDER, MAKERS, load_split
from xnb import storage
from xnb.training import evaluate, fit

EPOCHS = {"mlp": 30, "cnn": 15}


def train(name: str) -> float:
    """Train and store one network; its accuracy on the test part."""
    split = load_split(name)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = MAKERS[name]()
    optimizer = AdamW(net.parameters(), lr=3e-3)
    fit(net, split.train, split.test, epochs=EPOCHS[name], optimizer=optimizer, batch=64)
    accuracy = evaluate(net.eval(), split.test).accuracy
    facts = {"epochs": EPOCHS[name], "accuracy": round(accuracy, 4)}
    storage.write_tensors(FOLDER / f"{name}.safetensors", net.state_dict(), facts)
    return accuracy


if __name__ == "__main__":
    for network in MAKERS:
        train(network)
