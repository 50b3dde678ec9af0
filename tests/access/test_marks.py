"""A table beside tensors: it knows them by identity, writes nothing on them and keeps none alive."""

import gc
import weakref

import torch

from xnb.access.marks import TensorTable


def test_tensors_are_told_apart_by_identity_not_by_value():
    table = TensorTable()
    first, equal = torch.ones(3), torch.ones(3)
    table.put(first, "mark")
    assert table.get(first) == "mark"
    assert table.get(equal) is None
    assert table.get("no tensor") is None
    assert vars(first) == {}


def test_a_later_mark_takes_the_place_of_an_earlier_one():
    table, tensor = TensorTable(), torch.ones(3)
    assert table.put(tensor, 1) == 1
    table.put(tensor, 2)
    assert table.get(tensor) == 2
    table.clear()
    assert table.get(tensor) is None


def test_an_entry_goes_with_its_tensor():
    """An id is used again: a mark that stayed would be found for another tensor."""
    table = TensorTable()
    for _ in range(100):
        tensor = torch.ones(3)
        assert table.get(tensor) is None
        table.put(tensor, "mark")
    del tensor
    gc.collect()
    assert not table._entries


def test_a_tensor_that_only_its_graph_holds_keeps_its_entry():
    table = TensorTable()
    x = torch.ones(3, requires_grad=True)
    table.put(x, "mark")
    reference = weakref.ref(x)
    y = x * 2
    del x
    gc.collect()
    assert reference() is not None
    (node, _), *_ = y.grad_fn.next_functions
    assert table.get(node.variable) == "mark"
