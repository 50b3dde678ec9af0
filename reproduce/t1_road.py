"""T1: do protocols of removal rank maps alike? Six correlations of ROAD, with six networks in place of five runs.

What is correlated, as the authors' notebook does it: at each of seven shares p, eight accuracies by one protocol with
eight by the other. "Most relevant first" has p removed there, "least relevant first" has p *kept*, so that 1 - p is
removed. A good map has low accuracies in the one and high ones in the other: two such protocols agree where their
correlation is negative. The mean over the seven shares is the number in the table.
"""

import sys
from collections.abc import Mapping
from itertools import combinations

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from scipy.stats import rankdata

from reproduce import t1_blocks
from reproduce.networks import CIFAR_NETWORKS
from reproduce.results import read_result, result_file, write_result
from reproduce.sources import read_exact_pictures
from reproduce.t1_blocks import MAPS, NETWORKS, PROTOCOLS, Block
from reproduce.verdicts import Measurement
from xnb.comparison import estimate_mean
from xnb.comparison.inference import Estimate

TABLE = "T1"
CODE = ("t1_road.py", "t1_blocks.py", "networks.py")
PICTURES = 300
_TENTHS = np.array([1, 2, 3, 4, 5, 7, 9])  # the authors' shares
_GROUPS = 10  # of pictures, left out one after the other
PAIRS = list(combinations(PROTOCOLS, 2))


def list_files() -> tuple[str, ...]:
    """Published files on which the table depends."""
    return ("cifar10/cifar10_exact_test1017.npz", *(CIFAR_NETWORKS[name].file for name in NETWORKS))


def select_shares(accuracies: Float[np.ndarray, "P M tenths"]) -> Float[np.ndarray, "P M 7"]:
    """Return the accuracies at the authors' seven shares, which are removed or kept, by protocol."""
    columns = [
        accuracies[number][:, (_TENTHS if first == "most" else 10 - _TENTHS) - 1]
        for number, (first, _) in enumerate(PROTOCOLS.values())
    ]
    return np.stack(columns)


def correlate_protocols(right: NDArray) -> Float[np.ndarray, " pairs"]:
    """Return the correlation of each pair of protocols for one network.

    Maps of equal accuracy share their mean rank; a share at which all maps are equal is left out.

    Args:
        right: `(pictures, protocols, maps, tenths)`.
    """
    ranks = rankdata(select_shares(right.mean(0)), axis=1)
    deviations = ranks - ranks.mean(1, keepdims=True)
    lengths = np.sqrt((deviations**2).mean(1, keepdims=True))
    units = np.divide(deviations, lengths, out=np.full_like(deviations, np.nan), where=lengths > 0)
    numbers = {name: number for number, name in enumerate(PROTOCOLS)}
    products = [(units[numbers[a]] * units[numbers[b]]).mean(0) for a, b in PAIRS]
    return np.nanmean(products, axis=1)


def find_pseudo_values(right: NDArray) -> Float[np.ndarray, "groups pairs"]:
    """Return jackknife pseudo-values of one network, one for each group of pictures that is left out.

    A correlation is no mean over pictures; its pseudo-values behave as one (Arvesen 1969).
    """
    whole = correlate_protocols(right)
    group = np.arange(len(right)) % _GROUPS
    without = np.stack([correlate_protocols(right[group != number]) for number in range(_GROUPS)])
    return _GROUPS * whole - (_GROUPS - 1) * without


def estimate_pairs(blocks: Mapping[str, Block]) -> dict[str, Measurement]:
    """Return each correlation, mean over networks, with an interval over networks and pictures."""
    whole = np.stack([correlate_protocols(block.right) for block in blocks.values()])
    pseudo = np.stack([find_pseudo_values(block.right) for block in blocks.values()])
    measured = {}
    for number, pair in enumerate(PAIRS):
        half = _half_width(estimate_mean(pseudo[:, :, number]))
        value = float(whole[:, number].mean())
        measured[", ".join(pair)] = Measurement(value, value - half, value + half)
    return measured


def _half_width(estimate: Estimate) -> float:
    return (estimate.high - estimate.low) / 2


def estimate_gap(blocks: Mapping[str, Block]) -> Estimate:
    """Return what linear imputation adds: its correlation of both orders less that of fixed values.

    Both orders agree where their correlation is negative, so a gap below 0 says that linear imputation agrees more.
    The gap is that of the two rows of the table; pseudo-values give its width alone.
    """
    linear = PAIRS.index(("m-non-lin", "l-non-lin"))
    fixed = PAIRS.index(("m-non-fix", "l-non-fix"))
    gaps = []
    pseudo_gaps = []
    for block in blocks.values():
        whole = correlate_protocols(block.right)
        gaps.append(whole[linear] - whole[fixed])
        pseudo = find_pseudo_values(block.right)
        pseudo_gaps.append(pseudo[:, linear] - pseudo[:, fixed])
    estimate = estimate_mean(np.stack(pseudo_gaps))
    # The mean of pseudo-values is corrected for bias, the rows of the table are not: the interval moves to them.
    shift = float(np.mean(gaps)) - estimate.mean
    low = estimate.low + shift
    high = estimate.high + shift
    return estimate._replace(mean=estimate.mean + shift, low=low, high=high)


def average_accuracies(blocks: Mapping[str, Block]) -> dict[str, dict[str, list[float]]]:
    """Return the accuracy after each tenth, by protocol and map, mean over networks, in percent."""
    means = np.mean([block.right.mean(0) for block in blocks.values()], axis=0)
    return {
        protocol: {name: (100 * means[p, m]).tolist() for m, name in enumerate(MAPS)}
        for p, protocol in enumerate(PROTOCOLS)
    }


def summarise(blocks: Mapping[str, Block]) -> dict:
    """Judge what is finished and store it, answers included."""
    by_network = {name: correlate_protocols(block.right).tolist() for name, block in blocks.items()}
    facts = {
        "pairs": [", ".join(pair) for pair in PAIRS],
        "by network": by_network,
        "gap": estimate_gap(blocks)._asdict(),
        "untouched": {name: 100 * float(block.untouched.mean()) for name, block in blocks.items()},
        "accuracies": average_accuracies(blocks),
        "blocks": t1_blocks.pack_blocks(blocks),
    }
    settings = {
        "pictures": len(next(iter(blocks.values())).untouched),
        "paths": "from grey, 16 nodes (theirs 50), of noisy copies 5",
        "noisy copies": "15 (IG) and 15 (guided backprop, theirs 100)",
        "noise": "deviation 0.1 (IG) and 0.5 (GB) of pixels in [0, 1], as theirs",
        "networks": list(NETWORKS),
    }
    measured = {"correlation": estimate_pairs(blocks)}
    return write_result(TABLE, measured, code=CODE, data=list_files(), settings=settings, facts=facts)


def run(pictures: int = PICTURES, minutes: float = float("inf")) -> dict:
    """Go on with the blocks, and store what is finished.

    Args:
        pictures: the first ones of the 1,017.
        minutes: after these no further block is begun.
    """
    if result_file(TABLE).is_file():
        t1_blocks.lay_out_blocks(read_result(TABLE)["facts"]["blocks"])
    for name in t1_blocks.run_blocks(read_exact_pictures(pictures), minutes):
        sys.stdout.write(f"  {name}\n")
    return summarise(t1_blocks.read_blocks(pictures))
