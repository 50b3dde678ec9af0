"""Shards: work divided among runs that know nothing of each other, such as the jobs of a cluster's array."""

import re
from dataclasses import dataclass

from xnb.check import refuse, require

_WRITTEN = re.compile(r"(\d+)/(\d+)")


@dataclass(frozen=True)
class Shard:
    """One of `count` shares of the work, numbered from 1: every `count`-th piece of it."""

    number: int
    count: int

    def takes(self, position: int) -> bool:
        """Return whether the piece at this position, counted from 0, belongs to this share."""
        return position % self.count == self.number - 1

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"


def read_shard(shard: object, who: str) -> Shard | None:
    """Return the share that is written as `"3/16"` or `(3, 16)`; None stands for all of the work.

    Args:
        who: called by the user, the first word of a refusal.

    Raises:
        ValueError: neither of these, or a number that is not from 1 to the count.
    """
    if shard is None:
        return None
    rule = f"{who}: shard must be written as number/count, the first of sixteen as 1/16"
    hint = 'shard="1/16"'
    match = _WRITTEN.fullmatch("/".join(map(str, shard)) if isinstance(shard, tuple | list) else str(shard))
    if match is None:
        refuse(rule, shard, hint)
    number, count = map(int, match.groups())
    require(1 <= number <= count, rule, shard, hint)
    return Shard(number, count)
