"""Packing a corpus of any layout into shards of 16-bit samples; see ``packed`` for the format.

All files are written to a hidden folder beside the destination, which is renamed at the end. An
interrupted packing continues after the last complete shard.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from contextlib import ExitStack, closing
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ..errors import AudioError, UnmixError
from ..storage import sha256_of, written_whole
from ..storage.hidden import OWNER
from ..storage.locks import try_lock
from .folders import Contents
from .packed import (
    INDEX,
    SCALE,
    PackIndex,
    ShardEntry,
    SkippedEntry,
    StemEntry,
    packed_stem,
    read_index,
)
from .tracks import SILENCE, StemFile, Track, TrackProgress

#: Bytes after which a shard is closed, at the end of a track.
SHARD_SIZE = 256 * 2**20
_LARGEST = 32767
#: Files with what to pack and what is done, which exist only during packing.
_PLAN, _STATE = "plan.json", "state.json"


def pack(
    contents: Contents,
    destination: Path,
    *,
    strict: bool = False,
    verify: bool = False,
    shard_size: int = SHARD_SIZE,
    progress: TrackProgress = lambda fraction, track: None,
) -> PackIndex:
    """Pack a corpus; if interrupted, the same call continues.

    Stems keep their sample rates and channels, tracks their names. A stem that does not decode to
    its end is skipped and listed in the index; a silent one is marked there.

    Args:
        contents: the corpus, from ``read_folder``.
        destination: folder to create.
        strict: whether a stem that does not decode is an error.
        verify: whether to read everything back and compare it with the source.
        shard_size: bytes after which a shard is closed.
        progress: see ``TrackProgress``.

    Returns:
        The index of the packed corpus.

    Raises:
        UnmixError: the destination exists, packing of other files was begun there, the disk is
            full, no stem decodes, or the comparison fails.
    """
    if destination.exists():
        raise UnmixError(f"{destination} exists already: choose another name")
    folder = destination.with_name(f".{destination.name}.packing")
    stack = ExitStack()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        owner = stack.enter_context(closing(try_lock(folder / OWNER)))
        if owner.free is False or not owner.in_place:
            raise UnmixError(f"{destination}: another process is packing there")
        index = _begin(folder, contents, strict)
        total = sum(track.seconds for track in contents.tracks)
        while pending := [track for track in contents.tracks if track.name not in index.tracks]:
            done = 1 - sum(track.seconds for track in pending) / total
            index = _add_shard(
                folder,
                index,
                pending,
                strict=strict,
                shard_size=shard_size,
                progress=partial(_from, progress, done, total),
            )
        if not any(index.tracks.values()):
            raise UnmixError(f"{destination}: nothing to pack, since no stem can be decoded")
        if verify:
            _compare(folder, index, contents.tracks, progress)
        whole = index.model_copy(
            update={"tracks": {name: stems for name, stems in index.tracks.items() if stems}}
        )
        _write_whole(folder / INDEX, whole.model_dump_json(indent=1))
        os.replace(folder, destination)  # noqa: PTH105  (atomic, and says so)
        for name in (_PLAN, _STATE, OWNER):
            (destination / name).unlink(missing_ok=True)
    except OSError as error:
        raise UnmixError(
            f"{destination} cannot be written: {error.strerror or error}; run the same command "
            f"again to continue from {folder}"
        ) from error
    finally:
        stack.close()
    return whole


def _from(progress: TrackProgress, done: float, total: float, seconds: float, track: str) -> None:
    """Report the total progress after some seconds of a shard."""
    progress(done + seconds / total, track)


def _begin(folder: Path, contents: Contents, strict: bool) -> PackIndex:
    """Return the index of what is packed already; create the folder if there is none."""
    plan = _plan(contents, strict)
    if not any(entry.name != OWNER for entry in folder.iterdir()):
        _write_whole(folder / _PLAN, plan)
    elif not (folder / _PLAN).is_file() or (folder / _PLAN).read_text(encoding="utf-8") != plan:
        raise UnmixError(
            f"{folder} is left from packing other files, or files that have changed since: "
            "remove it"
        )
    if not (folder / _STATE).is_file():
        skipped = tuple(
            SkippedEntry(path=str(it.path), stem=it.stem, reason=it.reason)
            for it in contents.skipped
        )
        return PackIndex(skipped=skipped)
    index = read_index(folder / _STATE)
    for name, entry in index.shards.items():
        if not (folder / name).is_file() or (folder / name).stat().st_size != entry.size:
            raise UnmixError(f"{folder / name} is damaged: remove {folder} and pack again")
    return index


def _plan(contents: Contents, strict: bool) -> str:
    """Return a hash of the files to pack and of the way to pack them."""
    files = [
        (track.name, stem, str(file), file.path.stat().st_size, file.path.stat().st_mtime_ns)
        for track in contents.tracks
        for stem, file in track.stems.items()
    ]
    return sha256(json.dumps([strict, files]).encode()).hexdigest()


def _add_shard(
    folder: Path,
    index: PackIndex,
    pending: Sequence[Track],
    *,
    strict: bool,
    shard_size: int,
    progress: TrackProgress,
) -> PackIndex:
    """Write tracks to a new shard until it is large enough; return the updated index."""
    name = f"shard-{len(index.shards):05d}.i16"
    tracks, skipped, seconds = dict(index.tracks), list(index.skipped), 0.0
    with (folder / name).open("wb") as shard:
        for track in pending:
            progress(seconds, track.name)
            entries = tracks[track.name] = {}
            for stem, file in track.stems.items():
                start = shard.tell()
                try:
                    entries[stem] = _add_stem(shard, name, file)
                except AudioError as error:
                    if strict:
                        raise
                    shard.seek(start)
                    shard.truncate()
                    skipped.append(SkippedEntry(path=str(file.path), stem=stem, reason=str(error)))
            seconds += track.seconds
            if shard.tell() >= shard_size:
                break
        shard.flush()
        os.fsync(shard.fileno())
        size = shard.tell()
    shards = {**index.shards, name: ShardEntry(size=size, sha256=sha256_of(folder / name))}
    index = PackIndex(shards=shards, tracks=tracks, skipped=tuple(skipped))
    _write_whole(folder / _STATE, index.model_dump_json())
    return index


def _add_stem(shard: BinaryIO, name: str, file: StemFile) -> StemEntry:
    """Append a stem to a shard; if it exceeds full scale, again with a larger scale."""
    offset, scale = shard.tell(), SCALE
    length, low, high = _append(shard, file, scale)
    peak = max(high, -low)
    if high / scale > _LARGEST + 0.5 or low / scale < -_LARGEST - 1.5:
        shard.seek(offset)
        shard.truncate()
        scale = peak / _LARGEST
        length, _, _ = _append(shard, file, scale)
    return StemEntry(
        shard=name,
        offset=offset,
        length=length,
        channels=file.channels,
        sample_rate=file.sample_rate,
        scale=scale,
        silent=peak < SILENCE,
    )


def _append(shard: BinaryIO, file: StemFile, scale: float) -> tuple[int, float, float]:
    """Append all samples of a stem; return its length, lowest and highest sample."""
    length, low, high = 0, 0.0, 0.0
    for block in file.blocks():
        # Decoders return a few samples more or less than the header says; positions rely on it.
        samples = block[:, : file.length - length] if file.exact else block
        integers = np.clip(np.rint(samples / scale), -_LARGEST - 1, _LARGEST)
        shard.write(np.ascontiguousarray(integers.T, "<i2").tobytes())
        low = min(low, float(samples.min(initial=0)))
        high = max(high, float(samples.max(initial=0)))
        length += samples.shape[1]
    missing = file.length - length if file.exact else 0
    shard.write(bytes(2 * missing * file.channels))
    if not length:
        raise AudioError(f"{file.path}: contains no audio")
    return length + missing, low, high


def _compare(
    folder: Path, index: PackIndex, tracks: Sequence[Track], progress: TrackProgress
) -> None:
    """Read everything back: compare shards with their hashes, and stems with their source.

    Raises:
        UnmixError: a shard differs, or a sample by more than rounding.
    """
    for name, entry in index.shards.items():
        if sha256_of(folder / name) != entry.sha256:
            raise UnmixError(f"{folder / name} differs from what was written: check the disk")
    total, seconds = sum(track.seconds for track in tracks), 0.0
    for track in tracks:
        progress(seconds / total, f"comparing {track.name}")
        for stem, packed in index.tracks[track.name].items():
            fault = _difference(track.stems[stem], packed_stem(folder, packed))
            if fault > 0.51 * packed.scale:  # half a step, and rounding of float32
                raise UnmixError(
                    f"{track.stems[stem].path} differs from its packed samples by {fault:.2g}"
                )
        seconds += track.seconds


def _difference(source: StemFile, packed: StemFile) -> float:
    """Return the largest difference between two stems, over the length of the second."""
    largest, position = 0.0, 0
    for block in source.blocks():
        ours = packed.decode(position, block.shape[1])
        differences = np.abs(ours - block[:, : ours.shape[1]])
        largest = max(largest, float(differences.max(initial=0)))
        position += block.shape[1]
    return largest


def _write_whole(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    with written_whole(path, fsync=True) as temporary:
        temporary.write_text(text, encoding="utf-8")
