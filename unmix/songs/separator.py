"""The separator: samples in memory, or song files on disk, into their stems."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from .._types import Progress, Samples
from ..audio import read_audio
from ..errors import UnmixError
from ..models import Model
from ..separation.separator import RecordingSeparator
from ..stems import ACCOMPANIMENT, VOCALS
from ..storage import Existing
from ..weights.manifest import DEFAULT
from .naming import DEFAULT_TEMPLATE
from .separate import SeparatedFile, separate_file


class Separator(RecordingSeparator):
    """Separates recordings in memory and song files, with one model that is loaded once.

    See ``RecordingSeparator`` for the arguments.
    """

    def separate_file(
        self,
        path: str | PathLike[str],
        out_dir: str | PathLike[str],
        *,
        stems: str | Sequence[str] = (VOCALS, ACCOMPANIMENT),
        format: str = "wav",  # noqa: A002  (the word users know, and a keyword only)
        bit_depth: int | None = None,
        bitrate: int | str | None = None,
        template: str = DEFAULT_TEMPLATE,
        existing: Existing = "error",
        strict: bool = False,
        progress: Progress | None = None,
    ) -> SeparatedFile:
        """Separate a song file into a file for each stem, in memory that does not grow with it.

        Args:
            path: the song: a file with sound in it, videos included.
            out_dir: the folder for the stems; it is made where it is missing.
            stems: names of those to write, or "all".
            format: wav, flac, aiff, mp3, ogg, opus or m4a.
            bit_depth: 16, 24 or 32 (float) for wav, 16 or 24 for flac and aiff; 16 unless said.
            bitrate: of lossy formats, in bits per second or as in "320k".
            template: path of each stem in ``out_dir``, of the fields {name}, {artist}, {title},
                {album}, {track}, {stem}, {model} and {ext}.
            existing: "error" refuses to replace files, "overwrite" does, "skip" makes only the
                missing.
            strict: whether a song of which a part does not decode is an error; else a warning.
            progress: called with the fraction done, in [0, 1]; what it raises passes through, and
                no file is left behind.

        Raises:
            UnmixError: for what cannot be read, separated or written, in one sentence.
        """
        return separate_file(
            self,
            path,
            out_dir,
            stems=stems,
            format=format,
            bit_depth=bit_depth,
            bitrate=bitrate,
            template=template,
            existing=existing,
            strict=strict,
            progress=progress,
        )


def separate(
    source: str | PathLike[str] | ArrayLike,
    sample_rate: int | None = None,
    *,
    model: str | Path | Model = DEFAULT,
    quality: str = "balanced",
    device: str = "auto",
    progress: Progress | None = None,
) -> dict[str, Samples]:
    """Return the stems of a song file, or of samples in memory.

    Args:
        source: path of a song, or samples ``[C, N]`` or ``[N]`` in [-1, 1].
        sample_rate: Hz, of samples; a file knows its own.
        model: name or path of a model.
        quality: ``fast``, ``balanced`` or ``best``.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        progress: called with the fraction that is done; what it raises ends the separation.

    Returns:
        Every stem by name: float32 ``[C, N]`` at the source's sample rate, summing to the source.

    Raises:
        UnmixError: for what cannot be read or separated, in one sentence.
    """
    if isinstance(source, str | PathLike):
        samples, sample_rate = read_audio(Path(source))
    elif sample_rate is None:
        raise UnmixError("samples need their sample_rate in Hz")
    else:
        samples = np.asarray(source)
    separator = Separator(model, device=device, quality=quality)
    return separator.separate(samples, sample_rate, progress=progress)
