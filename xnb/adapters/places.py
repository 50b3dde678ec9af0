"""One place of an output as logits `(B, K)`: a pixel or a region of a segmentation, a step of a sequence, a box."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from xnb.access.rows import follow_rows
from xnb.adapters.outputs import choose_place, find_logits
from xnb.adapters.wrapping import ModelWithHead
from xnb.check import refuse, require
from xnb.types import Logits, Model

# The log-odds of a box that is not found would be infinite. Detectors drop boxes below 0.01 or more.
_LEAST_SCORE = 1e-4


def pixel(model: Model, *place: int) -> ModelWithHead:
    """Return the model of maps of logits `(B, K, H, W)` with the logits at one pixel, `(B, K)`.

    Args:
        place: row and column in the output, which may be coarser than the input; one index for a signal `(B, K, T)`,
            three for a volume.
    """
    return ModelWithHead(model, _Pixel(place))


class _Pixel(nn.Module):
    def __init__(self, place: tuple[int, ...]) -> None:
        super().__init__()
        self.place = place

    def forward(self, out: Any) -> Logits:
        maps = find_logits(out)
        sizes = tuple(maps.shape[2:])
        # below zero an index counts from the end, as in a list
        fits = len(sizes) == len(self.place) and all(-n <= i < n for i, n in zip(self.place, sizes, strict=True))
        middle = ", ".join(str(n // 2) for n in sizes)
        hint = f"model = xnb.adapters.pixel(model.model, {middle})" if sizes else f"model = {choose_place(maps)}"
        require(fits, f"pixel: an index for each axis behind (B, K), of sizes {sizes}", self.place, hint)
        everywhere = slice(None)
        index: Any = (everywhere, everywhere, *self.place)
        return maps[index]

    def extra_repr(self) -> str:
        return f"place={self.place}"


def region(model: Model, mask: Tensor | np.ndarray) -> ModelWithHead:
    """Return the model of maps of logits `(B, K, H, W)` with their mean over a region, `(B, K)`.

    Args:
        mask: True where the region is, `(H, W)` in the output's pixels, or `(B, H, W)`, one for each input.

    Raises:
        ValueError: a mask that is not of truth values, or an empty region.
    """
    where = torch.as_tensor(mask)
    require(where.dtype == torch.bool, "region: the mask must hold truth values", where, "mask = mask > 0")
    axes = (-2, -1) if where.ndim > 1 else -1
    filled = bool(where.any()) and (where.ndim < 3 or bool(where.any(axes).all()))
    require(filled, "region: a region has a pixel at least", where, "mask = torch.ones(mask.shape, dtype=torch.bool)")
    return ModelWithHead(model, _Region(where))


class _Region(nn.Module):
    mask: Tensor

    def __init__(self, mask: Bool[Tensor, "*B H W"]) -> None:
        super().__init__()
        self.mask = nn.Buffer(mask, persistent=False)

    def forward(self, out: Any) -> Logits:
        maps = find_logits(out)
        sizes = maps.shape[2:]
        # one axis more than places have: a mask for each input
        per_input = self.mask.ndim == maps.ndim - 1
        fits = self.mask.shape[per_input:] == sizes
        hint = f"model = xnb.adapters.region(model.model, torch.ones({tuple(sizes)}, dtype=torch.bool))"
        require(
            len(sizes) > 0, "region: the model must return maps (B, K, H, W)", maps, f"model = {choose_place(maps)}"
        )
        require(fits, f"region: the mask must have the output's pixels {tuple(sizes)}", self.mask, hint)
        mask = follow_rows(self.mask, len(maps), "mask") if per_input else self.mask[None]
        weights = mask.to(maps) / mask.flatten(1).sum(1).view(-1, *[1] * len(sizes))
        return (maps * weights.unsqueeze(1)).flatten(2).sum(2)


def step(model: Model, t: int) -> ModelWithHead:
    """Return the model of a sequence of logits `(B, T, K)` with those of step `t`, `(B, K)`; -1 is the last."""
    return ModelWithHead(model, _Step(t))


class _Step(nn.Module):
    def __init__(self, t: int) -> None:
        super().__init__()
        self.t = t

    def forward(self, out: Any) -> Logits:
        steps = find_logits(out)
        require(steps.ndim == 3, "step: the model must return (B, T, K)", steps, f"model = {choose_place(steps)}")
        T = steps.shape[1]
        require(
            -T <= self.t < T,
            f"step: one of {T} steps",
            self.t,
            f"model = xnb.adapters.step(model.model, {T - 1})",
        )
        return steps[:, self.t]

    def extra_repr(self) -> str:
        return f"t={self.t}"


def box(model: Model, place: Any, kind: int) -> ModelWithHead:
    """Return a detector with one logit, the log-odds of the score of the box that overlaps most with `place`.

    Explain it with target 1; its sigmoid is the score. Where no box of that kind touches `place`, the score counts as
    0.0001 and nothing explains it. The detector's own cuts (few scores, overlapping boxes) let it jump.

    Args:
        model: returns a dict of `boxes`, `labels` and `scores` for each picture, as torchvision's detectors do.
        place: left, top, right and bottom in pixels of the input, `(4,)`, or `(B, 4)`, a row for each input.
        kind: the label of the box.
    """
    corners = torch.as_tensor(place, dtype=torch.float)
    hint = "xnb.adapters.box(model, (0, 0, 32, 32), 1)"
    require(corners.shape[-1:] == (4,), "box: a place has four corners: left, top, right, bottom", corners, hint)
    return ModelWithHead(model, _Box(corners.view(-1, 4), kind))


class _Box(nn.Module):
    place: Tensor

    def __init__(self, place: Float[Tensor, "B 4"], kind: int) -> None:
        super().__init__()
        self.place = nn.Buffer(place, persistent=False)
        self.kind = kind

    def forward(self, out: Any) -> Logits:
        readable = isinstance(out, list) and all(isinstance(found, Mapping) for found in out)
        readable = readable and all(found.keys() >= {"boxes", "labels", "scores"} for found in out)
        if not readable:
            rule = "box: the model must return a dict of boxes, labels and scores for each picture"
            refuse(rule, out, "model = xnb.adapters.logits(model.model)")
        # no batch of boxes: detectors find another number of them in each picture
        places = follow_rows(self.place, len(out), "place").expand(len(out), -1)
        scores = [self._read_score(found, place) for found, place in zip(out, places, strict=True)]
        return torch.logit(torch.stack(scores), eps=_LEAST_SCORE).unsqueeze(1)

    def _read_score(self, found: Mapping[str, Tensor], place: Float[Tensor, "4"]) -> Tensor:
        """Score of the box of this kind with the greatest overlap, 0 where none overlaps."""
        scores = found["scores"]
        overlap = _measure_overlap(found["boxes"].detach(), place)
        overlap = overlap.where(found["labels"] == self.kind, 0)
        if not overlap.any():
            return scores.sum() * 0  # on the graph, with no gradient
        return scores[overlap.argmax()]

    def extra_repr(self) -> str:
        return f"kind={self.kind}"


def _measure_overlap(boxes: Float[Tensor, "n 4"], place: Float[Tensor, "4"]) -> Float[Tensor, " n"]:
    """Intersection over union of each box with a place."""
    corner = torch.maximum(boxes[:, :2], place[:2])
    end = torch.minimum(boxes[:, 2:], place[2:])
    common = (end - corner).clamp_min(0).prod(1)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    area = (place[2:] - place[:2]).prod()
    return common / (areas + area - common)
