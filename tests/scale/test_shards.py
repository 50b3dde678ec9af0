"""Shards divide work without a word between them: each piece has one, whatever their count."""

import pytest

from xnb.scale.shards import Shard, read_shard


@pytest.mark.parametrize("written", ["3/16", (3, 16), [3, 16]])
def test_it_is_written_as_text_or_as_two_numbers(written):
    assert read_shard(written, "compare") == Shard(3, 16)
    assert str(Shard(3, 16)) == "3/16"


def test_none_stands_for_all_of_the_work():
    assert read_shard(None, "compare") is None


@pytest.mark.parametrize("wrong", ["0/16", "17/16", "3", "3/0", "-1/4", "a/b", (1, 2, 3), 3, 0.5, "1/2/3", " 1/2"])
def test_anything_else_is_refused_with_a_line_to_paste(wrong):
    with pytest.raises(ValueError, match="compare: shard must be written as number/count") as error:
        read_shard(wrong, "compare")
    assert 'try: shard="1/16"' in str(error.value)


@pytest.mark.parametrize("count", [1, 2, 3, 7, 16])
def test_every_piece_belongs_to_one_shard_and_shares_are_even(count):
    shards = [Shard(number, count) for number in range(1, count + 1)]
    owners = [[shard.number for shard in shards if shard.takes(position)] for position in range(48)]
    assert all(len(found) == 1 for found in owners)
    sizes = [owners.count([shard.number]) for shard in shards]
    assert max(sizes) - min(sizes) <= 1
