"""Songs from pipes: the results are named after the pipe, and nothing of the copy is left."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from unmix.audio import AudioWriter, OutputFormat, probe

SILENCE = 4000


@pytest.mark.parametrize("name", ["-", pytest.param("/dev/stdin", marks=pytest.mark.slow)])
@pytest.mark.skipif(not Path("/dev/stdin").exists(), reason="needs /dev")
def test_standard_input_is_a_song(tmp_path: Path, name: str) -> None:
    song = tmp_path / "song.wav"
    with AudioWriter(song, sample_rate=8000, channels=1, format=OutputFormat.parse("wav")) as file:
        file.write(np.zeros((1, SILENCE), np.float32))
    words = [sys.executable, "-m", "unmix", "karaoke", name, "-m", "tfc-tdf-tiny", "-q", "fast"]
    (tmp_path / "tmp").mkdir()
    done = subprocess.run(
        words,
        cwd=tmp_path,
        input=song.read_bytes(),
        capture_output=True,
        env={**os.environ, "TMPDIR": str(tmp_path / "tmp")},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode().split("\n")[0] == "stdin (karaoke).wav"
    assert probe(tmp_path / "stdin (karaoke).wav").length == SILENCE
    assert not list((tmp_path / "tmp").glob("unmix-*"))
