"""The command line: one file per verb, which parses, calls and prints.

Nothing heavy is imported here: a verb imports what it needs when it runs, so that help, version and
the list of models appear at once.
"""

from __future__ import annotations

import inspect
import signal
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated, TextIO

import typer

from .._version import __version__
from ..errors import DeviceWarning, UnmixError, missing_extra
from ._console import say_error, say_warning
from ._streams import lost_output, prepare_streams
from .clean import clean
from .data import app as data
from .data import list_ as list_data
from .data import pack
from .data import verify as verify_data
from .evaluate import evaluate
from .karaoke import karaoke
from .models import app as models
from .models import architectures, download, import_, list_, path, verify
from .plot import plot
from .separate import separate
from .train import train

_EXIT_CODES = "Exit codes: 0 all done, 1 something failed, 2 wrong usage, 130 interrupted."

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _help(verb: Callable[..., None]) -> str:
    """Return a verb's help with a line per paragraph, which the terminal wraps."""
    paragraphs = (inspect.getdoc(verb) or "").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


for _verb in (separate, karaoke, plot, train, evaluate, clean):
    app.command(help=_help(_verb), epilog=_EXIT_CODES)(_verb)
for _part in (list_, download, path, verify, import_, architectures):
    models.command(_part.__name__.rstrip("_"), help=_help(_part), epilog=_EXIT_CODES)(_part)
for _work in (list_data, pack, verify_data):
    data.command(_work.__name__.rstrip("_"), help=_help(_work), epilog=_EXIT_CODES)(_work)
app.add_typer(data, name="data", epilog=_EXIT_CODES)
app.add_typer(models, name="models", epilog=_EXIT_CODES)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"unmix {__version__}")
        raise typer.Exit


@app.callback(epilog=_EXIT_CODES)
def unmix(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Separate the vocals of a song from its accompaniment."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit.

    Args:
        arguments: those after the command's name; default: ``sys.argv``.
    """
    prepare_streams()
    for number in (signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
            signal.signal(number, _exit_on_signal)
    try:
        try:
            _check_current_folder()
            with _device_warnings_said():
                app(args=None if arguments is None else list(arguments), prog_name="unmix")
        finally:
            lost = lost_output()
            if lost is not None:
                say_error(f"standard output cannot be written: {lost.strerror or lost}")
                sys.exit(1)
    except UnmixError as error:
        say_error(str(error))
        sys.exit(1)
    except ModuleNotFoundError as error:
        sentence = missing_extra(error.name)
        if not sentence:
            raise
        say_error(sentence)
        sys.exit(1)


@contextmanager
def _device_warnings_said() -> Iterator[None]:
    """Print the warnings about devices as our own, whatever Python is told to do with warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", DeviceWarning)
        usual = warnings.showwarning

        def show(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            if issubclass(category, DeviceWarning):
                say_warning(str(message))
            else:
                usual(message, category, filename, lineno, file, line)

        warnings.showwarning = show
        yield


def _check_current_folder() -> None:
    """Refuse to work in a folder that is gone: libraries fail there in their own ways.

    Raises:
        UnmixError: it is.
    """
    try:
        Path.cwd()
    except FileNotFoundError:
        raise UnmixError("the current folder was deleted: change to another one") from None


def _exit_on_signal(number: int, frame: FrameType | None) -> None:
    """Exit by an exception, so that temporary files are removed."""
    del frame
    sys.exit(128 + number)
