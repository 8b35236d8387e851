"""Errors that a user can fix: one sentence that names the file or option, and the remedy."""

from __future__ import annotations


class UnmixError(Exception):
    """Base of all errors that users see as one line, without a traceback."""


class AudioError(UnmixError):
    """A file cannot be read or written."""


class ConfigError(UnmixError):
    """A setting is invalid; the message names the file and the key."""


class ModelError(UnmixError):
    """A model is unknown, damaged or unsuitable; the message lists the choices."""


class Cancelled(UnmixError):  # noqa: N818  (not a failure, but what the caller asked for)
    """The caller cancelled the work; no files are left behind."""
