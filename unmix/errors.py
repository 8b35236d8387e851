"""Errors that a user can fix: one sentence that names the file or option, and the remedy."""

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
    """Base of all errors that users see as one line, without a traceback."""


class AudioError(UnmixError):
    """A file cannot be read or written."""


class ConfigError(UnmixError):
    """A setting is invalid; the message names the file and the key."""


class ModelError(UnmixError):
    """A model is unknown, damaged or unsuitable; the message lists the choices."""


class NoCacheError(UnmixError):
    """Nothing can be kept between runs; what needs no cache still works."""


class Cancelled(UnmixError):  # noqa: N818  (not a failure, but what the caller asked for)
    """The caller cancelled the work; no files are left behind."""


class AudioWarning(UserWarning):
    """A file was read, but not all of it, or only after repairs; the message says what."""


class DeviceWarning(UserWarning):
    """A GPU does not work, and the CPU is used instead."""


def missing_extra(module: str | None) -> str:
    """Return the sentence that says how to install an optional package; empty for any other.

    Args:
        module: as ``ModuleNotFoundError.name`` has it.
    """
    package = (module or "").partition(".")[0]
    extra = _EXTRAS.get(package)
    return f"{package} is not installed: run `pip install 'unmix[{extra}]'`" if extra else ""
