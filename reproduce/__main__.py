"""`python -m reproduce T2 T1`: compute tables again and store them; without names, all of them."""

import argparse
import os
import sys
from pathlib import Path

from reproduce import t1_road, t2_accuracies, t3_meta, t4_sanity, t5_leverage
from reproduce.results import join_verdict, result_file
from reproduce.verdicts import count_words

# In the order in which they are worth computing: first the gate.
TABLES = {
    "T2": t2_accuracies.run,
    "T1": t1_road.run,
    "T4": t4_sanity.run,
    "T5": t5_leverage.run,
    "T3": t3_meta.run,
}


def read_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m reproduce", description=__doc__)
    parser.add_argument("tables", nargs="*", help=f"of {', '.join(TABLES)}; all if omitted")
    parser.add_argument("--data", type=Path, help="folder of published files, in place of XNB_PUBLISHED")
    parser.add_argument("--pictures", type=int, default=t1_road.PICTURES, help="of T1, at most 1,017")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="after which T1 begins no further block")
    options = parser.parse_args(arguments)
    unknown = sorted(set(options.tables) - TABLES.keys())
    if unknown:
        parser.error(f"no table {', '.join(unknown)}: choose among {', '.join(TABLES)}")
    return options


def write_row(row: dict) -> str:
    """Return one row of a result as a line."""
    numbers = f"{row['published']:.4g} | {row['ours']:.4g} [{row['low']:.4g}, {row['high']:.4g}]"
    return f"  {row['column']} · {row['row']}: {numbers} {join_verdict(row)}"


def main(arguments: list[str] | None = None) -> None:
    """Compute, store, and print each row with its verdict."""
    options = read_arguments(arguments)
    if options.data:
        os.environ["XNB_PUBLISHED"] = str(options.data)
    for name in options.tables or TABLES:
        knobs = {"pictures": options.pictures, "minutes": options.minutes} if name == "T1" else {}
        record = TABLES[name](**knobs)
        lines = [f"{name} · {record['title']}", *map(write_row, record["rows"])]
        words = count_words([row["verdict"] for row in record["rows"]])
        sys.stdout.write("\n".join([*lines, f"  {words}", f"  stored in reproduce/{result_file(name).name}", ""]))


if __name__ == "__main__":
    main()
