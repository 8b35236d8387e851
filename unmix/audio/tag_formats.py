"""How each family of tags names the fields: ID3, Vorbis comments, MP4, ASF and APEv2."""

# mypy: allow-untyped-calls
# (mutagen declares itself typed, but most of its functions are not.)

from __future__ import annotations

import base64
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mutagen.apev2 import APEv2
from mutagen.asf import ASFTags
from mutagen.flac import FLAC
from mutagen.flac import Picture as FlacPicture
from mutagen.id3 import APIC, COMM, ID3, USLT, Frames
from mutagen.mp4 import MP4Cover, MP4Tags

_ID3 = {
    "title": "TIT2",
    "artist": "TPE1",
    "album_artist": "TPE2",
    "album": "TALB",
    "track": "TRCK",
    "disc": "TPOS",
    "date": "TDRC",
    "genre": "TCON",
    "composer": "TCOM",
    "copyright": "TCOP",
}
_MP4 = {
    "title": "\xa9nam",
    "artist": "\xa9ART",
    "album_artist": "aART",
    "album": "\xa9alb",
    "date": "\xa9day",
    "genre": "\xa9gen",
    "composer": "\xa9wrt",
    "lyrics": "\xa9lyr",
    "comment": "\xa9cmt",
    "copyright": "cprt",
}
_MP4_NUMBERS = {"track": "trkn", "disc": "disk"}
_VORBIS: dict[str, tuple[str, ...]] = {  # all are read, the first is written
    "title": ("title",),
    "artist": ("artist",),
    "album_artist": ("albumartist", "album artist", "album_artist"),
    "album": ("album",),
    "track": ("tracknumber", "track"),
    "disc": ("discnumber", "disc"),
    "date": ("date", "year"),
    "genre": ("genre",),
    "composer": ("composer",),
    "lyrics": ("lyrics", "unsyncedlyrics"),
    "comment": ("comment", "description"),
    "copyright": ("copyright",),
}
_TOTALS = {"track": ("tracktotal", "totaltracks"), "disc": ("disctotal", "totaldiscs")}
_ASF = {
    "title": "Title",
    "artist": "Author",
    "album_artist": "WM/AlbumArtist",
    "album": "WM/AlbumTitle",
    "track": "WM/TrackNumber",
    "disc": "WM/PartOfSet",
    "date": "WM/Year",
    "genre": "WM/Genre",
    "composer": "WM/Composer",
    "lyrics": "WM/Lyrics",
    "comment": "Description",
    "copyright": "Copyright",
}
_MP4_IMAGES = {"image/jpeg": MP4Cover.FORMAT_JPEG, "image/png": MP4Cover.FORMAT_PNG}
_FRONT_COVER = 3
_LARGEST_BLOCK = (1 << 24) - 1  # bytes: FLAC counts the size of its blocks in 24 bits

Fields = dict[str, tuple[str, ...]]


@dataclass(frozen=True, kw_only=True)
class Picture:
    """Cover art: an image file, its MIME type, and its kind as ID3 numbers it."""

    data: bytes
    mime: str = "image/jpeg"
    kind: int = _FRONT_COVER
    description: str = ""


def read_fields(file: Any) -> Fields:
    """Return the fields of an open mutagen file, by the names of ``Tags.fields``."""
    tags = file.tags
    if isinstance(tags, ID3):
        found = _read_id3(tags)
    elif isinstance(tags, MP4Tags):
        found = _read_mp4(tags)
    elif isinstance(tags, ASFTags):
        found = {name: [str(text) for text in tags.get(key, [])] for name, key in _ASF.items()}
    else:
        found = _read_comments(tags)
    cleaned = {
        name: tuple(text for text in dict.fromkeys(texts) if text.strip())
        for name, texts in found.items()
    }
    return {name: texts for name, texts in cleaned.items() if texts}


def read_pictures(file: Any, damage: list[Exception]) -> tuple[Picture, ...]:
    """Return the cover art of an open mutagen file; errors in pictures are added to ``damage``."""
    tags = file.tags
    if isinstance(tags, ID3):
        return tuple(
            Picture(
                data=art.data, mime=art.mime, kind=int(art.type), description=art.desc.rstrip(" ")
            )
            for art in tags.getall("APIC")
        )
    if isinstance(tags, MP4Tags):
        names = {number: mime for mime, number in _MP4_IMAGES.items()}
        return tuple(
            Picture(data=bytes(art), mime=names.get(art.imageformat, "image/jpeg"))
            for art in tags.get("covr", [])
        )
    if isinstance(tags, ASFTags):
        return tuple(_each(lambda art: _asf_picture(art.value), tags.get("WM/Picture", []), damage))
    if isinstance(file, FLAC):
        return tuple(map(_from_flac, file.pictures))
    if isinstance(tags, APEv2):
        return ()
    blocks = tags.get("metadata_block_picture", [])
    return tuple(
        _each(lambda text: _from_flac(FlacPicture(base64.b64decode(text))), blocks, damage)
    )


def _each(
    read: Callable[[Any], Picture], items: Iterable[Any], damage: list[Exception]
) -> Iterator[Picture]:
    """Yield the pictures that can be read."""
    for item in items:
        try:
            yield read(item)
        except Exception as error:  # mutagen raises anything
            damage.append(error)


def write_fields(
    file: Any, fields: Mapping[str, tuple[str, ...]], pictures: tuple[Picture, ...]
) -> None:
    """Put fields and cover art into an open mutagen file, without those it has no place for."""
    tags = file.tags
    if isinstance(tags, ID3):
        _write_id3(tags, fields, pictures)
        return
    if isinstance(tags, MP4Tags):
        _write_mp4(tags, fields, pictures)
        return
    _write_comments(tags, fields)
    blocks = [block for block in map(_to_flac, pictures) if len(block.write()) <= _LARGEST_BLOCK]
    if isinstance(file, FLAC):
        file.clear_pictures()
        for block in blocks:
            file.add_picture(block)
    elif blocks:
        texts = [base64.b64encode(block.write()).decode("ascii") for block in blocks]
        tags["metadata_block_picture"] = texts


def _read_id3(tags: ID3) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, key in _ID3.items():
        frame = tags.get(key)
        if frame is not None:
            texts = frame.genres if name == "genre" else frame.text
            found[name] = [str(text) for text in texts]
    found["lyrics"] = [frame.text for frame in tags.getall("USLT")][:1]
    # Comments with a description are written by programs: Sound Check (iTunNORM), checksums.
    plain = [frame for frame in tags.getall("COMM") if not frame.desc]
    found["comment"] = [str(text) for frame in plain[:1] for text in frame.text]
    return found


def _write_id3(
    tags: ID3, fields: Mapping[str, tuple[str, ...]], pictures: Iterable[Picture]
) -> None:
    for name, texts in fields.items():
        if name in _ID3:
            tags.setall(_ID3[name], [Frames[_ID3[name]](encoding=3, text=list(texts))])
        elif name == "lyrics":
            tags.setall("USLT", [USLT(encoding=3, lang="XXX", desc="", text="\n".join(texts))])
        elif name == "comment":
            tags.setall("COMM", [COMM(encoding=3, lang="XXX", desc="", text=list(texts))])
    arts: dict[str, APIC] = {}
    for art in pictures:
        description = art.description
        while description in arts:  # ID3 allows each only once
            description += " "
        arts[description] = APIC(
            encoding=3, mime=art.mime, type=art.kind, desc=description, data=art.data
        )
    if arts:
        tags.setall("APIC", list(arts.values()))


def _read_mp4(tags: MP4Tags) -> dict[str, list[str]]:
    found = {name: [str(text) for text in tags.get(key, [])] for name, key in _MP4.items()}
    for name, key in _MP4_NUMBERS.items():
        for number, total in tags.get(key, [])[:1]:
            found[name] = [f"{number}/{total}" if total else str(number)] if number else []
    return found


def _write_mp4(
    tags: MP4Tags, fields: Mapping[str, tuple[str, ...]], pictures: Iterable[Picture]
) -> None:
    for name, texts in fields.items():
        if name in _MP4:
            tags[_MP4[name]] = list(texts)
            continue
        number, _, total = texts[0].partition("/")
        if number.strip().isdecimal():
            count = int(total) if total.strip().isdecimal() else 0
            tags[_MP4_NUMBERS[name]] = [(int(number), count)]
    covers = [
        MP4Cover(art.data, _MP4_IMAGES[kind])
        for art in pictures
        if (kind := _image_type(art)) in _MP4_IMAGES
    ]
    if covers:
        tags["covr"] = covers


def _image_type(art: Picture) -> str:
    """Return a picture's MIME type: by its first bytes, or as it says."""
    for kind, start in (("image/png", b"\x89PNG"), ("image/jpeg", b"\xff\xd8\xff")):
        if art.data.startswith(start):
            return kind
    return art.mime.lower().replace("jpg", "jpeg")


def _read_comments(tags: Any) -> dict[str, list[str]]:
    """Read Vorbis comments or APEv2, which use much the same names."""
    found: dict[str, list[str]] = {}
    for name, keys in _VORBIS.items():
        for key in keys:
            if key in tags:
                value = tags[key]
                found[name] = [
                    str(text) for text in (value if isinstance(value, list) else [value])
                ]
                break
    for name, keys in _TOTALS.items():
        for key in keys:
            if name in found and key in tags and "/" not in found[name][0]:
                found[name] = [f"{found[name][0]}/{tags[key][0]}"]
    return found


def _write_comments(tags: Any, fields: Mapping[str, tuple[str, ...]]) -> None:
    for name, texts in fields.items():
        number, _, total = texts[0].partition("/")
        if name in _TOTALS and total:
            tags[_VORBIS[name][0]] = [number]
            tags[_TOTALS[name][0]] = [total]
        else:
            tags[_VORBIS[name][0]] = list(texts)


def _from_flac(block: FlacPicture) -> Picture:
    return Picture(data=block.data, mime=block.mime, kind=block.type, description=block.desc)


def _to_flac(art: Picture) -> FlacPicture:
    block = FlacPicture()
    block.data, block.mime, block.type, block.desc = art.data, art.mime, art.kind, art.description
    return block


def _asf_picture(value: bytes) -> Picture:
    """Parse ASF's picture: kind, size, two zero-terminated texts in UTF-16, the image."""
    kind, size = struct.unpack_from("<BI", value)
    texts, start = [], 5
    for _ in range(2):
        end = start
        while value[end : end + 2] not in (b"\0\0", b""):
            end += 2
        texts.append(value[start:end].decode("utf-16-le", "replace"))
        start = end + 2
    return Picture(data=value[start : start + size], mime=texts[0], kind=kind, description=texts[1])
