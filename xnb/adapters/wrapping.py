"""A model within another module, which changes what goes in or what comes out and nothing else."""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from xnb.access.model_call import find_module_behind


class WrappedModel(nn.Module):
    """A model within a module: its parameters are shared, not copied, and its layers keep their names behind `model.`.

    It stays in the mode, evaluation or training, in which it was given.

    Args:
        model: a module, or any function. Where a function is a method or a partial call of a module, that module's
            layers stand behind `network.`.
    """

    def __init__(self, model: Callable[..., Any]) -> None:
        super().__init__()
        self.model = model
        module = find_module_behind(model)
        if module is not None and module is not model:
            self.network = module
        # Not `self.eval()`: it would switch the model, and one in training mode is to be refused, not changed.
        self.training = module is not None and module.training


class ModelWithHead(WrappedModel):
    """A model, and a last step that makes logits `(B, K)` of what it returns."""

    def __init__(self, model: Callable[..., Any], head: nn.Module) -> None:
        super().__init__(model)
        self.head = head.train(self.training)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.model(x))
