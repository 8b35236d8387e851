"""What ``unmix separate`` does with each song; imported when the first one is due."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from .._types import Progress
from ..audio import probe
from ..songs.render import StemSeparator
from ..songs.separate import Listener, SeparatedFile, choose_stems, separate_file, stem_paths
from ..storage import Existing, outputs_to_write
from ._batch import Claims, Done
from ._inputs import Song

_REMEDY = "name it otherwise with --template"


@dataclass(frozen=True, kw_only=True)
class StemWriter:
    """The options of the command, for one song after another."""

    separator: StemSeparator
    out: Path
    stems: str | tuple[str, ...]
    format: str
    bit_depth: int | None
    bitrate: str | None
    template: str
    existing: Existing
    strict: bool
    plot: bool
    claims: Claims = field(default_factory=Claims)

    def work(self, song: Song, progress: Progress) -> Done:
        """Separate a song, and draw it if asked to."""
        names = choose_stems(self.separator, self.stems)
        self.claims.add(song.path, self._paths(song, names, self.format).values(), _REMEDY)
        if self.plot:
            return self._separate_and_plot(song, names, progress)
        result = self._separate(song, names, progress)
        return Done(result, tuple(result.stems.values()))

    def _separate_and_plot(self, song: Song, names: tuple[str, ...], progress: Progress) -> Done:
        """Draw the stems while they pass; only where they were there already, separate again."""
        from ..songs.plot import MARK, SpectrogramPlot, plot_file, song_title  # brings matplotlib

        picture = self._paths(song, (MARK,), "png")[MARK]
        self.claims.add(song.path, [picture], _REMEDY)
        fresh = bool(outputs_to_write(song.path, {MARK: picture}, self.existing))
        drawing = SpectrogramPlot(probe(song.path).sample_rate, song_title(song.path))
        result = self._separate(song, names, progress, drawing.add if fresh else None)
        if fresh and result.skipped:
            plot_file(self.separator, song.path, picture, strict=self.strict, progress=progress)
            result = replace(result, skipped=False)
        elif fresh:
            drawing.save(picture, overwrite=self.existing == "overwrite")
        return Done(result, (*result.stems.values(), picture), {"plot": picture})

    def _separate(
        self,
        song: Song,
        names: tuple[str, ...],
        progress: Progress,
        listener: Listener | None = None,
    ) -> SeparatedFile:
        return separate_file(
            self.separator,
            song.path,
            self._folder(song),
            stems=names,
            format=self.format,
            bit_depth=self.bit_depth,
            bitrate=self.bitrate,
            template=self.template,
            existing=self.existing,
            strict=self.strict,
            progress=progress,
            listener=listener,
        )

    def _paths(self, song: Song, stems: tuple[str, ...], ext: str) -> dict[str, Path]:
        return stem_paths(
            song.path,
            self._folder(song),
            stems=stems,
            template=self.template,
            model=self.separator.model_name,
            ext=ext,
        )

    def _folder(self, song: Song) -> Path:
        """Return where a song's stems go: what lay in a folder's folder does so again."""
        return self.out / song.folder
