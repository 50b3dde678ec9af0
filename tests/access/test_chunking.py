"""Chunks stay in cache, and every input and every change of it is in exactly one."""

import pytest
import torch
from torch import nn
from torchvision.models import resnet18, resnet50, vit_b_16

from xnb.access.chunking import (
    CHUNK_BYTES,
    CHUNK_LEAST,
    chunk_size,
    chunks,
    gradient_chunks,
    join_chunks,
    limit_bytes,
    plan_passes,
)
from xnb.models import SmallCNN
from xnb.summary import count_memory

GIB = 2**30


@pytest.mark.parametrize("side", [8, 32, 224])
def test_automatic_chunks_stay_in_cache(side):
    x = torch.zeros(100, 3, side, side)
    parts = list(chunks(x, None))
    assert [i for part in parts for i in range(100)[part]] == list(range(100))
    assert all(x[part].nbytes <= 1.25 * max(CHUNK_BYTES, x[:CHUNK_LEAST].nbytes) for part in parts)


@pytest.mark.parametrize(
    ("inputs", "sizes"),
    [(24, [12, 12]), (10, [10]), (12, [12]), (13, [7, 6]), (25, [13, 12]), (26, [9, 9, 8]), (0, [])],
)
def test_automatic_chunks_are_about_equal(inputs, sizes):
    """Ten pictures of 3 x 36 x 44 in float32 are a chunk; it may hold a quarter more, and no small rest is left."""
    x = torch.zeros(inputs, 3, 36, 44)
    assert chunk_size(x, None) == 10
    assert [len(x[rows]) for rows in chunks(x, None)] == sizes
    assert [len(x[rows]) for _, rows in plan_passes(x, 1, None)] == sizes


def test_a_chunk_that_is_asked_for_is_kept():
    x = torch.zeros(24, 3, 36, 44)
    assert [len(x[rows]) for rows in chunks(x, 10)] == [10, 10, 4]


def test_a_large_chunk_holds_twice_as_many():
    x = torch.zeros(100, 3, 32, 32)
    assert chunk_size(x, None, large=True) == 2 * chunk_size(x, None)
    assert chunk_size(x, 7, large=True) == 7
    assert chunk_size(torch.zeros(9, 30), None) == 2048


@pytest.mark.parametrize(("channels", "sizes"), [(8, [24]), (4000, [12, 12])])
def test_a_narrow_network_runs_twice_as_many(channels, sizes):
    """Convolutions of 3 x 8 x 9 and 3 x 4000 x 9 weights: the limit of 100,000 parameters lies between them."""
    net = nn.Conv2d(3, channels, 3)
    x = torch.zeros(24, 3, 36, 44)
    assert [len(x[rows]) for rows in gradient_chunks(net, x, None)] == sizes
    assert [len(x[rows]) for rows in gradient_chunks(net.forward, x, None)] == [12, 12]
    assert [len(x[rows]) for rows in gradient_chunks(net, x, 10)] == [10, 10, 4]


@pytest.mark.parametrize(("inputs", "changes", "chunk"), [(5, 9, 3), (5, 9, 20), (1, 7, 4), (3, 1, None)])
def test_every_change_of_every_input_is_planned_once(inputs, changes, chunk):
    times = torch.zeros(changes, inputs)
    for draws, rows in plan_passes(torch.zeros(inputs, 3, 8, 8), changes, chunk):
        times[draws, rows] += 1
        assert chunk is None or times[draws, rows].numel() <= chunk
    assert (times == 1).all()


def test_chunks_are_joined_also_if_there_is_none():
    x = torch.ones(4, 2)
    assert torch.equal(join_chunks([x[rows] for rows in chunks(x, 3)], x), x)
    assert join_chunks([], x).shape == (0, 2)


@pytest.mark.parametrize(
    ("kind", "free", "expected"),
    [
        ("cpu", None, CHUNK_BYTES),
        ("cuda", 140 * GIB, 64 * 2**20),  # 140 / 4 / 512 GiB are 70 MiB
        ("cuda", 80 * GIB, 32 * 2**20),
        ("mps", 8 * GIB, 4 * 2**20),
        ("cuda", 2**11, 1),
        ("cuda", 2**11 - 1, 0),
        ("cuda", -5, 0),
        ("xpu", None, 64 * 2**20),
    ],
)
def test_an_accelerator_runs_what_its_free_memory_holds(kind, free, expected):
    assert limit_bytes(kind, free) == expected


def test_a_little_memory_more_or_less_changes_no_chunk():
    assert limit_bytes("cuda", 80 * GIB) == limit_bytes("cuda", 120 * GIB) < limit_bytes("cuda", 128 * GIB)


@pytest.mark.parametrize("free", [0, GIB // 8, GIB, 10 * GIB, 100 * GIB])
@pytest.mark.parametrize("large", [False, True])
def test_what_is_kept_of_a_chunk_fits_into_what_is_free(free, large, monkeypatch):
    """Of 3 x 224 x 224 in float32, with a network that keeps 383 times its input; four run together in any case."""
    monkeypatch.setattr("xnb.access.chunking.read_free_memory", lambda device: free)
    x = torch.zeros(1, 3, 224, 224, device="meta")
    size = chunk_size(x, None, large=large)
    assert size == CHUNK_LEAST or size * x.nbytes * 383 < free
    assert size >= CHUNK_LEAST
    assert chunk_size(x, 7) == 7


def resnet18_of_small_pictures():
    """As it is trained on CIFAR-10: the first layer leaves the resolution as it is."""
    net = resnet18(num_classes=10)
    net.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
    net.maxpool = nn.Identity()
    return net


@pytest.mark.parametrize(
    ("make", "side", "times"),
    [(SmallCNN, 32, 56), (resnet50, 224, 142), (vit_b_16, 224, 256), (resnet18_of_small_pictures, 32, 383)],
    ids=["SmallCNN", "resnet50", "vit_b_16", "resnet18"],
)
def test_what_networks_keep_is_what_the_comment_says(make, side, times):
    with torch.device("meta"):
        net = make().eval()
        x = torch.zeros(2, 3, side, side)
    assert round(count_memory(net, x).saved / x.nbytes) == times
