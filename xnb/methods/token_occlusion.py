"""Tokens of a Transformer left out of the sequence, and what that does to the score."""

from functools import partial
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from xnb.access.attention.stages import find_stages
from xnb.access.chunking import chunks, join_chunks
from xnb.access.model_call import check_explainable
from xnb.access.rows import select_rows
from xnb.access.score import changed_scores, score
from xnb.check import refuse, require
from xnb.methods.registry import method
from xnb.methods.second_choice import suggest_first
from xnb.methods.seen_attention import TokenKnobs
from xnb.methods.token_layout import Patch, Special, TokenLayout, find_token_layout, place_tokens_on_input
from xnb.types import Attribution, Batch, Model, Target


@method(
    family="attention",
    needs="modules",
    cost="1 + N F, each shorter by the tokens dropped",
    paper="Zeiler & Fergus 2014, arXiv:1311.2901; dropping tokens: Jain et al. 2022, arXiv:2203.11086",
)
@torch.no_grad()
def token_occlusion(
    model: Model,
    x: Batch,
    target: Target,
    *,
    window: int = 1,
    chunk: int | None = None,
    special: Special = None,
    patch: Patch = None,
) -> Attribution:
    r"""Drop in score when tokens are left out of the sequence: nothing is painted in their place. Unit: score.

    Positions stay with the tokens that are left, and a network that never saw a shorter sequence in training may
    still be surprised. Two copies of the evidence hide each other.

    Args:
        window: side of the square of patches that is left out together; 1 where tokens are no patches.
        chunk: inputs run together; the result does not depend on it.
        special: numbers of the tokens that are no piece of the input; None finds them.
        patch: side of a patch of a picture, or height and width; None finds it.

    Raises:
        ValueError: the model has no row of blocks that hand tokens to one another, or `window` does not fit.
    """
    check_explainable(model, x, target)
    whole = score(model, x, target, chunk=chunk)
    maps = []
    for rows in chunks(x, chunk, large=True):
        with select_rows(rows, len(x)):
            knobs = TokenKnobs(chunk, special, patch)
            maps.append(_occlude_tokens(model, x[rows], target[rows], whole[rows], window, knobs))
    return join_chunks(maps, x)


def _occlude_tokens(
    model: Model, x: Batch, target: Target, whole: Tensor, window: int, knobs: TokenKnobs
) -> Attribution:
    """Drop of one chunk's scores from `whole`, when each group of tokens is left out of the sequence."""
    stages = find_stages(model, x, "token_occlusion")
    layout = _find_entry_layout(stages, x, knobs)
    tokens = stages.tokens(x)
    groups = _group_pieces(layout, window).to(x.device)
    numbers = torch.arange(layout.tokens, device=x.device)
    rests = [numbers[~torch.isin(numbers, group)] for group in groups]
    rest = torch.stack(rests)

    def leave_out(draws: slice, rows: slice) -> Tensor:
        shorter = tokens[rows][:, rest[draws]]
        return shorter.transpose(0, 1)

    # The tokens stand in for the inputs: positions are in them already, so those that are left keep theirs.
    run = partial(_run_from_tokens, stages)
    try:
        scores = changed_scores(run, tokens, target, leave_out, len(groups))
    except (RuntimeError, IndexError) as error:
        hint = suggest_first(model, x, target, "rollout", "raw_attention")
        refuse("token_occlusion: the blocks must run on fewer tokens", str(error), hint)
    drops = (whole - scores).T
    attributions = tokens.new_zeros(len(x), layout.tokens)
    attributions[:, groups] = drops[:, :, None]
    return place_tokens_on_input(attributions, x, layout)


def _find_entry_layout(stages: Any, x: Batch, knobs: TokenKnobs) -> TokenLayout:
    """Where the tokens lie that enter the first block."""
    with torch.enable_grad(), select_rows(slice(0, 1), len(x)):
        leaf = x[:1].detach().clone().requires_grad_()
        tokens = stages.tokens(leaf.clone())[0]
        return find_token_layout(tokens, leaf, "token_occlusion", knobs.special, knobs.patch)


def _run_from_tokens(model: Any, tokens: Float[Tensor, "B N D"]) -> Tensor:
    """Logits from the tokens that enter the first block."""
    for block in model.blocks:
        tokens = block(tokens)
    return model.readout(tokens)


def _group_pieces(layout: TokenLayout, window: int) -> Int[Tensor, "G M"]:
    """Numbers of the tokens that are left out together, a row for each group."""
    grid = layout.grid
    if grid is None:
        require(window == 1, "token_occlusion: window must be 1 where tokens are no patches", window, "window=1")
        return layout.pieces[:, None]
    rows, columns = grid.shape
    divides = window >= 1 and rows % window == 0 and columns % window == 0
    require(divides, f"token_occlusion: window must divide the {rows} x {columns} tokens", window, "window=1")
    # both axes are cut into windows, and then the windows are brought together
    squares = grid.view(rows // window, window, columns // window, window)
    return squares.transpose(1, 2).reshape(-1, window * window)
