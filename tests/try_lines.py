"""Run a refused call, then its `try:` line as a reader would paste it, then the call again."""

import ast
import re
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

import xnb


class Refusal(NamedTuple):
    """A refusal or a warning, and the line that it gave."""

    error: BaseException
    hint: str


def make_scope():
    """The names that a line may use: what a reader has at hand."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 8 * 8, 3)).eval()
    x = torch.rand(4, 2, 8, 8, generator=torch.Generator().manual_seed(1))
    target = torch.tensor([0, 1, 2, 0])
    scope = {"xnb": xnb, "torch": torch, "np": np, "nn": nn, "model": model, "net": model, "x": x, "target": target}
    scope["a"] = torch.rand(4, 2, 8, 8, generator=torch.Generator().manual_seed(2))
    scope["attribution"] = scope["a"]
    scope["mask"] = torch.ones(4, 2, 8, 8)
    scope["method"] = lambda model, x, target: xnb.attribute(model, x, target, "gradient")
    return scope


def refuse(setup, call):
    """The scope after the setup, and how the call was refused in it."""
    scope = make_scope()
    exec(setup, scope)
    try:
        exec(call, scope)
    except Exception as error:
        line = str(error).split("\n  try: ")
        return scope, Refusal(error, line[1] if len(line) > 1 else "")
    return scope, None


def follow_hint(scope, call, hint):
    """Do what the line says, then run the call again unless the line was another call.

    `name = value` is a statement, `name=value` a keyword of the refused call, `one of [...]` offers its values, and all
    else is an expression.
    """
    if re.match(r"one of \[.+\]", hint):
        return
    hint = hint.split("  # ")[0]
    if "; " in hint:
        first, hint = hint.split("; ", 1)
        exec(first, scope)
    if re.match(r"[\w.]+(\[[^]]*\])?(, \w+)* = |del |\w+\.(eval|requires_grad_|load_state_dict)\(", hint):
        exec(hint, scope)
        exec(call, scope)
    elif re.match(r"\w+=[^=]", hint):
        exec(with_keywords(call, hint), scope)
    elif hint.startswith("with "):
        exec(f"{hint.split(':')[0]}: {call}", scope)
    else:
        exec(hint, scope)


def offer_values(call, refusal):
    """The call with each value that `one of [...]` offers, in place of what came."""
    came = str(refusal.error).split("\n  got: ")[1].split("\n  try: ")[0]
    values = ast.literal_eval(refusal.hint.split("  # ")[0].removeprefix("one of "))
    if came.startswith("[") and not isinstance(values[0], list):  # what is not known, of several that came
        came = repr(ast.literal_eval(came)[0])
    if came not in call:  # the name of a knob
        name = ast.literal_eval(came)
        assert f"{name}=" in call, f"the case must write what it hands over as {came}"
        return [call.replace(f"{name}=", f"{value}=") for value in values]
    return [call.replace(came, repr(value)) for value in values]


def with_keywords(call, hint):
    """The call with the keywords of the line in place of its own."""
    tree = ast.parse(call)
    inner = tree.body[-1].value
    if isinstance(inner.func, ast.Name) and inner.func.id in ("list", "next"):
        inner = inner.args[0]
    for keyword in ast.parse(f"f({hint}\n)").body[0].value.keywords:
        inner.keywords = [known for known in inner.keywords if known.arg != keyword.arg] + [keyword]
    return ast.unparse(tree)
