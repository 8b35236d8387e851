"""``unmix separate``: write a file for each stem of songs."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import AudioError
from ..songs.naming import DEFAULT_TEMPLATE
from ..storage import remove_leftovers
from ..weights.manifest import model_with
from . import _options as options
from ._batch import Claims, Done, Work, run_batch
from ._inputs import Song, find_songs

if TYPE_CHECKING:
    from .._types import Progress
    from ..songs.separate import SeparatedFile, StemPlan
    from ..songs.separator import Separator

_REMEDY = "choose other names with --template"


def separate(
    songs: options.SongsArgument,
    out: Annotated[
        Path, options.file_option("--out", "-o", metavar="DIR", help="Folder for the stems.")
    ] = Path("separated"),
    stems: Annotated[
        str,
        options.file_option(
            "--stems",
            "-s",
            metavar="NAMES",
            help="Stems to write, comma-separated, or all: vocals, accompaniment (instrumental), "
            "drums, bass, other; no_drums is everything but the drums.",
        ),
    ] = "vocals,accompaniment",
    format: Annotated[  # noqa: A002  (the option's name)
        options.AudioFormat,
        options.file_option("--format", "-f", metavar="NAME", help=options.FORMAT_HELP),
    ] = options.AudioFormat.WAV,
    bit_depth: options.BitDepthOption = None,
    bitrate: options.BitrateOption = None,
    template: Annotated[
        str,
        options.file_option(
            "--template",
            "-t",
            metavar="TEXT",
            help="Path of each stem in DIR. Fields: {name} {artist} {title} {album} {track} "
            "{stem} {model} {ext}.",
        ),
    ] = DEFAULT_TEMPLATE,
    overwrite: options.OverwriteOption = False,
    skip_existing: options.SkipOption = False,
    strict: options.StrictOption = False,
    audio_stream: options.AudioStreamOption = None,
    max_duration: options.LimitOption = None,
    model: options.ModelByStemsOption = None,
    quality: options.QualityOption = options.QualityName.BALANCED,
    device: options.DeviceOption = "auto",
    chunk: options.ChunkOption = None,
    overlap: options.OverlapOption = None,
    shifts: options.ShiftsOption = None,
    batch_size: options.BatchSizeOption = None,
    precision: options.PrecisionOption = None,
    wiener: options.WienerOption = None,
    recursive: options.RecursiveOption = False,
    plot: Annotated[
        bool, typer.Option("--plot", help="Also save a picture of spectrograms beside the stems.")
    ] = False,
    json: options.JsonOption = False,
    debug: options.DebugOption = False,
) -> None:
    """Separate songs into vocals and accompaniment, or other stems, one file each.

    Stems have the song's length, channels, sample rate and tags, and sum to the song. If a stem
    would clip, all stems of that song are turned down equally, with a warning; --format wav
    --bit-depth 32 never clips.
    """
    from ..audio import OutputFormat
    from ..songs.separate import StemOptions

    names = tuple(name.strip() for name in stems.split(",") if name.strip())
    existing = options.existing_of(overwrite, skip_existing)
    with options.wrong_usage():
        wanted = StemOptions(
            stems="all" if names == ("all",) else names,
            format=OutputFormat.parse(format, options.bits_of(bit_depth), bitrate),
            template=template,
            existing=existing,
            strict=strict,
            audio_stream=audio_stream,
            max_duration=options.seconds_of(max_duration),
        )
        chosen = model or model_with(names).name

    def prepare() -> Work:
        from ..songs.separate import plan_stems, write_stems

        separator = options.load_separator(
            chosen, quality, device, chunk, overlap, shifts, batch_size, precision, wiener
        )
        claims = Claims(found)
        remove_leftovers(out, depth=len(Path(template).parts) - 1)

        def work(song: Song, progress: Progress) -> Done:
            # Subfolders are kept.
            plan = plan_stems(separator, song.path, out, wanted, below=song.folder)
            claims.add(song.path, plan.paths.values(), _REMEDY)
            if plot:
                return _separate_and_plot(separator, plan, claims, progress)
            result = write_stems(separator, plan, progress=progress)
            return Done(result, tuple(result.stems.values()))

        return work

    target = os.path.realpath(out)
    found = find_songs(
        songs, recursive=recursive, leave_out=lambda path: os.path.realpath(path) == target
    )
    run_batch("separate", found, prepare, as_json=json, debug=debug)


def _separate_and_plot(
    separator: Separator, plan: StemPlan, claims: Claims, progress: Progress
) -> Done:
    """Draw the stems as they pass; separate again only if all of them existed.

    A picture that cannot be drawn costs no stem: a warning says why it is missing.
    """
    from ..audio import probe
    from ..songs.separate import write_stems
    from ..storage import outputs_to_write

    try:
        from ..songs.plot import PLOT_MARK, SpectrogramPlot, plot_file, song_title
    except Exception as error:  # libraries of pictures fail in their own ways
        return _without_picture(write_stems(separator, plan, progress=progress), error)
    song, options = plan.source, plan.options
    picture = plan.path(PLOT_MARK, "png")
    claims.add(song, [picture], _REMEDY)
    fresh = bool(outputs_to_write(song, {PLOT_MARK: picture}, options.existing, root=plan.root))
    stream = options.audio_stream
    drawing = SpectrogramPlot(probe(song, stream=stream).sample_rate, song_title(song))
    listener = drawing.add if fresh else None
    result = write_stems(separator, plan, progress=progress, listener=listener)
    try:
        drawn = False
        if fresh and result.skipped and not drawing.seconds:  # else another process wrote them
            drawn = not plot_file(
                separator,
                song,
                picture,
                existing=options.existing,
                strict=options.strict,
                audio_stream=stream,
                progress=progress,
            ).skipped
        elif fresh:
            drawn = drawing.save(picture, existing=options.existing)
    except (AudioError, OSError) as error:
        return _without_picture(result, error)
    result = replace(result, skipped=result.skipped and not drawn)
    return Done(result, (*result.stems.values(), picture), {"plot": picture})


def _without_picture(result: SeparatedFile, error: Exception) -> Done:
    """Return what was done, with a warning instead of the picture."""
    sentence = f"{result.source.name}: the picture is left out: {error}"
    result = replace(result, warnings=(*result.warnings, sentence))
    return Done(result, tuple(result.stems.values()))
