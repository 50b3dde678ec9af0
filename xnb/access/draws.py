"""Random numbers: a generator for each purpose, so that nothing random goes along with something else that is.

A generator started at the caller's own seed repeats the caller's own numbers: noise equal to the input, a random
network equal to the one it is compared with, a random map equal to the order in which a metric breaks ties.
"""

import hashlib

import torch


def make_generator(purpose: str, seed: int, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator whose numbers depend on the seed and on what they are for; the global one is left alone."""
    return torch.Generator(device).manual_seed(mix_seed(purpose, seed))


def mix_seed(purpose: str, seed: int) -> int:
    """A seed of 63 bits, made of the purpose and the caller's seed."""
    digest = hashlib.sha256(f"{purpose}, {int(seed)}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
