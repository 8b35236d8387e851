"""Separate samples in memory, or song files on disk, into stems."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import cast

from numpy.typing import ArrayLike

from .._types import Progress, Samples
from ..audio import OutputFormat, read_audio
from ..audio.sources import Source, is_source, source_path
from ..errors import UnmixError
from ..models import Model
from ..separation.separator import RecordingSeparator
from ..stems import ACCOMPANIMENT, VOCALS, pick
from ..storage import Existing
from ..weights.manifest import model_with
from .naming import DEFAULT_TEMPLATE
from .render import warn_of_shortfalls
from .separate import SeparatedFile, StemOptions, chosen_stems, plan_stems, write_stems


class Separator(RecordingSeparator):
    """Separates recordings in memory and song files, with one model that is loaded once.

    See ``RecordingSeparator`` for the arguments.
    """

    def separate_file(
        self,
        path: Source,
        out_dir: str | PathLike[str],
        *,
        stems: str | Sequence[str] = (VOCALS, ACCOMPANIMENT),
        format: str = "wav",  # noqa: A002  (the word users know, and a keyword only)
        bit_depth: int | None = None,
        bitrate: int | str | None = None,
        template: str = DEFAULT_TEMPLATE,
        existing: Existing = "error",
        strict: bool = False,
        audio_stream: int | None = None,
        max_duration: float | None = None,
        progress: Progress | None = None,
    ) -> SeparatedFile:
        """Separate a song file into a file for each stem, in memory that does not grow with it.

        Every stem has the song's length, channels, sample rate, tags and cover; vocals and
        accompaniment sum to the song. If a stem would clip, all stems that were asked for are
        lowered by one gain, with a warning; 32-bit wav keeps any level instead.

        Args:
            path: the song: a file with sound in it, such as a video; or ``-`` for standard input,
                a pipe, bytes or an open binary file, which are copied to a temporary folder first.
            out_dir: the folder for the stems; created if missing.
            stems: names of the stems to write, or "all"; ``no_drums`` is everything but the drums,
                ``instrumental`` another word for accompaniment.
            format: wav, flac, aiff, mp3, ogg, opus or m4a.
            bit_depth: 16, 24 or 32 (float) for wav, 16 or 24 for flac and aiff; default: 16.
            bitrate: bit rate of lossy formats, in bits per second or as text such as "320k".
            template: path of each stem in ``out_dir``, with the fields {name} (of the song's file),
                {artist}, {title}, {album}, {track}, {stem}, {model} and {ext}.
            existing: "error" refuses to replace files, "overwrite" replaces them, "skip" adds only
                the missing ones.
            strict: whether a song that does not decode completely is an error; otherwise an
                ``AudioWarning`` and the result's ``shortfalls`` say what is missing.
            audio_stream: index of the song's audio stream, from 0; default: the best one.
            max_duration: seconds; a longer song is an error.
            progress: called with the fraction done, in [0, 1]. An exception that it raises passes
                through and cancels: no file is left behind.

        Raises:
            UnmixError: the song cannot be read or separated, or the stems cannot be written.
        """
        options = StemOptions(
            stems=stems,
            format=OutputFormat.parse(format, bit_depth, bitrate),
            template=template,
            existing=existing,
            strict=strict,
            audio_stream=audio_stream,
            max_duration=max_duration,
        )
        with source_path(path) as song:
            done = write_stems(self, plan_stems(self, song, out_dir, options), progress=progress)
        warn_of_shortfalls(done, stacklevel=2)
        return done


def separate(
    source: Source | ArrayLike,
    sample_rate: int | None = None,
    *,
    stems: str | Sequence[str] | None = None,
    model: str | Path | Model | None = None,
    quality: str = "balanced",
    device: str = "auto",
    strict: bool = False,
    audio_stream: int | None = None,
    progress: Progress | None = None,
    max_duration: float | None = None,
) -> dict[str, Samples]:
    """Return the stems of a song file, or of samples in memory.

    Args:
        source: path of a song, its bytes, or an open binary file; or samples ``[C, N]`` or (mono)
            ``[N]``, see ``Separator.separate``.
        sample_rate: sample rate of samples in memory, in Hz; files state their own.
        stems: names of the stems to return, or "all"; ``no_drums`` is everything but the drums,
            ``instrumental`` another word for accompaniment; default: all of the model.
        model: name of a model, path of a file of weights, or a ``Model``; default: the best of the
            package that gives these stems, of vocals and accompaniment if none are named.
        quality: ``fast``, ``balanced`` or ``best``.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        strict: whether a file that does not decode completely is an error; otherwise an
            ``AudioWarning`` says what is missing.
        audio_stream: index of the file's audio stream, from 0; default: the best one.
        progress: called with the fraction done, in [0, 1]; an exception that it raises cancels.
        max_duration: seconds; a longer file is an error.

    Returns:
        Each of these stems by name: float32 ``[C, N]`` at the source's sample rate. Vocals and
        accompaniment sum to the source, and so do vocals, drums, bass and other.

    Raises:
        UnmixError: the source cannot be read or separated, or there is no such stem.
    """
    samples: ArrayLike
    if is_source(source):
        samples, sample_rate = read_audio(
            source, stream=audio_stream, strict=strict, max_duration=max_duration
        )
    elif sample_rate is None:
        raise UnmixError("give the sample_rate of the samples, in Hz")
    else:
        samples = cast(ArrayLike, source)
    if model is None:
        model = model_with([stems] if isinstance(stems, str) else stems or ()).name
    separator = Separator(model, device=device, quality=quality)
    chosen = chosen_stems(separator, stems or "all")
    separated = separator.separate(samples, sample_rate, progress=progress)
    return {name: pick(separated, name) for name in chosen}
