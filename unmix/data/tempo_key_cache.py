"""Tempo and key of tracks, estimated once and cached in the user's cache folder.

They are estimated from the accompaniment, which has the beat and the chords; otherwise from the
mixture, or from the instruments there are. Vocals alone have a key but no reliable tempo.

The cache is a file with one JSON line per track, written as soon as the track is estimated. A line
is found by a hash of the paths, sizes and modification times of the files, so changed files are
estimated again. Damaged lines are dropped. If the cache cannot be written, tracks are estimated
again in the next run.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Sequence
from dataclasses import astuple, replace
from hashlib import sha256
from pathlib import Path

from pydantic import ValidationError

from ..config import Settings
from ..errors import AudioError, NoCacheError
from ..stems import ACCOMPANIMENT, MIXTURE, VOCALS, in_order
from ..storage import cache_folder, written_whole
from .tempo_key import TempoKey, estimate_key, estimate_tempo
from .tracks import StemFile, Term, Track, mix, signed

# Sample rate in Hz, and seconds from the middle of a track, that are analysed as mono.
_RATE = 11025
_SECONDS = 60
# To be increased with the estimation algorithm, so that old lines are not used.
_VERSION = 1
_NAME = "music.jsonl"

_log = logging.getLogger(__name__)


def with_tempo_key(tracks: Sequence[Track], *, voices: bool) -> tuple[Track, ...]:
    """Return the tracks with their tempo and key, if these can be estimated.

    A track that cannot be read is returned unchanged; drawing it reports the error.

    Args:
        tracks: the tracks of a corpus.
        voices: whether to estimate tracks with vocals only, too.
    """
    try:
        cache = TempoKeyCache(cache_folder() / _NAME)
    except NoCacheError:
        cache = TempoKeyCache(Path(os.devnull))
    wanted = {n: t for n, t in enumerate(tracks) if voices or set(t.stems) != {VOCALS}}
    sources = {number: _identity(track) for number, track in wanted.items()}
    unknown = sum(source not in cache for source in sources.values())
    if unknown:
        _log.warning(
            "estimating the tempo and key of %d tracks (once, about a second each)", unknown
        )
    found = {number: cache.get(sources[number], track) for number, track in wanted.items()}
    return tuple(
        replace(track, tempo_key=found[number]) if number in found else track
        for number, track in enumerate(tracks)
    )


def estimate_tempo_key(track: Track) -> TempoKey:
    """Return the tempo and key of a track.

    Raises:
        AudioError: a file cannot be read.
    """
    names, terms = _analysed(track)
    length = min(_SECONDS * _RATE, terms[0].file.length_at(_RATE))
    start = (terms[0].file.length_at(_RATE) - length) // 2
    samples = mix(signed(term.file.read(start, length, _RATE, 1), term.sign) for term in terms)[0]
    return TempoKey(
        tempo=None if names == {VOCALS} else estimate_tempo(samples, _RATE),
        key=estimate_key(samples, _RATE),
    )


def _analysed(track: Track) -> tuple[set[str], tuple[Term, ...]]:
    """Return the stems of a track to analyse, and the files that sum to them."""
    for stem in (ACCOMPANIMENT, MIXTURE):
        if terms := track.terms(stem):
            return {stem}, terms
    names = in_order(set(track.stems) - {VOCALS}) or (VOCALS,)
    return set(names), tuple(Term(track.stems[name], 1) for name in names)


class _Line(Settings):
    """One line of the cache."""

    source: str
    """Hash of the files analysed."""
    music: TempoKey


class TempoKeyCache:
    """Tempo and key of tracks from earlier runs.

    Args:
        path: the cache file, which need not exist.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writable = True
        self._known: dict[str, TempoKey] = {}
        damaged = False
        for text in _lines(path):
            try:
                line = _Line.model_validate_json(text)
            except ValidationError:
                damaged = True
            else:
                self._known[line.source] = line.music
        if damaged:
            self._write(b"".join(_encoded(*item) for item in self._known.items()), whole=True)

    def __contains__(self, source: str) -> bool:
        return source in self._known

    def get(self, source: str, track: Track) -> TempoKey:
        """Return the tempo and key of a track, estimated if not in the cache."""
        if source not in self._known:
            try:
                found = estimate_tempo_key(track)
            except AudioError:
                return TempoKey()  # not cached: the file may be repaired
            self._known[source] = found
            self._write(_encoded(source, found), whole=False)
        return self._known[source]

    def _write(self, lines: bytes, *, whole: bool) -> None:
        """Append lines to the file, or replace it by them if ``whole``."""
        if not self._writable:
            return
        try:
            if whole:
                with written_whole(self._path) as staged:
                    staged.write_bytes(lines)
            else:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                with self._path.open("ab", buffering=0) as file:
                    file.write(lines)
        except OSError as error:
            self._writable = False
            _log.warning(
                "%s cannot be written (%s); tempo and key will be estimated again",
                self._path,
                error,
            )


def _lines(path: Path) -> list[bytes]:
    try:
        return [line for line in path.read_bytes().splitlines() if line]
    except OSError:
        return []


def _encoded(source: str, tempo_key: TempoKey) -> bytes:
    return _Line(source=source, music=tempo_key).model_dump_json().encode() + b"\n"


def _identity(track: Track) -> str:
    """Return a hash of the files to analyse: paths, sizes and modification times."""
    names, terms = _analysed(track)
    files = [(*_described(term.file), term.sign) for term in terms]
    told = json.dumps([_VERSION, sorted(names), files], default=str)
    return sha256(told.encode()).hexdigest()


def _described(file: StemFile) -> tuple[object, ...]:
    try:
        state = file.path.stat()
    except OSError:
        return astuple(file)
    return (*astuple(replace(file, path=file.path.absolute())), state.st_size, state.st_mtime_ns)
