"""An ensemble is the mean of networks that start differently."""

import torch

from xnb.access.score import logits
from xnb.models import Ensemble, plain_cnn


def test_an_ensemble_is_the_mean_of_its_members():
    x = torch.rand(4, 3, 32, 32)
    model = Ensemble(plain_cnn, 3).eval()
    torch.testing.assert_close(logits(model, x), torch.stack([logits(m, x) for m in model.members]).mean(0))
    first, second = (next(member.parameters()) for member in model.members[:2])
    assert not torch.equal(first, second)
