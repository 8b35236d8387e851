"""A finished file is compared with what was written to it, before it gets its name."""

from __future__ import annotations

from pathlib import Path

from ..errors import AudioError
from ..storage import writing
from .reader import probe
from .whole import NotWholeError, follow_to_end

_ESTIMATE = 0.1  # seconds by which the clock of a whole video may fall short of its sound's
_REMEDY = "check the disk, and write it again"


def check_written(path: Path, *, length: int, sample_rate: int, exact: bool = True) -> None:
    """Read a finished file back, and compare what it says of itself with what was written.

    Its own sizes must lead to its last byte, and its length must be what was written.

    Args:
        path: the file.
        length: samples per channel that were written.
        sample_rate: Hz, of the samples that were written.
        exact: whether the file may not be longer either, as a video is whose picture begins first.

    Raises:
        AudioError: the file cannot be read, is not whole, or has another length or sample rate.
    """
    try:
        with writing(path):
            follow_to_end(path)
    except NotWholeError as error:
        raise AudioError(f"{path} was not written whole: {error}; {_REMEDY}") from error
    info = probe(path)
    found = info.length
    tolerance = round(_ESTIMATE * sample_rate) if info.length_is_estimate else 0
    # A FLAC file without samples says the same as one of unknown length.
    whole = not length if found is None else found >= length - tolerance
    longer = exact and found is not None and found > length
    if info.sample_rate != sample_rate or not whole or longer:
        raise AudioError(
            f"{path} was not written whole: it has {found} samples at {info.sample_rate} Hz, "
            f"not {length} at {sample_rate}; {_REMEDY}"
        )
