"""A finished file is compared with what was written to it, before it gets its name."""

from __future__ import annotations

from pathlib import Path

from ..errors import AudioError
from .reader import probe

_ESTIMATE = 0.1  # seconds by which the clock of a whole video may fall short of its sound's


def check_written(path: Path, *, length: int, sample_rate: int, exact: bool = True) -> None:
    """Read a finished file's header, and compare it with what was written.

    Args:
        path: the file.
        length: samples per channel that were written.
        sample_rate: Hz, of the samples that were written.
        exact: whether the file may not be longer either, as a video is whose picture begins first.

    Raises:
        AudioError: the file cannot be read, or has another length or sample rate.
    """
    info = probe(path)
    found = info.length
    tolerance = round(_ESTIMATE * sample_rate) if info.length_is_estimate else 0
    # A FLAC file without samples says the same as one of unknown length.
    whole = not length if found is None else found >= length - tolerance
    longer = exact and found is not None and found > length
    if info.sample_rate != sample_rate or not whole or longer:
        raise AudioError(
            f"{path} was not written whole: it has {found} samples at {info.sample_rate} Hz, "
            f"not {length} at {sample_rate}; check the disk, and write it again"
        )
