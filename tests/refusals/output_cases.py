"""Refused calls about models and what they return, in the form of `cases`."""

_GRADIENT = "xnb.attribute(model, x, target, 'gradient')"
_REMOVED = "xnb.metrics.{}(model, x, target, a)"
_CONSTANT = "model = lambda x: torch.ones(len(x), 3)"
_HEAD = "class Head(nn.Module):\n    forward = lambda self, x: x.mean((2, 3))\nmodel = Head; target = 1"

CASES = [
    (_GRADIENT, "model = lambda x: net(x).argmax(1)"),
    (_GRADIENT, "model = lambda x: net(x).round().long()"),
    (_GRADIENT, "model = lambda x: net(x).mean(0)"),
    (_GRADIENT, "model = lambda x: net(x).mean(0, keepdim=True)"),
    (_GRADIENT, "model = lambda x: net(x).sum(); target = 0"),
    (_GRADIENT, _HEAD),
    (_GRADIENT, "model = net.state_dict()"),
    (_GRADIENT, "model = 'resnet18'; x = torch.rand(1, 3, 32, 32); target = 1"),
    (_GRADIENT, "model = xnb.adapters.label(lambda x: net(x)[:, None].repeat(1, 2, 1), 0); target = 1"),
    (_GRADIENT, "model = xnb.adapters.label(lambda x: net(x)[:, 0], 0); target = 1"),
    (_GRADIENT, "model = xnb.adapters.contrast(lambda x: net(x)[:, 0], 0, 1); target = 1"),
    (_GRADIENT, "model = xnb.adapters.step(lambda x: x, 0); target = 1"),
    (_GRADIENT, "model = xnb.adapters.step(net, 0); target = 1"),
    (_GRADIENT, "model = xnb.adapters.pixel(lambda x: net(x)[:, 0], 0); target = 1"),
    (_GRADIENT, "model = xnb.adapters.region(net, mask[0, 0] > 0)"),
    (_GRADIENT, "model = xnb.adapters.region(lambda x: net(x)[:, 0], mask[0, 0] > 0); target = 1"),
    (_GRADIENT, "model = xnb.adapters.two_classes(lambda x: x); target = 1"),
    (_GRADIENT, "model = xnb.adapters.regression(lambda x: x); target = 1"),
    (_GRADIENT, "model = xnb.adapters.logits(lambda x: {'a': net(x)}, key='b')"),
    (_REMOVED.format("deletion"), _CONSTANT),
    (_REMOVED.format("insertion"), _CONSTANT),
    (_REMOVED.format("saco"), _CONSTANT),
    (_REMOVED.format("morf"), _CONSTANT),
    (_REMOVED.format("deletion"), "model = lambda x: net(x) + torch.tensor([500.0, 0, 0]); target = 0"),
]

IN_WORDS = [
    (_GRADIENT, "model = lambda x: None", "model = net"),
    (_GRADIENT, "model = lambda x: ['cat'] * len(x)", "model = net"),
    (_GRADIENT, "model = lambda x: {}", "model = net"),
    (_GRADIENT, "model = lambda x: net(x)[:, :0]", "model = net"),
    (_GRADIENT, "model = xnb.adapters.logits(lambda x: {'a': 1})", "model = net"),
    (_GRADIENT, "model = 7", "model = net"),
]
