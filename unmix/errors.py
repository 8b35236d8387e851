"""The mistakes a user can mend: one sentence that names the file or the option, and the remedy."""

from __future__ import annotations


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
