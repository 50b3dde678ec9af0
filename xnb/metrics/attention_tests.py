"""Is a weighting of tokens an explanation? What the debate on attention measures (arXiv:1902.10186, 1908.04626)."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Adam, AdamW

from xnb.access.draws import make_generator, mix_seed
from xnb.access.hooks import capture_attention
from xnb.metrics.randomised_models import randomised_copy
from xnb.types import Target

_TokenWeights = Float[Tensor, "B N"]  # of the tokens of each input, not negative, with sum 1


class _PooledTokens(NamedTuple):
    """What a pooling by attention works on: one weight a token, and the tokens."""

    weights: _TokenWeights
    tokens: Float[Tensor, "B N D"]


def read_attention(model: nn.Module, x: Tensor) -> _PooledTokens:
    """Run the model, and return weights and tokens of its last attention; they keep their graph.

    That attention must be a pooling with one head and one query.
    """
    with capture_attention(model) as calls:
        model(x)
    pooling = calls[-1]
    return _PooledTokens(pooling.weights[:, 0, 0], pooling.values[:, 0])


def jensen_shannon_divergence(a: _TokenWeights, b: _TokenWeights) -> Float[Tensor, " B"]:
    r"""Jensen-Shannon divergence in nats: 0 for equal weights, :math:`\log 2 = 0.69` if no token has weight in both."""
    middle = (a + b) / 2
    return (_relative_entropy(a, middle) + _relative_entropy(b, middle)) / 2


def _relative_entropy(a: _TokenWeights, b: _TokenWeights) -> Float[Tensor, " B"]:
    """Kullback-Leibler divergence of `a` from `b`, in nats."""
    # A weight of 0 adds nothing, and its logarithm has no gradient.
    a = a.clamp(min=1e-12)
    b = b.clamp(min=1e-12)
    return (a * (a / b).log()).sum(1)


def total_variation(a: _TokenWeights, b: _TokenWeights, values: Float[Tensor, "B N K"]) -> Float[Tensor, " B"]:
    r"""How far `b` in place of `a` moves the predicted probabilities, :math:`\frac12 \sum_c |p_c - q_c|`.

    Args:
        a: weights of the tokens.
        b: other weights of the same tokens.
        values: the logits of each token alone, which is what a linear head makes of it.
    """
    p = _predict_probabilities(a, values)
    q = _predict_probabilities(b, values)
    return (p - q).abs().sum(1) / 2


def _predict_probabilities(weights: _TokenWeights, values: Float[Tensor, "B N K"]) -> Float[Tensor, "B K"]:
    return torch.softmax(torch.einsum("bn,bnk->bk", weights, values), 1)


def adversarial_divergence(
    a: _TokenWeights,
    values: Float[Tensor, "B N K"],
    budget: float,
    *,
    starts: int = 4,
    steps: int = 150,
    seed: int = 0,
) -> Float[Tensor, " B"]:
    """Search each input for the weights most different from `a` that keep its decision; return their divergence.

    Where it is large, other weights explain the decision as well. A search finds a lower bound, and weights made up
    for one input need not be those of any network: see `train_adversary`.

    Args:
        a: weights of the tokens.
        values: the logits of each token alone, as in `total_variation`.
        budget: largest `total_variation` that counts as the same decision.
        starts: half of them close to `a` and half anywhere, as an ascent that starts close to `a` may end in a local
            maximum.
        steps: of gradient ascent (Adam) from each start.
        seed: of the starts.

    Source: Jain & Wallace 2019, arXiv:1902.10186.
    """
    B = len(a)
    a = a.detach().repeat(starts, 1)
    values = values.detach().repeat(starts, 1, 1)
    rng = make_generator("other weights of tokens", seed)
    noise = 2 * torch.randn(a.shape, generator=rng, dtype=a.dtype).to(a)
    number = torch.arange(len(a), device=a.device)[:, None]
    starts_near_a = number < B * (starts // 2)
    ratings = noise + starts_near_a * (a + 1e-6).log()  # the weights are their softmax
    ratings.requires_grad_()
    optimizer = Adam([ratings], lr=0.1)
    largest = a.new_zeros(len(a))
    for _ in range(steps):
        b = torch.softmax(ratings, 1)
        divergence = jensen_shannon_divergence(a, b)
        variation = total_variation(a, b, values)
        is_better = (variation <= budget) & (divergence > largest)
        largest = torch.where(is_better, divergence.detach(), largest)
        penalty = 20 * F.relu(variation - 0.8 * budget)  # from four fifths on, as a step may overshoot
        (ratings.grad,) = torch.autograd.grad((penalty - divergence).sum(), ratings)
        optimizer.step()
    return largest.view(starts, B).amax(0)


def train_adversary(
    pool: nn.Module,
    head: nn.Module,
    tokens: Float[Tensor, "B N D"],
    *,
    steps: int = 150,
    price: float = 2.0,
    seed: int = 0,
) -> nn.Module:
    """Train a pooling of the same form to weigh the tokens otherwise and yet to decide the same, and return it.

    Args:
        pool: the pooling by attention that is questioned; it stays as it is.
        head: makes logits of a token, and of their mean.
        tokens: what it is trained on.
        steps: of Adam, all inputs at once.
        price: of moving a probability by 1, in nats of divergence.
        seed: of its first weights.

    Source: Wiegreffe & Pinter 2019, arXiv:1908.04626.
    """
    a = read_attention(pool, tokens).weights.detach()
    tokens = tokens.detach()
    values = head(tokens).detach()
    adversary = randomised_copy(pool, seed=seed)
    optimizer = Adam(adversary.parameters(), lr=1e-2)
    for _ in range(steps):
        b = read_attention(adversary, tokens).weights
        variation = total_variation(a, b, values)
        loss = (price * variation - jensen_shannon_divergence(a, b)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return adversary


def pairwise_auc(values: Float[Tensor, "B N"], signs: Float[Tensor, "B N"]) -> Float[Tensor, " B"]:
    r"""Return how often a token that speaks for a class has a larger value than one that speaks against it.

    .. math:: \frac{1}{n_+ n_-} \sum_{i: s_i > 0} \sum_{j: s_j < 0} [v_i > v_j] + \tfrac12 [v_i = v_j]

    1: always, 0.5: as by lot, or as of values that know no class, over all classes. NaN where one side has no token.

    Args:
        values: of the tokens, for the class that is asked for.
        signs: what each token says about that class: above 0 for it, below 0 against it, 0 nothing.
    """
    wins = (values[:, :, None] - values[:, None]).sign() / 2 + 0.5
    pairs = (signs > 0)[:, :, None] & (signs < 0)[:, None]
    return (wins * pairs).sum((1, 2)) / pairs.sum((1, 2))


class Readers(nn.Module):
    r"""Simple readers side by side, each of the same pieces under weights of its own that it cannot change.

    .. math:: f_m = W_m \sum_n a_{nm}\, \tanh(V_m x_n)

    No piece knows of another, so weights help a reader only by what they say about which pieces matter.
    """

    def __init__(self, inputs: int, classes: int, readers: int, hidden: int = 32) -> None:
        super().__init__()
        self.readers = readers
        self.first = nn.Linear(inputs, hidden * readers)
        self.last = nn.Parameter(torch.randn(readers, hidden, classes) / hidden**0.5)

    def forward(self, x: Float[Tensor, "B N F"], weights: Float[Tensor, "B N M"]) -> Float[Tensor, "B M K"]:
        hidden = torch.tanh(self.first(x))
        hidden = hidden.unflatten(2, (self.readers, -1))
        pooled = torch.einsum("bnm,bnmd->bmd", weights, hidden)
        return torch.einsum("bmd,mdk->bmk", pooled, self.last)


def train_readers(
    x: Float[Tensor, "B N F"], weights: Float[Tensor, "B N M"], y: Target, *, steps: int = 300, seed: int = 0
) -> Readers:
    """Train readers on these pieces, weights and classes; the weights stay as they are (arXiv:1908.04626).

    Args:
        x: pieces of each input.
        weights: of the pieces, for each of M readers.
        y: classes.
        steps: of AdamW, 100 inputs each.
        seed: of the first weights and the order of the inputs.
    """
    with torch.random.fork_rng():
        torch.manual_seed(mix_seed("readers", seed))
        classes = int(y.max()) + 1
        net = Readers(x.shape[2], classes, weights.shape[2])
        optimizer = AdamW(net.parameters(), lr=1e-2)
        for _ in range(steps):
            rows = torch.randint(len(x), (100,))
            logits = net(x[rows], weights[rows])
            # All readers at once: none shares a parameter with another, so each learns as it would alone.
            classes_of_readers = y[rows].repeat_interleave(logits.shape[1])
            loss = F.cross_entropy(logits.flatten(0, 1), classes_of_readers)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return net.eval()
