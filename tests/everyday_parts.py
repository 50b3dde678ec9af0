"""Everyday parts of networks on maps (B, 4, 6, 6), each beside itself with what takes no relevance held constant.

With those constants the gradient times the input is what layer-wise relevance propagation with its epsilon rule
gives, but for epsilon (Ali et al. 2022, arXiv:2202.07304): an independent reference in plain autograd.
"""

import torch
from torch import nn
from torch.nn import functional as F

RNG = torch.Generator().manual_seed(0)


def drawn(*shape, rng=RNG):
    return torch.randn(*shape, dtype=torch.double, generator=rng)


def seeded(module, rng=RNG):
    for weights in module.parameters():
        weights.data = drawn(*weights.shape, rng=rng) * 0.3
    return module.double().eval()


def held(values, z):
    """`values`, all of whose relevance goes to z: z times a constant."""
    return z * (values / z).detach()


def activation(function):
    return function, lambda z: held(function(z), z)


W = {name: drawn(*shape) for name, shape in {"mix": (4, 5), "square": (6, 6), "row": (6,), "scale": (4, 1, 1)}.items()}
LSTM = seeded(nn.LSTM(24, 7, batch_first=True, bias=False))
GRU = seeded(nn.GRU(24, 7, batch_first=True, bias=False))
RNN = seeded(nn.RNN(24, 7, batch_first=True, bias=False, num_layers=2, bidirectional=True))
CELL = seeded(nn.LSTMCell(24, 7, bias=False))
SQUEEZE = seeded(nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(4, 2, 1), nn.SiLU(), nn.Conv2d(2, 4, 1)))
UP = {n: seeded(getattr(nn, f"ConvTranspose{n}d")(4, 6, 2, 2, groups=2, bias=False)) for n in (1, 2, 3)}


def centre(z, axes):
    return z - z.mean(axes, keepdim=True)


def deviation(z, axes):
    return (centre(z, axes).square().mean(axes, keepdim=True) + 1e-5).sqrt().detach()


def standardise_groups(z):
    grouped = z.view(-1, 2, 72)
    return (centre(grouped, 2) / deviation(grouped, 2)).view(z.shape)


def root_of_squares(z):
    """Of each window the root gets what it is, and its values share as their squares do."""
    total = 9 * F.avg_pool2d(held(z**2, z), 3)
    return held(total.sqrt(), total)


def steps(z):
    return z.permute(0, 2, 1, 3).flatten(2)


def lstm_by_hand(z):
    h = c = torch.zeros(len(z), 7, dtype=z.dtype)
    for x in steps(z).unbind(1):
        i, f, g, o = (x @ LSTM.weight_ih_l0.T + h @ LSTM.weight_hh_l0.T).chunk(4, 1)
        c = f.sigmoid().detach() * c + i.sigmoid().detach() * held(g.tanh(), g)
        h = o.sigmoid().detach() * held(c.tanh(), c)
    return h


def gru_by_hand(z):
    h = torch.zeros(len(z), 7, dtype=z.dtype)
    for x in steps(z).unbind(1):
        (r, u, n), (hr, hu, hn) = (x @ GRU.weight_ih_l0.T).chunk(3, 1), (h @ GRU.weight_hh_l0.T).chunk(3, 1)
        n = n + (r + hr).sigmoid().detach() * hn
        u = (u + hu).sigmoid().detach()
        h = (1 - u) * held(n.tanh(), n) + u * h
    return h


def half(z, y):
    """A product of two signals, of which each gets half: the gradient of a product hands the whole to both."""
    return (z * y + (z * y).detach()) / 2 if z is y else 0.5 * (z * y.detach() + z.detach() * y)


def attend(z, hold=lambda weights: weights):
    tokens = z.flatten(2).transpose(1, 2)
    return hold(torch.softmax(tokens @ tokens.transpose(1, 2) / 2, -1)) @ tokens


def with_constants(z):
    never = torch.zeros_like(z).gt(0)
    return torch.where(never, 1.0, z).masked_fill(never, 1.0) + z.new_zeros(6) * z.new_tensor(2.0)


# Name: the part, and the same with constants; None where the part itself is linear or picks.
PARTS = {
    "hardswish": activation(F.hardswish),
    "hardsigmoid": activation(F.hardsigmoid),
    "mish": activation(F.mish),
    "prelu": activation(lambda z: F.prelu(z, W["row"][:4].abs())),
    "softplus": activation(F.softplus),
    "softsign": activation(F.softsign),
    "logsigmoid": activation(F.logsigmoid),
    "clamp": activation(lambda z: z.clamp(-0.5, 0.7)),
    "in place": activation(lambda z: F.dropout(F.hardswish(z * 1, inplace=True), 0.2, False, True)),
    "square": activation(lambda z: z**2),
    "glu": (lambda z: F.glu(z, 1), lambda z: z[:, :2] * z[:, 2:].sigmoid().detach()),
    "group_norm": (
        lambda z: F.group_norm(z, 2, W["row"][:4]),
        lambda z: standardise_groups(z) * W["row"][:4, None, None],
    ),
    "instance_norm": (F.instance_norm, lambda z: centre(z, (2, 3)) / deviation(z, (2, 3))),
    "layer_norm": (lambda z: F.layer_norm(z, (6,)), lambda z: centre(z, 3) / deviation(z, 3)),
    "layer_norm_by_hand": (
        lambda z: (z - z.mean(-1, keepdim=True)) / (z.var(-1, unbiased=False, keepdim=True) + 1e-5).sqrt(),
        lambda z: centre(z, 3) / deviation(z, 3),
    ),
    "rms_norm": (
        lambda z: F.rms_norm(z, (6,), W["row"], 1e-5),
        lambda z: z * W["row"] / (z.square().mean(-1, keepdim=True) + 1e-5).sqrt().detach(),
    ),
    "local_response_norm": activation(lambda z: F.local_response_norm(z, 3, 0.5)),
    "normalize": activation(lambda z: F.normalize(z, dim=1)),
    "nearest": (lambda z: F.interpolate(z, scale_factor=2), None),
    "bilinear": (lambda z: F.interpolate(z, size=(9, 7), mode="bilinear"), None),
    "trilinear": (lambda z: F.interpolate(z[:, None], size=(5, 9, 7), mode="trilinear"), None),
    "pixel_shuffle": (lambda z: F.pixel_unshuffle(F.pixel_shuffle(z, 2), 3), None),
    "einsum": (lambda z: torch.einsum("bchw,cd->bdhw", z, W["mix"]), None),
    "einsum_of_two": (
        lambda z: torch.einsum("bchw,bdhw->bcd", z, z[:, :3]),
        lambda z: (
            0.5
            * (
                torch.einsum("bchw,bdhw->bcd", z, z[:, :3].detach())
                + torch.einsum("bchw,bdhw->bcd", z.detach(), z[:, :3])
            )
        ),
    ),
    "unfold_and_fold": (lambda z: F.fold(F.unfold(z, 3), (6, 6), 3), None),
    "adaptive_avg_pool1d": (lambda z: F.adaptive_avg_pool1d(z.flatten(2), 5), None),
    "adaptive_avg_pool3d": (lambda z: F.adaptive_avg_pool3d(z[:, None], 2), None),
    "adaptive_max_pool1d": (lambda z: F.adaptive_max_pool1d(z.flatten(2), 5), None),
    "adaptive_max_pool2d": (lambda z: F.adaptive_max_pool2d(z, 4), None),
    "adaptive_max_pool3d": (lambda z: F.adaptive_max_pool3d(z[:, None], 2), None),
    "lp_pool": (lambda z: F.lp_pool2d(z, 2, 3), root_of_squares),
    "conv_transpose1d": (lambda z: UP[1](z.flatten(2)), None),
    "conv_transpose2d": (lambda z: UP[2](z), None),
    "conv_transpose3d": (lambda z: UP[3](z[:, :, None]), None),
    "amax": (lambda z: z.amax((2, 3)), None),
    "amin": (lambda z: z.amin(1), None),
    "max_of_axis": (lambda z: z.max(1).values + z.min(2)[0].mean(1, keepdim=True), None),
    "maximum": (lambda z: torch.maximum(z[:, :2], z[:, 2:]), None),
    "neg_and_rotary": (lambda z: torch.cat([-z[..., 3:], z[..., :3]], -1) * W["scale"] + z, None),
    "one_minus": activation(lambda z: 1 - z),
    "constant_on_the_left": activation(lambda z: W["row"] + z),
    "addmm": (lambda z: torch.addmm(W["mix"][0] * 0, z.mean((2, 3)), W["mix"]), None),
    "baddbmm": (lambda z: torch.baddbmm(z[:, 0], z[:, 1], W["square"].expand(len(z), 6, 6)), None),
    "repeat_and_tile": (lambda z: z.repeat(1, 2, 1, 1).tile(2) + z.repeat_interleave(2, 1).repeat(1, 1, 1, 2), None),
    "pick": (lambda z: z.index_select(1, torch.tensor([2, 0])).gather(3, torch.ones(len(z), 2, 6, 2).long()), None),
    "roll_and_flip": (lambda z: z.roll(2, 3).flip(2).rot90(1, (2, 3)), None),
    "casts": (lambda z: z.float().double().type(torch.double), None),
    "constants": (with_constants, None),
    "cumsum_and_var": (
        lambda z: torch.cat([z.cumsum(3).flatten(1), z.var((2, 3))], 1),
        lambda z: torch.cat([z.cumsum(3).flatten(1), half(centre(z, (2, 3)), centre(z, (2, 3))).sum((2, 3)) / 35], 1),
    ),
    "squeeze_and_excite": (
        lambda z: z * SQUEEZE(z).sigmoid(),
        lambda z: z * SQUEEZE(z).sigmoid().detach(),
    ),
    "squeeze_and_excite_hard": (
        lambda z: F.hardsigmoid(SQUEEZE(z), inplace=True).expand_as(z).mul(z),
        lambda z: z * F.hardsigmoid(SQUEEZE(z)).detach(),
    ),
    "highway": (
        lambda z: (1 - z.sigmoid()) * z.flip(1) + z.sigmoid() * z,
        lambda z: (1 - z.sigmoid()).detach() * z.flip(1) + z.sigmoid().detach() * z,
    ),
    "lstm": (lambda z: LSTM(steps(z))[0][:, -1], lstm_by_hand),
    "lstm_cell": (
        lambda z: CELL(z[:, :, :, 0].flatten(1))[0],
        lambda z: cell_by_hand(z[:, :, :, 0].flatten(1)),
    ),
    "gru": (lambda z: GRU(steps(z))[1][0], gru_by_hand),
    "attention": (attend, lambda z: attend(z, torch.Tensor.detach)),
    "scaled_dot_product": (
        lambda z: F.scaled_dot_product_attention(*[z.flatten(2).transpose(1, 2)] * 3),
        lambda z: attend(z, torch.Tensor.detach),
    ),
    "product": (lambda z: z[:, :2] * z[:, 2:], lambda z: half(z[:, :2], z[:, 2:])),
}


def cell_by_hand(x):
    i, _, g, o = (x @ CELL.weight_ih.T).chunk(4, 1)
    c = i.sigmoid().detach() * held(g.tanh(), g)
    return o.sigmoid().detach() * held(c.tanh(), c)


class Around(nn.Module):
    """A convolution, one of the parts, and a linear map to three classes, without biases."""

    def __init__(self, part):
        super().__init__()
        self.part = part
        rng = torch.Generator().manual_seed(1)
        self.conv = seeded(nn.Conv2d(3, 4, 3, padding=1, bias=False), rng)
        with torch.no_grad():
            width = part(self.conv(drawn(1, 3, 6, 6, rng=rng))).flatten(1).shape[1]
        self.head = seeded(nn.Linear(width, 3, bias=False), rng)
        self.eval()

    def forward(self, x):
        return self.head(self.part(self.conv(x)).flatten(1))
