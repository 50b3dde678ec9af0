"""Refusals name the rule, what came and a way out, and say it shortly."""

import numpy as np
import pytest
import torch

import xnb
from xnb.check import PromiseWarning, abbreviate_value, is_finite, is_out_of_memory, is_refusal, require, warn


def test_three_lines():
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole message is compared below
        require(False, "f: n must be even", 3, "n=4")
    assert str(caught.value) == "f: n must be even\n  got: 3\n  try: n=4"


def test_a_refusal_is_known_by_its_lines():
    with pytest.raises(ValueError, match="f: no") as caught:
        require(False, "f: no", 0)
    assert is_refusal(caught.value)
    assert not is_refusal(ValueError("f: no"))


def test_no_way_out_no_line():
    with pytest.raises(ZeroDivisionError, match=r"^f: no\n  got: 0$"):
        require(False, "f: no", 0, error=ZeroDivisionError)


def test_describe():
    assert abbreviate_value(torch.zeros(2, 3)) == "float32[2,3]"
    assert abbreviate_value(np.zeros((2, 3))) == "float64[2,3]"
    assert abbreviate_value([["a"], np.zeros((2, 2))]) == "[['a'], array([[0., 0.], [0., 0.]])]"  # one line
    assert abbreviate_value("a" * 200) == "'" + "a" * 116 + "..."


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda m, x, t: xnb.attribute(m, x, t, "integratd_gradient"), "try: one of .'integrated_gradients'"),
        (lambda m, x, t: xnb.attribute(m, x * torch.nan, t), "x must be finite"),
        (lambda m, x, t: xnb.attribute(lambda z: m(z) * torch.inf, x, t), "logits must be finite"),
        # a root of zero has an infinite slope
        (lambda m, x, t: xnb.attribute(lambda z: m(z) + (0 * m(z)).sqrt(), x, t), "attribution must be finite"),
        (lambda m, x, t: xnb.attribute(m, x, t, steps=0), r"steps must be at least 1\n  got: 0"),
        (lambda m, x, t: xnb.attribute(m, x, t, baseline=torch.zeros(7, 7).double()), r"broadcast to x \(5, 2, 6, 6\)"),
        (lambda m, x, t: xnb.attribute(m, x, t, "occlusion", window=7), r"window must lie in \[1, 6\]"),
        (lambda m, x, t: xnb.attribute(m, x, t, "occlusion", window=2, stride=3), r"stride must lie in \[1, 2\]"),
        (lambda m, x, t: xnb.attribute(m, x.flatten(1), t, "occlusion"), "places"),
    ],
)
@pytest.mark.usefixtures("as_users_run")
def test_refusals(call, says, model, x, target):
    with pytest.raises(ValueError, match=says):
        call(model, x, target)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1.0, -2.0], True),
        ([3e38, 3e38], True),  # the sum overflows, the values do not
        ([1.0, float("nan")], False),
        ([float("inf"), float("-inf")], False),
        ([], True),
    ],
)
def test_finite(values, expected):
    assert is_finite(torch.tensor(values)) is expected


def test_a_warning_has_three_lines_and_points_at_the_caller():
    with pytest.warns(PromiseWarning, match=r"^f: must add up\n  got: 3\n  try: n=4$") as caught:
        warn("f: must add up", 3, "n=4")
    assert caught[0].filename == __file__


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB"), True),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:123] DefaultCPUAllocator: can't allocate memory"), True),
        (RuntimeError("MPS backend out of memory"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("this picture is out of memory of mine"), False),
    ],
)
def test_the_end_of_memory_is_known_by_its_words(error, expected):
    assert is_out_of_memory(error) is expected
