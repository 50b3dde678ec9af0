"""What else a model takes: further inputs whose rows follow theirs, and the normalisation of pictures."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from xnb.access.rows import follow_rows
from xnb.adapters.outputs import find_logits
from xnb.adapters.wrapping import WrappedModel
from xnb.check import refuse, require
from xnb.models.layers import Standardise
from xnb.types import Logits, Model


class ModelWithInputs(WrappedModel):
    """A model that is handed further inputs, each with the rows of the inputs that run."""

    def __init__(
        self, model: Callable[..., Any], extras: tuple[object, ...], named: Mapping[str, object], explained: str | None
    ) -> None:
        super().__init__(model)
        self.explained = explained
        self.places = len(extras)
        self.others: dict[str, object] = {}
        self.followers: list[str] = []
        # What has no name is kept under the number of its place: "0", "1", ...
        entries = {**{str(i): value for i, value in enumerate(extras)}, **named}
        for name, value in entries.items():
            self._keep(name, value)

    def _keep(self, name: str, value: object) -> None:
        """What has rows becomes a buffer, which moves with the model; all else is handed on as it is."""
        if isinstance(value, np.ndarray):
            value = torch.as_tensor(value)
        if not isinstance(value, Tensor) or value.ndim == 0:
            self.others[name] = value
            return
        self.followers.append(name)
        setattr(self, f"extra_{name}", nn.Buffer(value, persistent=False))

    def select_extras(self, count: int) -> tuple[list[object], dict[str, object]]:
        """The further inputs of the `count` inputs that run, by place and by name."""
        replica = getattr(self, "_is_replica", False)  # torch marks the copies that nn.DataParallel makes
        hint = "model = xnb.adapters.with_inputs(nn.DataParallel(net), mask=mask)"
        require(not replica, "with_inputs: a replica does not know which inputs it runs", "nn.DataParallel", hint)
        values = dict(self.others)
        for name in self.followers:
            hint = f"model = xnb.adapters.with_inputs(net, {name}={name}[:1])  # one row for all, or x whole"
            rows = follow_rows(getattr(self, f"extra_{name}"), count, name, hint)
            values[name] = rows.expand(count, *rows.shape[1:])
        by_place = [values.pop(str(i)) for i in range(self.places)]
        return by_place, values

    def forward(self, x: Tensor) -> Logits:
        by_place, named = self.select_extras(len(x))
        if self.explained is None:
            return find_logits(self.model(x, *by_place, **named))
        return find_logits(self.model(*by_place, **named, **{self.explained: x}))

    def extra_repr(self) -> str:
        return ", ".join([*self.others, *self.followers])


def with_inputs(
    model: Callable[..., Any], *extras: object, explained: str | None = None, **named: object
) -> ModelWithInputs:
    """Return the model of one input: what else it takes is kept, and each row goes where its input goes.

    Methods run inputs in chunks, many times over, one by one. A mask that is closed over cannot follow; here it does.
    The model is called as `model(x, *extras, **named)`.

    Args:
        extras, named: tensors or arrays with one row for each input of the batch that is explained, or a single row
            for all. What has no rows (a number, a flag, None) is handed on as it is. A tensor that is shared but has
            no axis of inputs belongs into the model: `functools.partial(model, graph=graph)`.
        explained: name of the argument that is explained, where it is not the first.
    """
    return ModelWithInputs(model, extras, named, explained)


def normalise(model: Model, mean: Any, std: Any = None) -> nn.Module:
    """Return the model of pictures in [0, 1], with `(x - mean) / std` as its first step.

    So pictures stay pictures: they can be shown, blurred, and set to grey, and a baseline of 0 is black.

    Args:
        mean: one number, or one for each channel; or what knows both: torchvision's `Normalize` and
            `weights.transforms()`, timm's data configuration, an image processor of Hugging Face.
        std: as `mean`; None if `mean` knows both.
    """
    if std is None:
        mean, std = _read_statistics(mean)
    return _Normalised(Standardise(_list_numbers(mean), _list_numbers(std)), model)


class _Normalised(WrappedModel):
    def __init__(self, standardise: Standardise, model: Model) -> None:
        super().__init__(model)
        self.standardise = standardise.train(self.training)

    def forward(self, x: Tensor) -> Any:
        return self.model(self.standardise(x))


def _list_numbers(values: Any) -> list[float]:
    return torch.as_tensor(values, dtype=torch.double).flatten().tolist()


def _read_statistics(source: Any) -> tuple[Any, Any]:
    """Mean and deviation out of a transform, a configuration or an image processor."""
    for step in reversed(getattr(source, "transforms", [source])):
        facts = step if isinstance(step, Mapping) else _read_attributes(step)
        mean = facts.get("mean", facts.get("image_mean"))
        std = facts.get("std", facts.get("image_std"))
        if mean is not None and std is not None:
            return mean, std
    hint = "xnb.adapters.normalise(model, 0.5, 0.25)"
    return refuse("normalise: mean and deviation, or what knows both", source, hint)


def _read_attributes(step: object) -> dict[str, Any]:
    names = ("mean", "std", "image_mean", "image_std")
    return {name: getattr(step, name) for name in names if hasattr(step, name)}
