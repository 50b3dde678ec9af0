"""A fast form computes the same, and where somebody looks inside it runs as it is."""

import copy
import pickle
from functools import partial

import jaxtyping
import pytest
import torch
from torch import nn

from xnb import METHODS, attribute, explain, prepare
from xnb.access.fast_forward import FastForward, is_looked_into, look_inside, read_steps
from xnb.access.hooks import capture_outputs, replace_forward, watch_calls
from xnb.models import SmallCNN, ViT
from xnb.summary import count_parameters

pytestmark = [
    # torch's own, where it compiles a pass whose input hangs on a graph
    pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf"),
]

MIXED, COMPILED, BOTH = {"mixed_precision": True}, {"compiled": True}, {"mixed_precision": True, "compiled": True}
TARGET = torch.tensor([0, 1])
# They look at layers, functions or attention, and so run in single precision whatever form they are asked of.
LOOKING = {name for name, card in METHODS.cards.items() if card.needs in {"modules", "attention"}}
METHODS_ASKED = sorted(METHODS.keys() - {"exact_shapley"})


@pytest.fixture(autouse=True, scope="module")
def traced_alone():
    """torch.compile as it is, but for the C++ compiler, which takes a minute: its graphs run by torch's operations.

    It traces code as users run it, without the shape checks of the tests.
    """
    jaxtyping.config.update("jaxtyping_disable", True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "compile", partial(torch.compile, backend="aot_eager"))
        yield
    jaxtyping.config.update("jaxtyping_disable", False)
    torch._dynamo.reset()


def seeded(make):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return make().eval()


@pytest.fixture(scope="module")
def networks():
    """A network with layers and one with attention, and pictures of their size."""
    cnn = seeded(lambda: SmallCNN(widths=(4, 6, 8)))
    transformer = seeded(lambda: ViT(size=8, patch=4, channels=3, classes=4, width=8, heads=2, depth=2))
    rng = torch.Generator().manual_seed(1)
    return [(cnn, torch.rand(2, 3, 16, 16, generator=rng)), (transformer, torch.rand(2, 3, 8, 8, generator=rng))]


def off(found, expected):
    return float((found - expected).abs().max() / expected.abs().max())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_linear_model_has_the_gradient_rounded_once(dtype):
    """The gradient of w x is w, in mixed precision w to 8 binary digits."""
    model = nn.Linear(50, 3).eval()
    x = torch.rand(2, 50)
    fast = prepare(model, x, mixed_precision=dtype == torch.bfloat16)
    found = attribute(fast, x, TARGET, "gradient")
    assert found.dtype == fast(x).dtype == torch.float32
    assert torch.equal(found, model.weight[TARGET].to(dtype).float())
    assert torch.equal(found, model.weight[TARGET]) == (dtype == torch.float32)


@pytest.fixture(scope="module")
def forms(networks):
    """Of each network the plain copy, the compiled one and that of mixed precision, with inputs."""
    made = []
    for model, x in networks:
        with torch.no_grad():
            made.append((prepare(model, x), prepare(model, x, **COMPILED), prepare(model, x, **MIXED), x))
    return made


@pytest.mark.parametrize("name", METHODS_ASKED)
def test_every_method_has_its_numbers(name, forms):
    """Compiled to 1e-5. In mixed precision too where a method looks inside, and elsewhere those of a plain autocast.

    Of a function other numbers of inputs run together, and so other sums are rounded to 8 digits.
    """
    for plain, compiled, mixed, x in forms:
        try:
            expected = attribute(plain, x, TARGET, name)
        except ValueError:
            continue  # a method that this network has nothing for
        assert off(attribute(compiled, x, TARGET, name), expected) < 1e-5
        found = attribute(mixed, x, TARGET, name)
        assert found.dtype == expected.dtype
        if name == "score_cam":  # it looks at a layer first, and then runs the model plainly
            assert off(found, expected) < 0.25
        elif name in LOOKING:
            assert off(found, expected) < 1e-5
        else:
            assert off(found, attribute(run_under_autocast(plain), x, TARGET, name)) < 0.25


def run_under_autocast(model):
    """A function, of which nothing inside can be seen."""

    def run(x):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return model(x).float()

    return run


def test_mixed_precision_is_what_a_pass_under_autocast_gives(networks):
    model, x = networks[0]
    plain = prepare(model, x)
    leaf = x.clone().requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = plain(leaf)
    score = out.float().gather(1, TARGET[:, None]).sum()
    (expected,) = torch.autograd.grad(score, leaf)
    fast = prepare(model, x, mixed_precision=True)
    assert torch.equal(fast(x), out.float())
    assert torch.equal(attribute(fast, x, TARGET, "gradient"), expected)
    assert not torch.equal(expected, attribute(plain, x, TARGET, "gradient"))


def test_names_stay_and_the_model_is_left_alone(networks):
    model, x = networks[0]
    before = copy.deepcopy(model.state_dict())
    fast = prepare(model, x, mixed_precision=True)
    assert {name for name, _ in fast.named_modules()} == {name for name, _ in model.named_modules()}
    assert "forward" not in vars(model)
    assert all(torch.equal(a, b) for a, b in zip(before.values(), model.state_dict().values(), strict=True))
    a = attribute(fast, x, TARGET, "grad_cam", layer="stage2")
    assert off(a, attribute(model, x, TARGET, "grad_cam", layer="stage2")) < 1e-5
    assert count_parameters(fast) == count_parameters(prepare(model, x))


@pytest.mark.parametrize("steps", [MIXED, BOTH], ids=str)
@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_a_copy_runs_its_own_weights(steps, duplicate, networks):
    """Metrics draw the parameters of copies anew, workers get models as bytes."""
    model, x = networks[0]
    fast = prepare(model, x, **steps)
    twin = duplicate(fast)
    with torch.no_grad():
        expected = fast(x)
        assert torch.equal(twin(x), expected)
        twin.head.weight.zero_()
        twin.head.bias.fill_(1)
        assert torch.equal(twin(x), torch.ones_like(expected))
        assert torch.equal(fast(x), expected)


def test_steps_add_up(networks):
    model, x = networks[0]
    first = prepare(model, x, mixed_precision=True)
    second = prepare(first, x, compiled=True)
    assert read_steps(second) == (True, True)
    assert not isinstance(second.forward.run, FastForward)
    assert read_steps(prepare(second)) == (True, True)
    assert read_steps(model) == read_steps(prepare(model)) == (False, False)
    with torch.no_grad():
        assert torch.equal(second(x), first(x))


class Words(nn.Module):
    """A network of whole numbers, which returns more than logits."""

    def __init__(self):
        super().__init__()
        self.embed, self.head = nn.Embedding(9, 4), nn.Linear(4, 3)

    def forward(self, ids):
        return {"logits": self.head(self.embed(ids)).mean(1), "ids": ids}


def test_outputs_of_other_forms_are_single_precision_too():
    ids = torch.ones(2, 5).long()
    model = Words().eval()
    out = prepare(model, mixed_precision=True)(ids=ids)
    assert out["ids"] is ids
    assert out["logits"].dtype == torch.float32
    assert 0 < off(out["logits"], model(ids)["logits"].detach()) < 0.02


def test_who_looks_inside_is_seen(networks):
    model, _ = networks[0]
    opened = [look_inside(), capture_outputs(model, "stage1"), watch_calls(model, print, print), replace_forward([])]
    for block in opened:
        assert not is_looked_into()
        with block:
            assert is_looked_into()
    assert not is_looked_into()


def test_a_default_device_looks_at_nothing():
    with torch.device("cpu"):
        assert not is_looked_into()


def test_shared_passes_leave_scores_of_their_own_precision(networks):
    """In one call of several methods, whoever looks inside gets no score of mixed precision from another."""
    model, x = networks[1]
    fast = prepare(model, x, mixed_precision=True)
    together = explain(fast, x, TARGET, ["gradient", "gradient_times_input", "token_occlusion"])
    expected = attribute(prepare(model, x), x, TARGET, "token_occlusion")
    assert off(together["token_occlusion"], expected) < 1e-5
