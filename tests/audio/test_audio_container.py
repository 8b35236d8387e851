"""No file opens another, or the network: the demuxers are a list of allowed ones."""

from __future__ import annotations

import ast
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import av
import numpy as np
import pytest
from av.format import ContainerFormat, formats_available

from unmix.audio import AudioWriter, OutputFormat, read_audio, read_tags
from unmix.audio.container import DEMUXERS, open_container
from unmix.audio.video import has_picture
from unmix.errors import AudioError

ALLOWED = {name for names in DEMUXERS.values() for name in names}
ROOT = Path(__file__).parents[2]


def _demuxers() -> list[str]:
    names = []
    for name in sorted(formats_available):
        try:
            names += [name] if ContainerFormat(name, "r").is_input else []
        except ValueError:  # it only writes
            continue
    return names


def test_what_is_allowed_exists() -> None:
    """A name that is misspelt would allow nothing."""
    assert {part for name in _demuxers() for part in name.split(",")} >= ALLOWED
    assert sum(map(len, DEMUXERS.values())) == len(ALLOWED)


@pytest.mark.parametrize("name", _demuxers())
def test_every_other_demuxer_is_refused(name: str, tmp_path: Path) -> None:
    """FFmpeg asks the list before it lets a demuxer read: even a forced one opens nothing."""
    if ALLOWED & set(name.split(",")):
        pytest.skip("allowed: it reads samples or packets from the one file")
    path = tmp_path / "a"
    path.write_bytes(bytes(4096))
    with path.open("rb") as file, pytest.raises((av.FFmpegError, ValueError)):
        open_container(file, demuxer=name)


INSTRUCTIONS = {
    "concat": "ffconcat version 1.0\nfile {other}\n",
    "concat with a protocol": "ffconcat version 1.0\nfile 'file:{other}'\n",
    "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:6,\n{url}\n#EXT-X-ENDLIST\n",
    "hls of a file": "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:6,\n{other}\n#EXT-X-ENDLIST\n",
    "sdp": "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    "m=audio 5004 RTP/AVP 0\r\n",
    "dash": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static">'
    "<Period><AdaptationSet><Representation><BaseURL>{url}</BaseURL></Representation>"
    "</AdaptationSet></Period></MPD>",
    "asx": "[Reference]\r\nRef1={url}?MSWMExt=.asf\r\n",
    "rtsptext": "rtsptext {url}\n",
    "beats": "-SE\n0:00 pink/20 150+1.05/20\n",
}


@pytest.mark.parametrize("end", [".mp3", ".m3u8", ".wav", ""])
@pytest.mark.parametrize("text", INSTRUCTIONS.values(), ids=INSTRUCTIONS)
def test_instructions_are_refused_whatever_their_name(tmp_path: Path, text: str, end: str) -> None:
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

    other = tmp_path / "other.wav"
    with AudioWriter(other, sample_rate=8000, channels=1, format=OutputFormat.parse("wav")) as file:
        file.write(np.ones((1, 8000), np.float32) / 2)
    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        song = tmp_path / f"song{end}"
        song.write_text(text.format(other=other, url=f"http://127.0.0.1:{server.server_port}/a"))
        with pytest.raises(AudioError, match="cannot be read as audio"):
            read_audio(song)
        assert not read_tags(song).fields
        assert not has_picture(song)
        server.shutdown()
    assert not asked


def test_only_one_module_opens_files_with_ffmpeg() -> None:
    """Encoders open for writing; what reads goes through the list."""
    places = set()
    for path in [*ROOT.glob("unmix/**/*.py"), *ROOT.glob("tools/**/*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or ast.unparse(node.func) != "av.open":
                continue
            words = [word.value for word in node.args if isinstance(word, ast.Constant)]
            if "w" not in words:
                places.add(path.relative_to(ROOT).as_posix())
    assert places == {"unmix/audio/container.py"}
