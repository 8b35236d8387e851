"""python -m tools.stress inputs: count what goes wrong with damaged files (or fuzz, kill ...).

Every verb prints a row for the table in tests/README.md, and exits with 1 if a count is not zero.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch

from . import disk, fuzz, inputs, kill, load, shim, wheel
from .counting import Report, show
from .job import TINY

Verb = Callable[[argparse.Namespace, Path], Report]


def main() -> int:
    """Run a verb; return 1 if it found a fault."""
    options = _parser().parse_args()
    if options.shim:
        shim.start_again(sys.argv[1:])
    if options.keep is not None:
        options.keep.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)  # verbs fork, and a forked process would wait for threads it lacks
    with tempfile.TemporaryDirectory(dir=options.folder, ignore_cleanup_errors=True) as folder:
        report = options.run(options, Path(folder))
    shim.remove()
    told = [word for word in sys.argv[1:] if word != "--write"]
    show(options.verb, told, report, write=options.write)
    return 1 if report.faults else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tools.stress",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(required=True, metavar="VERB", dest="verb")

    def verb(name: str, run: Verb, text: str) -> argparse.ArgumentParser:
        added = verbs.add_parser(name, help=text, description=run.__doc__)
        added.add_argument("--folder", type=Path, help="folder for temporary files")
        added.add_argument("--keep", type=Path, help="folder for what fails, and why")
        added.add_argument("--seed", type=int, default=0, help="of everything random")
        added.add_argument("--write", action="store_true", help="write the row into the table")
        added.set_defaults(run=run, shim=False)
        return added

    def watched(one: argparse.ArgumentParser) -> None:
        one.add_argument("--workers", type=int, default=2, help="processes at once")
        one.add_argument("--limit", type=float, default=30, help="seconds until a case hangs")
        one.add_argument("--memory", type=float, default=2, help="GiB that a process may add")

    one = verb("inputs", inputs.inputs, "damaged and odd files of every format")
    watched(one)
    one.add_argument("--files", type=int, help="number of the corpus's files (default: all)")
    one.add_argument("--every", type=int, default=1, help="take one of so many files")
    one.add_argument("--model", default=TINY, help=f"model for a sample (default: {TINY})")
    one.add_argument("--model-every", type=int, default=50, help="size of the sample; 0: none")

    one = verb("fuzz", fuzz.fuzz, "files that hypothesis builds and a mutator changes")
    watched(one)
    one.add_argument("--minutes", type=float, default=1, help="how long")

    one = verb("disk", disk.disk, "full and broken disks, wrong clocks, too little memory")
    watched(one)
    one.add_argument("--sizes", type=int, default=10, help="random sizes for every format")
    one.add_argument("--others", type=int, default=5, help="tries of other kinds for every format")
    one.set_defaults(shim=True)

    one = verb("kill", kill.kill, "commands killed at random moments")
    one.add_argument("--times", type=int, default=20, help="number of kills")
    one.add_argument("--verbs", help="commands, with commas (default: all)")
    one.add_argument("--limit", type=float, default=120, help="seconds until a run hangs")

    one = verb("load", load.load, "hours of audio, thousands of songs, threads")
    one.add_argument("--hours", type=float, default=0.1, help="length of one file")
    one.add_argument("--songs", type=int, default=100, help="songs of a batch")
    one.add_argument("--threads", type=int, default=8, help="threads on one Separator")
    one.add_argument("--minutes", type=float, default=0.5, help="how long the threads work")
    one.add_argument("--model", default=TINY, help=f"model (default: {TINY})")
    one.add_argument("--parts", default="long,batch,threads", help="parts, with commas")

    one = verb("wheel", wheel.wheel, "the built wheel in fresh environments")
    one.add_argument("--versions", default="3.11,3.12,3.13", help="of Python, with commas")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
