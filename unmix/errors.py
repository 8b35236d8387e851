"""The mistakes a user can mend: one sentence that names the file or the option, and the remedy."""

from __future__ import annotations

#: The extra that installs each optional package.
_EXTRAS = {
    "PIL": "evaluate",
    "google_crc32c": "tensorflow-weights",
    "jinja2": "evaluate",
    "lightning": "train",
    "musdb": "evaluate",
    "museval": "evaluate",
    "tensorboard": "train",
    "threadpoolctl": "evaluate",
    "torchaudio": "hybrid-demucs",
}


class UnmixError(Exception):
    """Base of every error that is shown to a user as one line, without a traceback."""


class AudioError(UnmixError):
    """A file cannot be read or written as audio; the sentence names the file."""


class ConfigError(UnmixError):
    """A configuration is wrong; the sentence names the file and the key."""


class ModelError(UnmixError):
    """A model is unknown, damaged or unfit for the request; the sentence lists the choices."""


class Cancelled(UnmixError):  # noqa: N818  (not a failure: what the caller asked for)
    """The caller asked to stop; nothing was left behind."""


def missing_extra(module: str | None) -> str:
    """Return the sentence that says how to install an optional package; empty for any other.

    Args:
        module: as ``ModuleNotFoundError.name`` has it.
    """
    package = (module or "").partition(".")[0]
    extra = _EXTRAS.get(package)
    return f"{package} is not installed: run `pip install 'unmix[{extra}]'`" if extra else ""
