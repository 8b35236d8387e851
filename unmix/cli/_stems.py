"""What ``unmix separate`` does with each song; imported only when there is one."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from .._types import Progress
from ..audio import probe
from ..songs.render import StemSeparator
from ..songs.separate import StemOptions, StemPlan, plan_stems, write_stems
from ..storage import outputs_to_write
from ._batch import Claims, Done
from ._inputs import Song

_REMEDY = "choose other names with --template"


@dataclass(frozen=True, kw_only=True)
class StemWriter:
    """Writes the stems of one song after another."""

    separator: StemSeparator
    out: Path
    options: StemOptions
    plot: bool
    """Whether to draw a picture beside the stems."""
    claims: Claims = field(default_factory=Claims)

    def work(self, song: Song, progress: Progress) -> Done:
        """Separate a song, and draw it if asked to."""
        # Subfolders are kept.
        plan = plan_stems(self.separator, song.path, self.out / song.folder, self.options)
        self.claims.add(song.path, plan.paths.values(), _REMEDY)
        if self.plot:
            return self._separate_and_plot(plan, progress)
        result = write_stems(self.separator, plan, progress=progress)
        return Done(result, tuple(result.stems.values()))

    def _separate_and_plot(self, plan: StemPlan, progress: Progress) -> Done:
        """Draw the stems as they pass; separate again only if all of them existed."""
        from ..songs.plot import (  # brings matplotlib
            PLOT_MARK,
            SpectrogramPlot,
            plot_file,
            song_title,
        )

        song, options = plan.source, self.options
        picture = plan.path(PLOT_MARK, "png")
        self.claims.add(song, [picture], _REMEDY)
        fresh = bool(outputs_to_write(song, {PLOT_MARK: picture}, options.existing))
        drawing = SpectrogramPlot(probe(song).sample_rate, song_title(song))
        listener = drawing.add if fresh else None
        result = write_stems(self.separator, plan, progress=progress, listener=listener)
        if fresh and result.skipped:
            plot_file(self.separator, song, picture, strict=options.strict, progress=progress)
            result = replace(result, skipped=False)
        elif fresh:
            drawing.save(picture, overwrite=options.existing == "overwrite")
        return Done(result, (*result.stems.values(), picture), {"plot": picture})
