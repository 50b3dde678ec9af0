"""What a layer holds: closed forms, scikit-learn and Captum, and data whose parts are known.

Tests: xnb.insight.inside.maximisation, xnb.insight.inside.probes, xnb.insight.inside.neighbourhoods,
xnb.insight.inside.directions
"""

import pytest
import torch
from sklearn.neighbors import NearestNeighbors
from torch import nn

from xnb.access.hooks import change_output
from xnb.insight import inside


@pytest.fixture
def net():
    """The first unit of the layer is the mean red, the second is red less green, at each pixel."""
    model = nn.Sequential(nn.Conv2d(3, 2, 1, bias=False), nn.Identity(), nn.Flatten(), nn.Linear(2 * 64, 3)).eval()
    with torch.no_grad():
        model[0].weight[:] = torch.tensor([[1.0, 0, 0], [1, -1, 0]])[:, :, None, None]
    return model


def test_the_mean_of_a_unit_is_over_places(net):
    x = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(inside.measure_unit(net, x, "0", 1), (x[:, 0] - x[:, 1]).mean((1, 2)))
    torch.testing.assert_close(inside.measure_unit(net, x, "3", 2), net(x)[:, 2].detach())
    with pytest.raises(ValueError, match="the layer has 2 of them"):
        inside.measure_unit(net, x, "0", 2)


@pytest.mark.parametrize("robust", [True, False])
def test_a_unit_that_is_a_colour_gets_that_colour(net, robust):
    x = inside.excite_unit(net, (3, 8, 8), "0", 1, count=2, robust=robust, steps=150)
    assert x.shape == (2, 3, 8, 8)
    assert ((x >= 0) & (x <= 1)).all()
    red, green, blue = x.mean((0, 2, 3))
    assert red > 0.85 > 0.15 > green
    assert 0.3 < blue < 0.7
    again = inside.excite_unit(net, (3, 8, 8), "0", 1, count=2, robust=robust, steps=150)
    assert torch.equal(x, again)


def test_the_span_is_that_of_the_inputs(net):
    x = inside.excite_unit(net, (3, 8, 8), "0", 0, span=(-2.0, 3.0), steps=150)
    assert x[:, 0].mean() > 2
    assert x.min() >= -2


def draw_features(seed, count=400):
    """Five features; the first two tell the class, the rest is noise."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.randint(0, 2, (count,), generator=generator)
    features = torch.randn(count, 5, generator=generator)
    features[:, 0] += 3 * y
    features[:, 1] -= 2 * y
    return features, y


def test_a_probe_reads_what_is_there_and_its_control_does_not():
    old, new = draw_features(0), draw_features(1)
    found = inside.fit_probe(*old, *new)
    assert found.accuracy > 0.9
    assert 0.4 < found.control < 0.6
    assert found.selectivity == pytest.approx(found.accuracy - found.control)


def test_a_probe_with_many_features_learns_any_labels_by_heart():
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(30, 200, generator=generator)
    y = torch.arange(30) % 2
    found = inside.fit_probe(features, y, torch.randn(200, 200, generator=generator), torch.arange(200) % 2)
    assert found.memory > 0.95
    assert abs(found.selectivity) < 0.15


def test_neighbours_are_those_of_scikit_learn():
    generator = torch.Generator().manual_seed(0)
    space = torch.randn(40, 6, dtype=torch.double, generator=generator)
    plane = space[:, :2]
    near = [
        NearestNeighbors(n_neighbors=5).fit(points).kneighbors(return_distance=False)
        for points in (space.numpy(), plane.numpy())
    ]
    expected = [len(set(one) & set(other)) / 5 for one, other in zip(*near, strict=True)]
    found = inside.measure_preservation(space, plane, neighbours=5)
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.double))
    assert (inside.measure_preservation(space, 3 * space, neighbours=5) == 1).all()


def test_a_direction_is_taken_out_at_every_place(net):
    x = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    direction = torch.tensor([0.0, 2.0])
    seen = {}

    def look(output):
        seen["maps"] = inside.remove_direction(direction)(output)
        return seen["maps"]

    with change_output(net, "0", look):
        changed = net(x)
    assert seen["maps"][:, 1].abs().max() < 1e-6
    torch.testing.assert_close(seen["maps"][:, 0], x[:, 0])
    torch.testing.assert_close(changed, net[3](seen["maps"].flatten(1)))
    assert not torch.equal(net(x), changed)


class InWords(nn.Module):
    """A module that returns no tensor."""

    def forward(self, x):
        return {"features": x}


def test_what_is_refused(net, as_users_run):
    words, (features, y) = InWords(), draw_features(0)
    with pytest.raises(ValueError, match="at least two classes"):
        inside.fit_probe(features, y * 0, features, y)
    with pytest.raises(ValueError, match="repeats must be at least 1"):
        inside.fit_probe(features, y, features, y, repeats=0)
    with pytest.raises(ValueError, match="the same points"):
        inside.measure_preservation(features, features[:5])
    with pytest.raises(ValueError, match="fewer neighbours"):
        inside.measure_preservation(features, features, neighbours=400)
    with pytest.raises(ValueError, match="must not be zero"):
        inside.remove_direction(torch.zeros(3))
    with pytest.raises(ValueError, match="must return a tensor"), change_output(words, "", lambda out: out):
        words(features)
