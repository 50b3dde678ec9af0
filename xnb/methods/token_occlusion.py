"""Tokens of a Transformer left out of the sequence, and what that does to the score."""

from functools import partial
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map

from xnb.access.attention.stages import Block, find_stages
from xnb.access.chunking import chunks, join_chunks
from xnb.access.fast_forward import look_inside
from xnb.access.ledger import add_passes
from xnb.access.model_call import check_explainable, chunk_logits
from xnb.access.rows import select_rows
from xnb.access.score import changed_scores, score
from xnb.access.targets import target_logit
from xnb.access.trials import count_run_changes
from xnb.access.way_out import FORWARD_ONLY
from xnb.check import refuse, require
from xnb.methods.registry import method
from xnb.methods.second_choice import suggest_first
from xnb.methods.seen_attention import TokenKnobs
from xnb.methods.token_layout import Patch, Special, TokenLayout, find_token_layout, place_tokens_on_input
from xnb.types import Attribution, Batch, Model, Target


@method(
    family="attention",
    needs="modules",
    cost="(1 + N) F, each shorter by the tokens dropped",
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

    .. math:: a_j = f(T) - f(T \setminus W_j)

    Here :math:`T` are the tokens that enter the first block, :math:`W_j` is token :math:`j` or its window of patches.
    Positions stay with the tokens that are left, as does what belongs to them in a mask, and a network that never saw a
    shorter sequence in training may still be surprised. Two copies of the evidence hide each other.

    Args:
        window: side of the square of patches that is left out together; 1 where tokens are no patches.
        chunk: inputs run together; the result does not depend on it.
        special: numbers of the tokens that are no piece of the input; None finds them.
        patch: side of a patch of a picture, or height and width; None finds it.

    Raises:
        ValueError: the model has no row of blocks that hand tokens to one another, or `window` does not fit.
    """
    check_explainable(model, x, target)
    with look_inside():  # stages run as they are; so does the whole, in the same precision
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
    groups = _group_pieces(layout, window).to(x.device)
    numbers = torch.arange(layout.tokens, device=x.device)
    rests = [numbers[~torch.isin(numbers, group)] for group in groups]
    try:
        # As many inputs as tokens: of what has two such axes it could not be told which is which.
        parts = [slice(0, 1), slice(1, None)] if len(x) == layout.tokens else [slice(None)]
        by_part = []
        for rows in parts:
            with select_rows(rows, len(x)):
                by_part.append(_score_rests(stages, x[rows], target[rows], torch.stack(rests)))
        scores = torch.cat(by_part, 1)
    except (RuntimeError, IndexError) as error:
        hint = suggest_first(model, x, target, "rollout", "raw_attention")
        refuse("token_occlusion: the blocks must run on fewer tokens", str(error), hint)
    drops = (whole - scores).T
    attributions = drops.new_zeros(len(x), layout.tokens)
    attributions[:, groups] = drops[:, :, None]
    return place_tokens_on_input(attributions, x, layout)


def _score_rests(stages: Any, x: Batch, target: Target, rests: Int[Tensor, "G M"]) -> Float[Tensor, "G B"]:
    """Score of every input from some of its tokens alone, once for each row of their numbers."""
    tokens = stages.tokens(x.clone())  # a first module may work in place
    beside = [_arguments_beside(block) for block in stages.blocks]
    if any(isinstance(value, Tensor) for value in tree_leaves(beside)):
        return _score_rests_one_by_one(stages, tokens, beside, target, rests)

    def leave_out(draws: slice, rows: slice) -> Tensor:
        return tokens[rows][:, rests[draws]].transpose(0, 1)

    # The tokens stand in for the inputs: positions are in them already, so those that are left keep theirs.
    return changed_scores(partial(_run_from_tokens, stages, beside), tokens, target, leave_out, len(rests))


def _score_rests_one_by_one(
    stages: Any, tokens: Tensor, beside: list[tuple], target: Target, rests: Int[Tensor, "G M"]
) -> Float[Tensor, "G B"]:
    """As `_score_rests`, where blocks get more than tokens, as a mask: it has a row an input, and a place a token."""
    scores = tokens.new_empty(len(rests), len(tokens))
    run = count_run_changes(len(rests))
    for number, rest in enumerate(rests[:run]):
        shorter = tree_map(partial(_keep_places, rest=rest, tokens=tokens), beside)
        out = chunk_logits(partial(_run_from_tokens, stages, shorter), tokens[:, rest])
        scores[number] = target_logit(out, target)
    scores[run:] = scores[:1]  # in a trial
    add_passes(forward=(len(rests) - run) * len(tokens))
    return scores


def _arguments_beside(block: Any) -> tuple[tuple, dict[str, Any]]:
    """What a block got beside the tokens when the model last ran."""
    return (block.args, block.kwargs) if isinstance(block, Block) else ((), {})


def _keep_places(value: object, *, rest: Tensor, tokens: Tensor) -> object:
    """What a block gets beside its tokens, without the places of those that are left out.

    They lie along one or both of the last two axes, as in a mask, in rotations, in positions.
    """
    if not isinstance(value, Tensor):
        return value
    rule = "token_occlusion: what a block gets beside its tokens must not look like them: it may be of another sequence"
    require(value.shape != tokens.shape, rule, value, FORWARD_ONLY)
    first_is_inputs = value.ndim > 1 and len(value) == len(tokens) > 1
    for axis in range(max(value.ndim - 2, int(first_is_inputs)), value.ndim):
        if value.shape[axis] == tokens.shape[1]:
            value = value.index_select(axis, rest)
    return value


def _find_entry_layout(stages: Any, x: Batch, knobs: TokenKnobs) -> TokenLayout:
    """Where the tokens lie that enter the first block."""
    with torch.enable_grad(), select_rows(slice(0, 1), len(x)):
        leaf = x[:1].detach().clone().requires_grad_()

        def read_tokens(x: Batch) -> Float[Tensor, "N D"]:
            return stages.tokens(x.clone())[0]

        found = read_tokens(leaf)
        return find_token_layout(found, leaf, "token_occlusion", knobs.special, knobs.patch, read_tokens=read_tokens)


def _run_from_tokens(stages: Any, beside: list[tuple], tokens: Float[Tensor, "B N D"]) -> Tensor:
    """Logits from the tokens that enter the first block, and what each block gets beside them."""
    for block, (args, kwargs) in zip(stages.blocks, beside, strict=True):
        tokens = block.run(tokens, *args, **kwargs) if isinstance(block, Block) else block(tokens)
    return stages.readout(tokens)


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
