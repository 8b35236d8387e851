"""python tools/prepare_data.py ../shared/data OUT: transcode a corpus to 16-bit WAV, for fast
training.

A compressed file must be decoded from a keyframe before every excerpt; a WAV file is read where the
excerpt is. Folders and names stay the same, so every recipe works on either. Files that are there
already are left alone: an interrupted run goes on.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from rich.progress import track

from unmix.audio import AudioWriter, OutputFormat, Resampler, open_audio
from unmix.data.folders import SUFFIXES
from unmix.errors import UnmixError


def main() -> int:
    """Read the arguments and transcode; files that cannot be read are named and counted."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--sample-rate", type=int, default=44100, help="Hz")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    paths = [p for p in sorted(options.source.rglob("*")) if p.suffix.lower() in SUFFIXES]
    work = partial(transcode, options.source, options.out, options.sample_rate)
    with ProcessPoolExecutor(options.workers) as pool:
        results = pool.map(work, paths, chunksize=8)
        faults = [fault for fault in track(results, total=len(paths)) if fault]
    print(*faults, f"{len(paths) - len(faults)} of {len(paths)} files are ready", sep="\n")
    return 1 if faults else 0


def transcode(source: Path, out: Path, sample_rate: int, path: Path) -> str:
    """Write one file as WAV at ``sample_rate`` Hz; return what was wrong with it, or nothing."""
    destination = (out / path.relative_to(source)).with_suffix(".wav")
    if destination.exists():
        return ""
    destination.parent.mkdir(parents=True, exist_ok=True)
    try:
        with (
            open_audio(path) as reader,
            AudioWriter(
                destination,
                sample_rate=sample_rate,
                channels=reader.channels,
                format=OutputFormat.parse("wav", bit_depth=16),
            ) as writer,
        ):
            resampler = Resampler(reader.sample_rate, sample_rate, reader.channels)
            for block in reader.blocks():
                writer.write(resampler.push(block))
            writer.write(resampler.finish())
    except UnmixError as error:
        return str(error)
    return ""


if __name__ == "__main__":
    raise SystemExit(main())
