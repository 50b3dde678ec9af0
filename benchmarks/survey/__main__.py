"""`python -m benchmarks.survey`: ask every network that was not asked yet, then write MODELS.md."""

import argparse
import sys
from collections.abc import Sequence

from benchmarks.survey.answers import FOLDER, read_or_ask
from benchmarks.survey.networks import NETWORKS
from benchmarks.survey.table import write_table
from xnb.folders import ROOT, replace_file
from xnb.progress import show_progress


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.survey", description=__doc__)
    parser.add_argument("--again", action="store_true", help="ask also those whose answers are on file")
    options = parser.parse_args(arguments)
    answers = {}
    for network in show_progress(NETWORKS, len(NETWORKS), "network"):
        answers[f"{network.library} {network.name}"] = read_or_ask(network, again=options.again)
    with replace_file(ROOT / "MODELS.md") as part:
        part.write_text(write_table(answers))
    sys.stdout.write(f"MODELS.md: {len(answers)} networks; answers in {FOLDER.relative_to(ROOT)}/\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
