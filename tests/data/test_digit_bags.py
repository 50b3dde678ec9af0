"""Labels and evidence are computed again from the digits that the pictures show."""

from itertools import combinations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from xnb import data
from xnb.data.digit_bags import TASKS

PAIRS = [(d, d + 1) for d in range(4)]
# A condition on a bag of digits, and for each class whether it needs (1) or excludes (-1) each condition.
RULES = {
    "single_positive": ([lambda bag: 9 in bag], [[-1], [1]]),
    "four_bags": ([lambda bag: 8 in bag, lambda bag: 9 in bag], [[-1, -1], [1, -1], [-1, 1], [1, 1]]),
    "positive_negative": (
        [lambda bag: sum(d in (4, 6, 8) for d in bag) > sum(d in (5, 7, 9) for d in bag)],
        [[-1], [1]],
    ),
    "adjacent_pairs": ([lambda bag: any(a in bag and b in bag for a, b in PAIRS)], [[-1], [1]]),
}
every_task = pytest.mark.parametrize("task", RULES)


def pictures(part):
    """Digit of every picture, by its bytes."""
    return {x.numpy().tobytes(): int(y) for x, y in zip(part.x, part.y, strict=True)}


def shown(part, source):
    known = pictures(source)
    return np.array([[known[x.numpy().tobytes()] for x in bag] for bag in part.x])


def label(task, bag):
    conditions, demands = RULES[task]
    return demands.index([1 if holds(bag) else -1 for holds in conditions])


@every_task
def test_labels_follow_from_the_digits(task):
    split, source = data.bags(task, n=(200, 100)), data.digits()
    for part, digits in ((split.train, source.train), (split.test, source.test)):
        assert [label(task, list(bag)) for bag in shown(part, digits)] == part.y.tolist()
        assert part.y.bincount().tolist() == [len(part) // len(split.classes)] * len(split.classes)
    assert split.train.x.shape == (200, 12, 1, 8, 8)
    assert split.train.x.dtype == torch.float32
    assert (float(split.train.x.min()), float(split.train.x.max())) == (0, 1)
    assert split.train.evidence.shape == (200, 12, len(split.classes))
    assert split.classes == TASKS[task].classes


@every_task
@pytest.mark.parametrize("size", [3, 4, 8])
def test_evidence_is_what_an_instance_changes_beside_some_of_the_others(task, size):
    """Brute force: every instance is added to every selection of the others."""
    part, conditions, demands = data.bags(task, n=(24, 0), size=size).train, *RULES[task]
    for bag, evidence in zip(shown(part, data.digits().train), part.evidence, strict=True):
        for n in range(size):
            others = [[bag[i] for i in rest] for k in range(size) for rest in combinations(set(range(size)) - {n}, k)]
            changes = [{int(holds([*rest, bag[n]])) - int(holds(rest)) for rest in others} for holds in conditions]
            assert all(len(change - {0}) <= 1 for change in changes)  # it never does the one here and the other there
            says = [sum(change) for change in changes]
            assert evidence[n].tolist() == [int(np.dot(says, needs)) for needs in demands]


@every_task
def test_no_deleted_instance_speaks_against_its_evidence(task):
    """Without the instance, the label stays or moves away from a class that it spoke for, to one it spoke against."""
    part = data.bags(task, n=(80, 0)).train
    moved = 0
    for bag, y, evidence in zip(shown(part, data.digits().train), part.y, part.evidence, strict=True):
        for n in range(len(bag)):
            without = label(task, list(np.delete(bag, n)))
            if without != y:
                moved += 1
                assert (evidence[n, y], evidence[n, without]) == (1, -1)
    assert moved >= 20


def test_the_only_nine_decides():
    part = data.bags("single_positive", n=(100, 0)).train
    digits = shown(part, data.digits().train)
    assert (digits == 9).sum(1).tolist() == part.y.tolist()
    assert torch.equal(part.evidence[..., 1], torch.from_numpy(digits == 9).long())
    assert torch.equal(part.evidence[..., 0], -part.evidence[..., 1])


def test_evidence_of_four_bags_is_the_table():
    part = data.bags("four_bags", n=(100, 0)).train
    digits = shown(part, data.digits().train)
    assert part.evidence[digits == 8].unique(dim=0).tolist() == [[-1, 1, -1, 1]]  # neither, 8, 9, both
    assert part.evidence[digits == 9].unique(dim=0).tolist() == [[-1, -1, 1, 1]]
    assert part.evidence[digits < 8].unique().tolist() == [0]


def test_evidence_of_positive_negative_has_both_signs_in_every_bag():
    part = data.bags("positive_negative", n=(100, 0)).train
    digits = shown(part, data.digits().train)
    assert (part.evidence.amax(1) == 1).all()
    assert (part.evidence.amin(1) == -1).all()
    assert torch.equal(part.evidence[..., 0], -part.evidence[..., 1])
    assert part.evidence[np.isin(digits, [4, 6, 8])].unique(dim=0).tolist() == [[-1, 1]]
    assert (part.evidence[..., 1].sum(1).sign() == 2 * part.y - 1).all()


def test_of_adjacent_pairs_no_digit_alone_tells_the_class():
    """A linear model on the ten presences is at chance (standard error 1.6 points); with their products it is right."""
    split, source = data.bags("adjacent_pairs", n=(2000, 1000)), data.digits()
    there = [
        np.stack([(shown(part, digits) == d).any(1) for d in range(10)], 1).astype(float)
        for part, digits in ((split.train, source.train), (split.test, source.test))
    ]
    alone = LogisticRegression().fit(there[0], split.train.y)
    assert abs(alone.score(there[1], split.test.y) - 0.5) < 0.06
    together = [np.stack([x[:, a] * x[:, b] for a, b in PAIRS], 1) for x in there]
    assert LogisticRegression().fit(together[0], split.train.y).score(together[1], split.test.y) == 1
    lone = (split.train.evidence[..., 1] == 0).numpy() & (shown(split.train, source.train) <= 4)
    assert lone[split.train.y == 1].any(1).mean() > 0.4  # bags with a pair also hold low digits that are in none


def test_no_test_digit_is_in_a_training_bag_of_any_seed():
    train = {x.numpy().tobytes() for seed in (0, 1) for x in data.bags(n=(200, 0), seed=seed).train.x.flatten(0, 1)}
    test = {x.numpy().tobytes() for seed in (0, 1) for x in data.bags(n=(0, 200), seed=seed).test.x.flatten(0, 1)}
    source = data.digits()
    assert train <= pictures(source.train).keys()
    assert test <= pictures(source.test).keys()
    assert not train & test


def test_places_in_the_bag_tell_nothing():
    evidence = data.bags("single_positive", n=(2400, 0)).train.evidence[..., 1].sum(0)
    assert evidence.sum() == 1200
    assert (evidence - 100).abs().max() < 40  # standard error 9.6


@pytest.mark.parametrize(
    ("knobs", "says"),
    [
        ({"task": "nine"}, r"must be a known one\n  got: 'nine'\n  try: one of \['single_positive', 'four_bags'"),
        ({"n": (-1, 2)}, "two numbers of bags"),
        ({"size": 0}, "at least 1 instances\n  got: 0"),
        ({"task": "adjacent_pairs", "size": 2}, "adjacent_pairs needs bags of at least 3 instances\n  got: 2"),
    ],
)
def test_refusals(knobs, says):
    with pytest.raises(ValueError, match=says):
        data.bags(**knobs)
