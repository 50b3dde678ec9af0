"""T1 by several runs: whoever is lost, doubled or half written, the table has the bytes of one run.

Tests: reproduce.t1_shards
"""

import random

import numpy as np
import pytest
from small_road import NETWORKS, draw_pictures, make_quick, make_small

from reproduce import results, t1_blocks, t1_shards
from reproduce.__main__ import main
from xnb.scale.shards import Shard

COUNT = 13  # pictures: seven blocks of each network, the last of one picture


@pytest.fixture
def quick(monkeypatch, tmp_path):
    return make_quick(monkeypatch, tmp_path, COUNT)


@pytest.fixture(scope="module")
def one_run(tmp_path_factory):
    """The bytes of the table by one run, as it was made before there were shards."""
    with pytest.MonkeyPatch.context() as patch:
        make_quick(patch, tmp_path_factory.mktemp("whole"), COUNT)
        t1_shards.t1_road.run(COUNT)
        return results.result_file("T1").read_bytes()


def run(*arguments):
    main(["T1", "--pictures", str(COUNT), *arguments])


def read_table():
    return results.result_file("T1").read_bytes()


def list_files():
    return sorted(t1_blocks.block_folder().glob("*.npz"))


@pytest.mark.parametrize("count", [1, 3, 16])
def test_in_any_order_they_make_the_same_table(count, quick, one_run):
    numbers = list(range(1, count + 1))
    random.Random(count).shuffle(numbers)
    for number in numbers:
        run("--shard", f"{number}/{count}")
    assert not results.result_file("T1").exists()
    assert len(list_files()) == 14
    quick.clear()
    run()
    assert quick == []  # nothing was left to do
    assert read_table() == one_run


def test_every_block_belongs_to_one_share_which_has_each_network():
    for count in (1, 2, 5):
        shares = [t1_shards.list_pieces(100, Shard(number, count)) for number in range(1, count + 1)]
        pieces = [piece for share in shares for piece in share]
        assert len(pieces) == len(set(pieces)) == 10 * len(t1_blocks.NETWORKS)
        for share in shares:
            starts = [piece.numbers.start for piece in share]
            assert starts == sorted(starts)
            assert {piece.network for piece in share} == set(t1_blocks.NETWORKS)


def test_one_that_is_lost_is_made_up_for(quick, one_run):
    for number in (3, 1):
        run("--shard", f"{number}/3")
    assert len(list_files()) < 14
    run()
    assert read_table() == one_run


def test_one_that_runs_twice_does_nothing_the_second_time(quick, one_run, capsys):
    run("--shard", "1/2")
    quick.clear()
    capsys.readouterr()
    run("--shard", "1/2")
    assert quick == []
    assert capsys.readouterr().out == "T1 · shard 1/2: without --shard the same call makes the table\n"
    run("--shard", "2/2")
    run()
    assert read_table() == one_run


def test_two_at_once_of_one_share_leave_each_block_once(quick, one_run):
    """Both look for blocks before either has written one."""
    both = [t1_shards.run_shard(Shard(1, 2), COUNT) for _ in range(2)]
    while any([next(steps, None) for steps in both]):
        pass
    assert len(list_files()) == 7
    run()
    assert read_table() == one_run


@pytest.mark.parametrize("spoil", [lambda b: b"", lambda b: b[:100], lambda b: b[:-1], lambda b: b"\0" * len(b)])
@pytest.mark.parametrize("again", [(), ("--shard", "1/2")], ids=["table", "share"])
def test_a_block_that_is_half_written_is_computed_again(spoil, again, quick, one_run):
    for number in (1, 2):
        run("--shard", f"{number}/2")
    file = next(piece.file for piece in t1_shards.list_pieces(COUNT, Shard(1, 2)))
    whole = file.read_bytes()
    file.write_bytes(spoil(whole))
    run(*again)
    assert file.read_bytes() == whole
    run()
    assert read_table() == one_run


def test_a_draft_of_a_killed_run_counts_for_nothing(quick, one_run):
    run("--shard", "1/2")
    file = list_files()[0]
    file.rename(file.with_name(f".{file.name}.0123.part"))
    run()
    assert read_table() == one_run


def test_a_block_of_a_run_that_was_asked_for_fewer_pictures_is_computed_again(quick, one_run):
    """Its block has one picture of two: all later pictures would be taken for others."""
    main(["T1", "--pictures", "3", "--shard", "1/1"])
    run("--shard", "2/2")
    run()
    assert read_table() == one_run


def test_a_share_begins_no_block_after_its_minutes(quick):
    run("--shard", "1/2", "--minutes", "0")
    assert list_files() == []


def test_what_a_stored_table_holds_is_not_computed_again(quick, one_run, monkeypatch, tmp_path):
    results.result_file("T1").write_bytes(one_run)
    run("--shard", "1/1")
    assert quick == [*NETWORKS]  # the last block is no whole one, and is not laid out
    run()
    assert read_table() == one_run


def test_a_share_measures_as_one_run_does(monkeypatch, tmp_path):
    """By the networks, not by their stand-in: each picture has its own noise and class, whoever asks."""
    make_small(monkeypatch, tmp_path / "whole")
    pictures = draw_pictures(4)
    list(t1_blocks.run_blocks(pictures, minutes=9))
    whole = t1_blocks.read_blocks(4)
    monkeypatch.setenv("XNB_CACHE", str(tmp_path / "shares"))
    monkeypatch.setattr(t1_shards, "read_exact_pictures", lambda asked: pictures)
    monkeypatch.setattr(t1_blocks, "lay_out_blocks", lambda stored: None)  # those of the committed table
    assert list(t1_shards.run_shard(Shard(2, 2))) == ["ResNet-20, pictures 2 to 3", "ResNet, pictures 2 to 3"]
    assert list(t1_shards.run_shard(Shard(1, 2))) == ["ResNet-20, pictures 0 to 1", "ResNet, pictures 0 to 1"]
    shared = t1_blocks.read_blocks(4)
    for network in NETWORKS:
        np.testing.assert_array_equal(shared[network].right, whole[network].right)
        np.testing.assert_array_equal(shared[network].untouched, whole[network].untouched)
