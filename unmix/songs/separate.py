"""Separate a song file into one file per stem, with tags; write all of them or none.

``StemOptions`` says which stems to write, ``plan_stems`` decides where, ``write_stems`` does it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from os import PathLike
from pathlib import Path

from .._types import Progress
from ..audio import OutputFormat
from ..audio.tags import copy_tags, read_tags
from ..errors import UnmixError
from ..stems import ACCOMPANIMENT, VOCALS, needed, pick
from ..storage import Existing, check_existing
from ..weights.manifest import list_models
from .naming import DEFAULT_TEMPLATE, check_template, fill, template_fields
from .render import Rendering, Stems, StemSeparator, render

StemListener = Callable[[Stems], object]

_TAG_FIELDS = frozenset({"artist", "title", "album", "track"})


@dataclass(frozen=True, kw_only=True)
class SeparatedFile(Rendering):
    """The result of ``Separator.separate_file``."""

    stems: dict[str, Path]
    """The file of every stem that was asked for, including those that were skipped."""


@dataclass(frozen=True, kw_only=True)
class StemOptions:
    """Which stems to write, and how; checked when it is made.

    Raises:
        UnmixError: no stem is wanted, or the template or ``existing`` is invalid.
    """

    stems: str | Sequence[str] = (VOCALS, ACCOMPANIMENT)
    """Names of the stems to write, or "all". ``no_drums`` is everything but the drums,
    ``instrumental`` another word for accompaniment."""
    format: OutputFormat = field(default_factory=lambda: OutputFormat.parse("wav"))
    """Format of every file."""
    template: str = DEFAULT_TEMPLATE
    """Path of each stem in the output folder, with fields; see ``naming.FIELDS``."""
    existing: Existing = "error"
    """"error" refuses to replace files, "overwrite" replaces them, "skip" adds the missing ones."""
    max_duration: float | None = None
    """Seconds; a longer song is an error."""
    strict: bool = False
    """Whether a song that does not decode completely is an error; else it is a warning."""
    audio_stream: int | None = None
    """Index of the song's audio stream, from 0; None: the best one."""

    def __post_init__(self) -> None:
        if not self.stems:
            raise UnmixError('no stems to write; name at least one, or "all"')
        check_template(self.template)
        check_existing(self.existing)


@dataclass(frozen=True, kw_only=True)
class StemPlan:
    """Where the stems of one song go."""

    source: Path
    """The song."""
    root: Path
    """The folder that was chosen: no link below it may lead out of it."""
    folder: Path
    """The folder that the template starts from, which is the root or below it."""
    names: tuple[str, ...]
    """The stems to write."""
    values: Mapping[str, str | None]
    """Values of the template's fields, except {stem} and {ext}."""
    options: StemOptions
    """What to write, and how."""

    @cached_property
    def paths(self) -> dict[str, Path]:
        """The file of each stem."""
        return {name: self.path(name, self.options.format.name) for name in self.names}

    def path(self, name: str, ext: str) -> Path:
        """Return where the template puts a file of this name and ending."""
        values = {**self.values, "stem": name, "ext": ext}
        return self.folder / fill(self.options.template, values)


def plan_stems(
    separator: StemSeparator,
    path: str | PathLike[str],
    out_dir: str | PathLike[str],
    options: StemOptions,
    *,
    below: Path = Path(),
) -> StemPlan:
    """Decide where the stems of a song go; nothing is written.

    Args:
        separator: what separates.
        path: the song; it is opened only if the template needs its tags.
        out_dir: the folder that everything is written in.
        options: what to write.
        below: where the template starts from, relative to that folder.

    Raises:
        UnmixError: the separator does not have a stem; names the models that do.
    """
    source = Path(path)
    values: dict[str, str | None] = {
        "name": source.stem,
        "title": source.stem,
        "model": separator.model_name,
    }
    if template_fields(options.template) & _TAG_FIELDS:
        tags = read_tags(source)
        values |= {"artist": tags.artist, "album": tags.album, "title": tags.title or source.stem}
        # Two digits keep the files of an album in its order.
        values["track"] = None if tags.track is None else f"{tags.track:02d}"
    return StemPlan(
        source=source,
        root=Path(out_dir),
        folder=Path(out_dir) / below,
        names=chosen_stems(separator, options.stems),
        values=values,
        options=options,
    )


def write_stems(
    separator: StemSeparator,
    plan: StemPlan,
    *,
    progress: Progress | None = None,
    listener: StemListener | None = None,
) -> SeparatedFile:
    """Separate a song into files, in memory that does not grow with its length.

    Every stem has the song's samples, channels and sample rate, and its tags and cover; vocals and
    accompaniment sum to the song. If a stem would clip, all stems that were asked for are lowered
    by one gain, with a warning; 32-bit wav keeps any level instead. Until the gain is known, the
    stems wait in the output folder as hidden 32-bit floats, which need room on the disk.

    Args:
        separator: what separates, the same as for the plan.
        plan: where the stems go.
        progress: called with the fraction done, in [0, 1]. An exception that it raises passes
            through and cancels: no file and no folder is left behind.
        listener: called with each piece ``[C, m]`` of all the separator's stems once it is
            separated, at the song's own level, for meters and plots.

    Raises:
        AudioError: the song cannot be read, or the stems cannot be written.
        UnmixError: a file is in the way.
    """
    options = plan.options

    def combine(pieces: Stems) -> Stems:
        if listener is not None:
            listener(pieces)
        return {stem: pick(pieces, stem) for stem in plan.names}

    def tag(stem: str, staged: Path) -> Iterable[str]:
        return copy_tags(plan.source, staged, stem_title=stem)

    done = render(
        separator,
        plan.source,
        plan.paths,
        combine,
        format=options.format,
        finish=tag,
        existing=options.existing,
        root=plan.root,
        strict=options.strict,
        audio_stream=options.audio_stream,
        max_duration=options.max_duration,
        progress=progress,
    )
    return SeparatedFile(stems=plan.paths, **vars(done))


def chosen_stems(separator: StemSeparator, stems: str | Sequence[str]) -> tuple[str, ...]:
    """Return the names asked for, each once, after checking that the separator has them."""
    if stems == "all":
        return separator.stems
    names = tuple(dict.fromkeys([stems] if isinstance(stems, str) else stems))
    for name in names:
        if needed(name) not in separator.stems:
            raise UnmixError(_no_stem(separator, name))
    return names


def _no_stem(separator: StemSeparator, name: str) -> str:
    """Return the sentence that a model lacks a stem, and which models have it."""
    choices = ", ".join(("all", *separator.stems))
    sentence = f"the model {separator.model_name} has no stem {name!r}; choose from {choices}"
    others = [entry.names[-1] for entry in list_models() if needed(name) in entry.stems]
    return f"{sentence}, or a model that has it: {', '.join(others)}" if others else sentence
