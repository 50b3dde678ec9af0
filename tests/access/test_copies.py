"""Tests: xnb.access.copies."""

import threading
from pathlib import Path

import pytest
import torch
from torch import nn

import xnb
from xnb.access.copies import copy_module
from xnb.metrics.randomised_models import randomised_copy
from xnb.widgets.explained import prepare_subject


class Keeps(nn.Module):
    """Keeps its activations on itself, as some published networks do."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def forward(self, x):
        out = self.layer(x)
        self.seen = {"all": [out], "last": (out, out.sum())}
        return out


@pytest.mark.filterwarnings("ignore:.*weight_norm. is deprecated:FutureWarning")
@pytest.mark.parametrize("make", [Keeps, lambda: nn.utils.weight_norm(nn.Linear(3, 2))])
def test_what_a_pass_left_is_copied_as_a_constant(make):
    model = make().eval()
    x = torch.ones(1, 3)
    expected = model(x)
    expected.sum().backward()
    copy = copy_module(model)
    torch.testing.assert_close(copy(x), expected)
    assert all(one is not other for one, other in zip(copy.parameters(), model.parameters(), strict=True))
    assert expected.grad_fn is not None


def test_what_cannot_be_copied_is_named():
    model = nn.Linear(3, 2)
    model.lock = threading.Lock()
    with pytest.raises(ValueError, match=r"^copy: every attribute.*\n  got: .*lock"):
        copy_module(model)


class Uncopied:
    def __deepcopy__(self, memo):
        raise KeyError("no copy of this")


X = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def explain_on_screen(model):
    return prepare_subject(model, X).module


@pytest.mark.parametrize("copy", [copy_module, xnb.prepare, explain_on_screen, randomised_copy])
class TestOneWayForAll:
    """Whoever works on a copy of a model takes what `copy_module` takes, and refuses as it does."""

    def test_what_a_pass_left_is_no_hindrance(self, copy):
        model = nn.Sequential(nn.Flatten(), nn.Linear(192, 3), Keeps().eval()).eval()
        model[2].layer = nn.Linear(3, 2).eval()
        expected = model(X)
        assert model[2].seen["all"][0].grad_fn is not None
        copied = copy(model)
        assert copied is not model
        if copy is not randomised_copy:
            torch.testing.assert_close(copied(X), expected)

    @pytest.mark.parametrize("attribute", [threading.Lock(), Uncopied(), [Uncopied()]])
    def test_what_cannot_be_copied_is_named_and_the_line_works(self, copy, attribute):
        model = nn.Sequential(nn.Flatten(), nn.Linear(192, 3)).eval()
        model[1].handle = attribute
        with pytest.raises(ValueError, match=r"^copy: every attribute(.|\n)*try: del model.get_submodule") as refusal:
            copy(model)
        exec(str(refusal.value).split("try: ")[1], {"model": model})
        assert copy(model) is not model


def test_a_module_that_refuses_itself_leads_to_what_needs_no_copy():
    class Whole(nn.Linear):
        def __deepcopy__(self, memo):
            raise KeyError("no copy of this")

    model = nn.Sequential(nn.Flatten(), Whole(192, 3)).eval()
    with pytest.raises(ValueError, match="KeyError: 'no copy of this'") as refusal:
        copy_module(model)
    names = {"xnb": xnb, "model": model, "x": X, "target": 0}
    assert eval(str(refusal.value).split("try: ")[1], names).shape == X.shape


def test_nobody_copies_a_model_another_way():
    """Weights alone, a state, are copied by `copy.deepcopy` in one place."""
    package = Path(xnb.__path__[0])
    users = [path for path in package.rglob("*.py") if "deepcopy(" in path.read_text()]
    assert {str(path.relative_to(package)) for path in users} == {"access/copies.py", "widgets/training_view.py"}
    assert "deepcopy(past_model.state_dict())" in (package / "widgets/training_view.py").read_text()
