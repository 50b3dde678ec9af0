"""Is a weighting of tokens an explanation? What the debate on attention measures (arXiv:1902.10186, 1908.04626)."""

import copy

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Adam, AdamW

from xnb.access.hooks import captured_attention
from xnb.types import Target

Weights = Float[Tensor, "B N"]  # of the tokens of each input, not negative, with sum 1


def seen(model: nn.Module, x: Tensor) -> tuple[Weights, Float[Tensor, "B N D"]]:
    """Weights and tokens of the last attention, a pooling with one head and one query; on the graph."""
    with captured_attention(model) as found:
        model(x)
    return found[-1].weights[:, 0, 0], found[-1].values[:, 0]


def divergence(a: Weights, b: Weights) -> Float[Tensor, " B"]:
    r"""Jensen-Shannon divergence in nats: 0 for equal weights, :math:`\log 2 = 0.69` if no token has weight in both."""
    middle = (a + b) / 2
    return (relative(a, middle) + relative(b, middle)) / 2


def relative(a: Weights, b: Weights) -> Float[Tensor, " B"]:
    a, b = a.clamp(min=1e-12), b.clamp(min=1e-12)  # a weight of 0 adds nothing, and its logarithm has no slope
    return (a * (a / b).log()).sum(1)


def moved(a: Weights, b: Weights, values: Float[Tensor, "B N K"]) -> Float[Tensor, " B"]:
    r"""How far `b` in place of `a` moves the probabilities: total variation, :math:`\frac12 \sum_c |p_c - q_c|`.

    `values` are the logits of each token alone: what a linear head makes of it.
    """
    p, q = (torch.softmax(torch.einsum("bn,bnk->bk", each, values), 1) for each in (a, b))
    return (p - q).abs().sum(1) / 2


def farthest(
    a: Weights, values: Float[Tensor, "B N K"], budget: float, *, starts: int = 4, steps: int = 150, seed: int = 0
) -> Float[Tensor, " B"]:
    """Divergence from `a` of the most distant weights found, for each input anew, that keep its decision.

    Where it is large, other weights explain the decision as well. A search finds a lower bound, and weights made up
    for one input need not be those of any network: see `rival`.

    Args:
        budget: largest `moved` that counts as the same decision.
        starts: half of them near `a`, half anywhere, as near to `a` the ascent ends on the top of a small hill.
        steps: of gradient ascent (Adam) from each start.
        seed: of the starts.

    Source: Jain & Wallace 2019, arXiv:1902.10186.
    """
    B, rng = len(a), torch.Generator().manual_seed(seed)
    a, values = a.detach().repeat(starts, 1), values.detach().repeat(starts, 1, 1)
    noise = 2 * torch.randn(a.shape, generator=rng, dtype=a.dtype).to(a)
    near = (torch.arange(len(a), device=a.device) < B * (starts // 2))[:, None]
    ratings = (noise + near * (a + 1e-6).log()).requires_grad_()
    optimizer, best = Adam([ratings], lr=0.1), a.new_zeros(len(a))
    for _ in range(steps):
        b = torch.softmax(ratings, 1)
        far, shift = divergence(a, b), moved(a, b, values)
        best = torch.where((shift <= budget) & (far > best), far.detach(), best)
        loss = 20 * F.relu(shift - 0.8 * budget) - far  # a margin, as a step may overshoot
        (ratings.grad,) = torch.autograd.grad(loss.sum(), ratings)
        optimizer.step()
    return best.view(starts, B).amax(0)


def rival(
    pool: nn.Module,
    head: nn.Module,
    tokens: Float[Tensor, "B N D"],
    *,
    steps: int = 150,
    price: float = 2.0,
    seed: int = 0,
) -> nn.Module:
    """A pooling like the given one, trained from new to weigh the tokens otherwise and yet to decide the same.

    Args:
        steps: of Adam, all inputs at once.
        price: of moving a probability by 1, in nats of divergence.
        seed: of its first weights.

    Source: Wiegreffe & Pinter 2019, arXiv:1908.04626.
    """
    a, tokens, other = seen(pool, tokens)[0].detach(), tokens.detach(), renewed(pool, seed)
    values, optimizer = head(tokens).detach(), Adam(other.parameters(), lr=1e-2)
    for _ in range(steps):
        b = seen(other, tokens)[0]
        loss = (price * moved(a, b, values) - divergence(a, b)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return other


def renewed(model: nn.Module, seed: int = 0) -> nn.Module:
    """A copy that has forgotten all: random first weights, as a control."""
    other = copy.deepcopy(model)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for module in other.modules():
            if hasattr(module, "reset_parameters"):
                module.reset_parameters()
    return other


class Readers(nn.Module):
    r"""Simple readers side by side, each of the same pieces under a weighting of its own that it cannot change.

    .. math:: f_m = W_m \sum_n a_{nm}\, \tanh(V_m x_n)

    No piece knows of another, so a weighting is worth as much to a reader as it says about which pieces matter.
    """

    def __init__(self, inputs: int, classes: int, readers: int, hidden: int = 32) -> None:
        super().__init__()
        self.first, self.readers = nn.Linear(inputs, hidden * readers), readers
        self.last = nn.Parameter(torch.randn(readers, hidden, classes) / hidden**0.5)

    def forward(self, x: Float[Tensor, "B N F"], weights: Float[Tensor, "B N M"]) -> Float[Tensor, "B M K"]:
        found = torch.tanh(self.first(x)).unflatten(2, (self.readers, -1))
        return torch.einsum("bmd,mdk->bmk", torch.einsum("bnm,bnmd->bmd", weights, found), self.last)


def taught(
    x: Float[Tensor, "B N F"], weights: Float[Tensor, "B N M"], y: Target, *, steps: int = 300, seed: int = 0
) -> Readers:
    """Readers trained on these pieces, weightings and classes; frozen attention as in arXiv:1908.04626.

    Args:
        steps: of AdamW, 100 inputs each.
        seed: of the first weights and the order of the inputs.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = Readers(x.shape[2], int(y.max()) + 1, weights.shape[2])
        optimizer = AdamW(net.parameters(), lr=1e-2)
        for _ in range(steps):
            some = torch.randint(len(x), (100,))
            out = net(x[some], weights[some])
            loss = F.cross_entropy(out.flatten(0, 1), y[some].repeat_interleave(out.shape[1]))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return net.eval()
