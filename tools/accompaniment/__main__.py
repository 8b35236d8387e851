"""python -m tools.accompaniment POP909 OUT: render accompaniments from MIDI, for training.

Reads songs in the layout of POP909 (Wang et al., ISMIR 2020): a folder each, with a MIDI file whose
tracks are MELODY, BRIDGE and PIANO, and beats and chords as text. Drums and bass, and sometimes a
guitar and a pad, are improvised from beats and chords; piano and bridge are played as written; the
melody, which belongs to the singer, is only sometimes played, by an instrument. Each player is a
little uneven and has a place between left and right; all share one small room.

Writes OUT/SONG/{drums,bass,other}.flac: a corpus for recipes, with a weight ``accompaniment`` and
none for vocals. Songs that exist already are skipped, so an interrupted run can be repeated. Needs
FluidSynth and a General MIDI SoundFont: on Debian, the packages fluidsynth and fluid-soundfont-gm.
"""

from __future__ import annotations

import argparse
import tempfile
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import torch
from rich.progress import track

from unmix.audio import AudioWriter, OutputFormat
from unmix.errors import UnmixError
from unmix.stems import INSTRUMENTS

from .players import arrange, cut
from .songs import read_song, varied
from .sound import find_soundfont, mix, play


def main() -> int:
    """Render all songs; name those that failed."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.accompaniment",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("source", type=Path, help="folder of songs")
    parser.add_argument("out", type=Path, help="folder for the corpus")
    parser.add_argument("--soundfont", type=Path, help="General MIDI SoundFont (.sf2 or .sf3)")
    parser.add_argument("--sample-rate", type=int, default=44100, help="Hz")
    parser.add_argument("--versions", type=int, default=1, help="different renderings of each song")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="maximum length")
    parser.add_argument(
        "--seed", type=int, default=0, help="random seed; another one gives other players"
    )
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    try:
        soundfont = find_soundfont(options.soundfont)
    except UnmixError as error:
        raise SystemExit(f"error: {error}") from None
    if not options.source.is_dir():
        raise SystemExit(f"error: {options.source}: no such folder")
    folders = sorted(path for path in options.source.iterdir() if path.is_dir())
    jobs = [(folder, version) for folder in folders for version in range(options.versions)]
    work = partial(_render_song, options, soundfont)
    with ProcessPoolExecutor(options.workers) as pool:
        faults = [fault for fault in track(pool.map(work, jobs), total=len(jobs)) if fault]
    print(*faults, f"{len(jobs) - len(faults)} of {len(jobs)} songs are ready", sep="\n")
    return 1 if faults else 0


def _render_song(options: argparse.Namespace, soundfont: Path, job: tuple[Path, int]) -> str:
    """Render one version of a song into its folder; return the error, or an empty string."""
    folder, version = job
    destination = options.out / (f"{folder.name}-{version}" if version else folder.name)
    if destination.exists():
        return ""
    torch.set_num_threads(1)
    random = np.random.default_rng([options.seed, version, *folder.name.encode()])
    try:
        song = read_song(folder)
        parts = arrange(varied(song, random) if version else song, random)
        parts = [part._replace(notes=cut(part.notes, options.seconds)) for part in parts]
        options.out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=options.out, prefix=".") as scratch:
            stems = {
                stem: play(
                    [part for part in parts if part.stem == stem],
                    soundfont,
                    Path(scratch),
                    options.sample_rate,
                )
                for stem in INSTRUMENTS
            }
            ready = Path(scratch) / "ready"
            ready.mkdir()
            for stem, samples in mix(stems, options.sample_rate, random).items():
                with AudioWriter(
                    ready / f"{stem}.flac",
                    sample_rate=options.sample_rate,
                    channels=2,
                    format=OutputFormat.parse("flac", bit_depth=16),
                ) as writer:
                    writer.write(samples)
            ready.rename(destination)
    except (UnmixError, OSError) as error:
        return f"{folder}: {error}"
    return ""


if __name__ == "__main__":
    raise SystemExit(main())
