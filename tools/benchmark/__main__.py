"""python -m tools.benchmark speed: measure speed and memory (or memory, start, train ...).

Compare only figures of one run: machines differ, and so does one machine from hour to hour.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

from unmix.weights.manifest import DEFAULT

from . import evaluate, family, museval, speed, training
from .measuring import EXCERPT


def main() -> None:
    """Measure, and print a table."""
    options = _parser().parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        options.measure(options, Path(folder))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tools.benchmark",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(required=True, metavar="VERB")

    def verb(
        name: str, measure: Callable[[argparse.Namespace, Path], None], text: str
    ) -> argparse.ArgumentParser:
        added = verbs.add_parser(name, help=text, description=measure.__doc__)
        added.add_argument("--folder", type=Path, help="folder for temporary files")
        added.set_defaults(measure=measure)
        return added

    one = verb("speed", speed.speed, "seconds of audio separated per second")
    one.add_argument("--song", type=Path, default=EXCERPT, help="song to loop")
    one.add_argument("--seconds", type=float, default=180, help="length of the looped song")
    one.add_argument("--runs", type=int, default=3)
    one.add_argument("--device", default="auto")
    one.add_argument("--model", default=DEFAULT)

    one = verb("memory", speed.memory, "peak memory of unmix separate, by length of the file")
    one.add_argument("--song", type=Path, default=EXCERPT, help="song to loop")
    one.add_argument("--minutes", type=float, nargs="+", default=[10, 180])
    one.add_argument("--model", default=DEFAULT)

    one = verb("start", speed.start, "seconds until a command starts working")
    one.add_argument("--runs", type=int, default=7, help="rounds, of which the median is printed")

    one = verb("train", training.train, "training steps per second, and the loader's share")
    one.add_argument("recipes", nargs="+", metavar="RECIPE")
    one.add_argument("--data", type=Path, help="data folder (default: train on noise)")
    one.add_argument("--steps", type=int, default=5, help="steps to measure")
    one.add_argument("--batch-size", type=int, help="items per batch (default: the recipe's)")
    one.add_argument("--precision", help="precision (default: the recipe's)")
    one.add_argument("--compile", action="store_true")
    one.add_argument("--workers", type=int, default=2)
    one.add_argument("--device", default="auto")

    one = verb("corpus", training.corpus, "peak memory of unmix train, by number of tracks")
    one.add_argument("--recipe", default="unet-16khz", help="a recipe that trains on MUSDB18")
    one.add_argument("--tracks", type=int, nargs="+", default=[10, 1000])
    one.add_argument("--steps", type=int, default=20)

    one = verb("evaluate", evaluate.evaluate, "peak memory of unmix evaluate, by length of tracks")
    one.add_argument("--data", type=Path, help="folder of tracks to loop (default: noise)")
    one.add_argument(
        "--minutes", type=float, nargs="*", default=[2, 10, 60], help="length of one track"
    )
    one.add_argument(
        "--tracks", type=int, nargs="*", default=[2, 20], help="number of tracks of a minute"
    )

    one = verb("museval", museval.museval, "speed and figures of BSS Eval against museval's")
    one.add_argument("data", type=Path, nargs="?", help="folder of tracks, a file per stem")
    one.add_argument("--cases", action="store_true", help="score only the synthetic edge cases")
    one.add_argument("--tracks", type=int, default=5, help="number of tracks")
    one.add_argument("--stems", type=int, choices=(2, 4), default=2)
    one.add_argument("--bits", type=int, choices=(16, 32), default=16, help="32: as decoded")
    one.add_argument("--join", action="store_true", help="join all tracks end to end")
    one.add_argument("--threads", type=int, default=1)
    one.add_argument("--framewise", action="store_true", help="as in BSS Eval v3")

    one = verb("family", family.family, "seconds per minute of every recipe, into the family table")
    one.add_argument("--device", choices=family.COLUMNS, default="cpu")
    one.add_argument("--seconds", type=float, default=20, help="minimum length of the audio")
    one.add_argument("--runs", type=int, default=1, help="runs, of which the median counts")
    one.add_argument("--only", nargs="+", metavar="RECIPE", help="recipes (default: all)")
    one.add_argument("--describe", action="store_true", help="measure nothing; update the text")
    return parser


if __name__ == "__main__":
    main()
