"""T2, the gate: eight published networks classify as well as their authors say, or no map of them means anything."""

from reproduce.networks import CIFAR_NETWORKS, count_parameters, is_right, load_cifar_network
from reproduce.results import read_figures, write_result
from reproduce.sources import LabelledPictures, read_exact_pictures
from reproduce.verdicts import Measurement
from xnb.comparison import estimate_mean

TABLE = "T2"
CODE = ("t2_accuracies.py", "networks.py")
_PICTURES = "cifar10/cifar10_exact_test1017.npz"
DATA = (_PICTURES, *(published.file for published in CIFAR_NETWORKS.values()))


def measure_accuracy(name: str, pictures: LabelledPictures) -> Measurement:
    """Return the share of pictures that are classified rightly, in percent; the interval speaks of other pictures."""
    network = load_cifar_network(name)
    right = is_right(network, *pictures).double()
    estimate = estimate_mean(100 * right.numpy())
    return Measurement(estimate.mean, estimate.low, estimate.high)


def run() -> dict:
    """Measure all eight on the 1,017 test pictures whose exact pixels are known."""
    pictures = read_exact_pictures()
    names = list(read_figures(TABLE)["accuracy"])
    measured = {name: measure_accuracy(name, pictures) for name in names}
    parameters = {name: count_parameters(load_cifar_network(name)) for name in names}
    facts = {"pictures": len(pictures.y), "parameters": parameters}
    settings = {"pictures": "the first 1,017 of the test set, in its order, as exact pixels"}
    return write_result(TABLE, {"accuracy": measured}, code=CODE, data=DATA, settings=settings, facts=facts)
