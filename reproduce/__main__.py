"""`python -m reproduce T2 T1`: compute tables again and store them; without names, all of them.

T1 may be shared by runs that know nothing of each other, such as the jobs of a cluster's array: `T1 --shard 3/16`, and
when all are done `T1`, which computes what is missing, and stores the table.
"""

import argparse
import os
import sys
from collections.abc import Iterable
from pathlib import Path

from reproduce import t1_road, t1_shards, t2_accuracies, t3_meta, t4_sanity, t5_leverage
from reproduce.results import join_verdict, result_file
from reproduce.verdicts import count_words
from xnb.scale.shards import Shard, read_shard

# In the order in which they are worth computing: first the gate.
TABLES = {
    "T2": t2_accuracies.run,
    "T1": t1_shards.run,
    "T4": t4_sanity.run,
    "T5": t5_leverage.run,
    "T3": t3_meta.run,
}
# The others take minutes, and are no blocks.
SHARDED = {"T1": t1_shards.run_shard}


def read_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m reproduce", description=__doc__)
    parser.add_argument("tables", nargs="*", help=f"of {', '.join(TABLES)}; all if omitted")
    parser.add_argument("--data", type=Path, help="folder of published files, in place of XNB_PUBLISHED")
    parser.add_argument("--pictures", type=int, default=t1_road.PICTURES, help="of T1, at most 1,017")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="after which T1 begins no further block")
    parser.add_argument("--shard", help="share of the blocks of T1 that this run does, from 1/16 to 16/16; no table")
    options = parser.parse_args(arguments)
    wrong = find_mistake(options.tables, options.shard)
    if wrong:
        parser.error(wrong)
    options.shard = read_shard(options.shard, "reproduce")
    return options


def find_mistake(tables: list[str], shard: str | None) -> str:
    """Return what is wrong with the tables that are asked for, or with a share of them; nothing if they are right."""
    unknown = sorted(set(tables) - TABLES.keys())
    if unknown:
        return f"no table {', '.join(unknown)}: choose among {', '.join(TABLES)}"
    whole = [name for name in tables or TABLES if name not in SHARDED]
    if shard is not None and whole:
        return f"{', '.join(whole)} cannot be shared: --shard is for {', '.join(SHARDED)}, made of blocks"
    try:
        read_shard(shard, "reproduce")
    except ValueError as error:
        return str(error)
    return ""


def write_row(row: dict) -> str:
    """Return one row of a result as a line."""
    numbers = f"{row['published']:.4g} | {row['ours']:.4g} [{row['low']:.4g}, {row['high']:.4g}]"
    return f"  {row['column']} · {row['row']}: {numbers} {join_verdict(row)}"


def main(arguments: list[str] | None = None) -> None:
    """Compute, store, and print each row with its verdict; of a share, the blocks that were done."""
    options = read_arguments(arguments)
    if options.data:
        os.environ["XNB_PUBLISHED"] = str(options.data)
    for name in options.tables or TABLES:
        knobs = {"pictures": options.pictures, "minutes": options.minutes} if name == "T1" else {}
        if options.shard is None:
            _print_table(name, TABLES[name](**knobs))
        else:
            _print_share(name, options.shard, SHARDED[name](options.shard, **knobs))


def _print_table(name: str, record: dict) -> None:
    lines = [f"{name} · {record['title']}", *map(write_row, record["rows"])]
    words = count_words([row["verdict"] for row in record["rows"]])
    sys.stdout.write("\n".join([*lines, f"  {words}", f"  stored in reproduce/{result_file(name).name}", ""]))


def _print_share(name: str, shard: Shard, blocks: Iterable[str]) -> None:
    for block in blocks:
        sys.stdout.write(f"  {block}\n")
    sys.stdout.write(f"{name} · shard {shard}: without --shard the same call makes the table\n")


if __name__ == "__main__":
    main()
