"""A claim judged from shards is the row of one process, whatever became of the shards on the way.

Tests: xnb.comparison.claims
"""

from functools import partial

import pandas as pd
import pytest
from claim_files import write_claim

import xnb
from xnb import checkpoints, data
from xnb.comparison import estimate_mean, judge_estimate, judge_rows, read_claims
from xnb.comparison.store import Store, gather
from xnb.scale.threads import use_threads

KNOBS = {"srg": {"steps": 3}, "occlusion": {"window": 3, "stride": 3}}


@pytest.fixture
def claim(tmp_path):
    return read_claims(write_claim(tmp_path, "occlusion"))["occlusion"]


@pytest.fixture(scope="module")
def ask():
    nets = [checkpoints.load(f"cnn-shapes-{training}") for training in (0, 1)]
    part = data.shapes(n=(0, 10), seed=3).test
    with use_threads(1):
        yield partial(xnb.compare, nets, part, ["occlusion"], ["srg"], knobs=KNOBS, batch=2)


def judge(claim, path):
    """What a notebook would write: differences from the control, by training and picture."""
    table = pd.read_parquet(path).pivot(index=["method", "model"], columns="image", values="value")
    values = (table.loc["occlusion"] - table.loc["random"]).to_numpy()
    assert values.shape == (2, 10)
    verdicts = judge_rows(claim, {"less random": values})
    return verdicts, judge_estimate(claim, estimate_mean(values))


def test_three_shards_one_doubled_and_one_reversed(ask, claim, tmp_path, monkeypatch):
    ask(path=tmp_path / "one.parquet")
    path = tmp_path / "shards.parquet"
    ask(path=path, shard="3/3")
    (part,) = (tmp_path / "shards.parts").glob("*.jsonl")
    settings, *cells = part.read_text().splitlines()
    part.write_text("\n".join([settings, *reversed(cells)]) + "\n")
    # Twice at once: neither sees what the other has.
    with monkeypatch.context() as patch:
        patch.setattr(Store, "has", lambda *given: False)
        ask(path=path, shard="1/3")
        ask(path=path, shard="1/3")
    ask(path=path, shard="2/3")
    assert len(list((tmp_path / "shards.parts").glob("*.jsonl"))) == 4
    gather(path)

    verdicts, word = judge(claim, tmp_path / "one.parquet")
    shared, shared_word = judge(claim, path)
    pd.testing.assert_frame_equal(shared.table, verdicts.table, check_exact=True)
    assert str(shared) == str(verdicts)
    assert shared_word == word


def test_of_two_shards_of_three_no_claim_is_judged(ask, claim, tmp_path):
    path = tmp_path / "shards.parquet"
    for shard in ("1/3", "3/3"):
        ask(path=path, shard=shard)
    with pytest.raises(ValueError, match="gather: all cells must be finished"):
        gather(path)
    with pytest.raises(FileNotFoundError):
        judge(claim, path)
