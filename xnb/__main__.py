"""Long runs from a command line, on one machine or many: `python -m xnb compare study.py:arguments --path t.parquet`.

A study is a function of a file of one's own, without arguments, that returns what `xnb.compare` or
`xnb.attribute_data` is called with: `{"model": ..., "data": ..., "methods": [...]}`. Each process makes it anew, so it
must return the same each time; a file that was begun with another is refused.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from xnb.check import is_refusal, require
from xnb.comparison.pilot import estimate_cost
from xnb.comparison.store import gather
from xnb.comparison.sweep import run_comparison
from xnb.explanation import attribute_data
from xnb.scale.dask_tasks import connect_scheduler, start_workers
from xnb.scale.studies import load_study

_EPILOG = """a sweep by sixteen jobs on one file system, by a loop or a Slurm array, in any order, and one file of it:
  for n in $(seq 16); do python -m xnb compare study.py:arguments --path t.parquet --shard $n/16; done
  sbatch --array=1-16 --wrap 'python -m xnb compare study.py:arguments --path t.parquet --shard $SLURM_ARRAY_TASK_ID/16'
  python -m xnb gather t.parquet
shards are numbered from 1, as in --array=1-16; what counts from 0 hands on $((SLURM_ARRAY_TASK_ID + 1))/16. Where one
is lost gather refuses, and the call without --shard does its work; one that runs twice counts once.

a claim of claims.toml, judged from that file as from one process:
  import pandas
  from xnb.comparison import judge_rows, read_claims
  claim = read_claims("claims.toml")["gradient"]
  table = pandas.read_parquet("t.parquet").query("metric == 'srg'")
  values = table.pivot(index="image", columns="method", values="value")
  print(judge_rows(claim, {"gradient less random": values["gradient"] - values["random"]}))"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command."""
    options = _make_parser().parse_args(arguments)
    options.run(options)


def _show_error(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Write a refusal in its three lines, and anything else with its trace."""
    if is_refusal(error):
        sys.stderr.write(f"{error}\n")
    else:
        sys.__excepthook__(kind, error, trace)


def _make_parser() -> argparse.ArgumentParser:
    style = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="python -m xnb", description=__doc__, epilog=_EPILOG, formatter_class=style)
    commands = parser.add_subparsers(required=True, metavar="command")
    compare = commands.add_parser("compare", help="measure methods by metrics: xnb.compare")
    compare.set_defaults(run=_start_comparison)
    _add_run_options(compare, "Parquet file of the table")
    compare.add_argument("--dry-run", action="store_true", help="say what it will cost, from a few inputs")
    attribute = commands.add_parser("attribute", help="explain a whole data set: xnb.attribute_data")
    attribute.set_defaults(run=_explain_data)
    _add_run_options(attribute, "folder of the maps, in Zarr")
    joined = commands.add_parser("gather", help="make the file of a comparison whose shards are all done")
    joined.add_argument("path", type=Path)
    joined.set_defaults(run=_gather_parts)
    return parser


def _add_run_options(command: argparse.ArgumentParser, path: str) -> None:
    command.add_argument("study", help="function of the arguments, as file.py:function or package.module:function")
    command.add_argument("--path", type=Path, required=True, help=path)
    command.add_argument("--shard", help="share of the work that this run does, as 3/16")
    engine = command.add_mutually_exclusive_group()
    engine.add_argument("--workers", type=int, default=0, help="processes of one thread on this machine, by Dask")
    engine.add_argument("--scheduler", help="address of a Dask scheduler, as tcp://host:8786")


def _start_comparison(options: argparse.Namespace) -> None:
    settings = _read_study(options.study)
    if options.dry_run:
        sys.stdout.write(f"{estimate_cost(**settings, workers=options.workers)}\n")
        return
    with _open_client(options) as client:
        run_comparison(**settings, path=options.path, shard=options.shard, client=client)


def _explain_data(options: argparse.Namespace) -> None:
    settings = _read_study(options.study)
    with _open_client(options) as client:
        attribute_data(**settings, path=options.path, shard=options.shard, client=client)


def _gather_parts(options: argparse.Namespace) -> None:
    gather(options.path)


def _read_study(name: str) -> dict[str, Any]:
    """Return the arguments that a study makes."""
    make: Callable[[], Any] = load_study(name)
    settings = make()
    rule = "study: the function must return the arguments of the call by name, model and data among them"
    whole = isinstance(settings, Mapping) and {"model", "data"} <= set(settings)
    require(whole, rule, settings, 'return {"model": model, "data": data.test}')
    return dict(settings)


@contextmanager
def _open_client(options: argparse.Namespace) -> Iterator[Any]:
    """Yield a client of workers, or None where this process does the work."""
    if options.workers:
        with start_workers(options.workers) as client:
            yield client
    elif options.scheduler:
        with connect_scheduler(options.scheduler) as client:
            yield client
    else:
        yield None


if __name__ == "__main__":
    sys.excepthook = _show_error
    main()
