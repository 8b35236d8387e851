"""A song file in, a file for each stem out: whole, level, tagged, and all of them or none."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from .._types import Progress
from ..audio import OutputFormat, open_audio
from ..audio.tags import copy_tags, read_tags
from ..errors import UnmixError
from ..stems import ACCOMPANIMENT, VOCALS
from ..storage import Existing, outputs_to_write
from .naming import DEFAULT_TEMPLATE, check_template, fill, template_fields
from .render import Stems, StemSeparator, render

Listener = Callable[[Stems], object]

_TAG_FIELDS = frozenset({"artist", "title", "album", "track"})


@dataclass(frozen=True, kw_only=True)
class SeparatedFile:
    """What ``separate_file`` did; its fields stay what they are from release to release."""

    source: Path
    """The song, as it was given."""
    stems: dict[str, Path]
    """The file of every stem that was asked for, those that were skipped included."""
    sample_rate: int
    """Hz, of the stems: the song's own, unless the format cannot hold it. 0 where skipped."""
    channels: int
    """Audio channels of the song and of every stem. 0 where skipped."""
    samples: int
    """Samples per channel of every stem, at ``sample_rate``. 0 where skipped."""
    seconds: float
    """Length of every stem. 0 where skipped."""
    gain: float
    """What all stems were multiplied by so that none clips, in (0, 1]; 1 where nothing was."""
    warnings: tuple[str, ...]
    """Sentences on what was mended, is missing, or differs from the song."""
    skipped: bool
    """Whether all files were there, and were kept: the song was not decoded."""


def separate_file(
    separator: StemSeparator,
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
    listener: Listener | None = None,
) -> SeparatedFile:
    """Separate a song into files, in memory that does not grow with its length.

    Every stem has the song's samples, channels and sample rate, and its tags and cover; vocals and
    accompaniment sum to the song. Where a stem would clip, all that were asked for are lowered by
    one gain, which is said; 32-bit wav keeps any level instead. Until the gain is known, the stems
    wait in ``out_dir`` as 32-bit floats, hidden: the disk needs room for them.

    Args:
        separator: what separates, such as ``unmix.Separator``.
        path: the song: a file with sound in it, videos included.
        out_dir: the folder for the stems; it is made where it is missing.
        stems: names of those to write, or "all".
        format: wav, flac, aiff, mp3, ogg, opus or m4a.
        bit_depth: 16, 24 or 32 (float) for wav, 16 or 24 for flac and aiff; 16 unless said.
        bitrate: of lossy formats, in bits per second or as in "320k".
        template: path of each stem in ``out_dir``, of the fields {name} (of the song's file),
            {artist}, {title}, {album}, {track}, {stem}, {model} and {ext}.
        existing: "error" refuses to replace files, "overwrite" does, "skip" makes only the missing.
        strict: whether a song of which a part does not decode is an error; else it is a warning.
        progress: called with the fraction done, in [0, 1], often. What it raises passes through,
            and cancels: no file, no folder is left behind.
        listener: called with every piece ``[C, m]`` of all stems of the separator, at the song's
            own level, as it is separated: for meters and plots.

    Returns:
        Where the stems are, and what is to be known of them.

    Raises:
        AudioError: the song cannot be read, or the stems cannot be written.
        ConfigError: the format's options do not fit together.
        UnmixError: an unknown stem or field, or a file that is in the way.
    """
    source = Path(path)
    wanted = choose_stems(separator, stems)
    output_format = OutputFormat.parse(format, bit_depth, bitrate)
    check_template(template)
    with open_audio(source) as reader:
        paths = stem_paths(
            source,
            out_dir,
            stems=wanted,
            template=template,
            model=separator.model_name,
            ext=output_format.extension,
        )
        outputs = outputs_to_write(source, paths, existing)
        if not outputs:
            return _skipped(source, paths)

        def combine(pieces: Stems) -> Stems:
            if listener is not None:
                listener(pieces)
            return {stem: pieces[stem] for stem in wanted}

        def tag(stem: str, staged: Path) -> Iterable[str]:
            return copy_tags(source, staged, stem_title=stem)

        done = render(
            separator,
            reader,
            outputs,
            combine,
            format=output_format,
            finish=tag,
            overwrite=existing == "overwrite",
            strict=strict,
            progress=progress,
        )
    return SeparatedFile(
        source=source,
        stems=paths,
        sample_rate=done.sample_rate,
        channels=done.channels,
        samples=done.samples,
        seconds=done.samples / done.sample_rate,
        gain=done.gain,
        warnings=done.warnings,
        skipped=False,
    )


def choose_stems(separator: StemSeparator, stems: str | Sequence[str]) -> tuple[str, ...]:
    """Return the names asked for, each once, after checking that the separator has them.

    Raises:
        UnmixError: a name is unknown, or there is none; the sentence lists the choices.
    """
    if stems == "all":
        return separator.stems
    names = tuple(dict.fromkeys([stems] if isinstance(stems, str) else stems))
    choices = ", ".join(("all", *separator.stems))
    for name in names:
        if name not in separator.stems:
            raise UnmixError(
                f"the model {separator.model_name} has no stem {name!r}; choose from {choices}"
            )
    if not names:
        raise UnmixError(f"no stems to write; choose from {choices}")
    return names


def stem_paths(
    path: str | PathLike[str],
    out_dir: str | PathLike[str],
    *,
    stems: Sequence[str],
    template: str = DEFAULT_TEMPLATE,
    model: str = "",
    ext: str = "wav",
) -> dict[str, Path]:
    """Return where ``separate_file`` writes the stems of a song; nothing is made.

    Args:
        path: the song; it is opened only where the template needs its tags.
        out_dir: the folder that the template starts from.
        stems: names of the stems.
        template: as for ``separate_file``.
        model: what stands for {model}.
        ext: the end of the names, with or without its dot.

    Raises:
        UnmixError: the template is wrong.
    """
    source = Path(path)
    check_template(template)
    values: dict[str, str | None] = {"name": source.stem, "title": source.stem, "model": model}
    if template_fields(template) & _TAG_FIELDS:
        tags = read_tags(source)
        values |= {"artist": tags.artist, "album": tags.album, "title": tags.title or source.stem}
        # Two digits keep the files of an album in its order.
        values["track"] = None if tags.track is None else f"{tags.track:02d}"
    values["ext"] = ext.removeprefix(".")
    return {stem: Path(out_dir) / fill(template, {**values, "stem": stem}) for stem in stems}


def _skipped(source: Path, paths: dict[str, Path]) -> SeparatedFile:
    return SeparatedFile(
        source=source,
        stems=paths,
        sample_rate=0,
        channels=0,
        samples=0,
        seconds=0.0,
        gain=1.0,
        warnings=(),
        skipped=True,
    )
