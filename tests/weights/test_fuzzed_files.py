"""Files of weights that are damaged on purpose: a result or one sentence, in bounded memory."""

from __future__ import annotations

import io
import random
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from serving import packed_tar, packed_zip

from unmix.errors import UnmixError
from unmix.models import build
from unmix.training.checkpoint import load_checkpoint
from unmix.weights.archive import is_archive, unpack
from unmix.weights.converters._torch_file import read_torch
from unmix.weights.converters.unet import read_chainer
from unmix.weights.load import load_model, save_weights

CONFIG = {"n_fft": 64, "hop_length": 16, "frames": 8, "width": 2, "depth": 2, "stems": ["vocals"]}
# Numbers that fields of headers hold when they lie.
NUMBERS = [0, 1, 2, 0x7F, 0xFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 1 << 40, (1 << 64) - 1]


def _safetensors(folder: Path) -> bytes:
    path = folder / "whole.safetensors"
    save_weights(path, "unet", CONFIG, build("unet", CONFIG).state_dict(), licence="none")
    return path.read_bytes()


def _npz(_: Path) -> bytes:
    out = io.BytesIO()
    np.savez_compressed(out, **{"conv1/W": np.ones((2, 3), np.float32), "conv1/b": np.zeros(2)})
    return out.getvalue()


def _checkpoint(folder: Path) -> bytes:
    path = folder / "whole.ckpt"
    state = build("unet", CONFIG).state_dict()
    torch.save({"recipe": {"architecture": "unet", "model": CONFIG}, "average": state}, path)
    return path.read_bytes()


def _old_checkpoint(folder: Path) -> bytes:
    path = folder / "old.pth"
    torch.save({"a": torch.ones(3), "b": 1}, path, _use_new_zipfile_serialization=False)
    return path.read_bytes()


def _zip(_: Path) -> bytes:
    return packed_zip({"top/model.index": bytes(300), "top/model.data": b"abc" * 50, "x": b""})


def _tar(_: Path) -> bytes:
    return packed_tar({"top/model.index": bytes(300), "x": "y", "n" * 200: b"a", "model.a": b"b"})


def _plain_tar(folder: Path) -> bytes:
    out = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(_tar(folder))) as archive,
        tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as plain,
    ):
        for entry in archive:
            plain.addfile(entry, archive.extractfile(entry) if entry.isfile() else None)
    return out.getvalue()


def _unpack(path: Path) -> None:
    if is_archive(path):
        folder = path.with_name("unpacked")
        folder.mkdir(exist_ok=True)
        unpack(path, "model", folder)


# Writers of a whole file, and readers of what becomes of it.
KINDS: dict[str, tuple[str, Callable[[Path], bytes], Callable[[Path], object]]] = {
    "safetensors": ("a.safetensors", _safetensors, load_model),
    "npz": ("a.npz", _npz, read_chainer),
    "checkpoint": ("a.ckpt", _checkpoint, load_model),
    "training": ("a.ckpt", _checkpoint, load_checkpoint),
    "torch": ("a.pth", _old_checkpoint, read_torch),
    "zip": ("a", _zip, _unpack),
    "tar.gz": ("a", _tar, _unpack),
    "tar": ("a", _plain_tar, _unpack),
}


def damaged(content: bytes, rng: random.Random) -> bytes:
    """Return a file with some fields overwritten, bytes cut, doubled or moved."""
    data = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        # Headers are at the ends.
        near = rng.choice([64, 600, len(data)])
        at = rng.randrange(min(near, len(data)) or 1)
        at = at if rng.random() < 0.5 else max(len(data) - 1 - at, 0)
        size = rng.choice([1, 2, 4, 8])
        match rng.randrange(7):
            case 0 | 1:
                number = rng.choice(NUMBERS) & ((1 << 8 * size) - 1)
                data[at : at + size] = number.to_bytes(size, "little")
            case 2:
                data[at : at + 1] = bytes([rng.randrange(256)])
            case 3:
                del data[at : at + rng.randint(1, 40)]
            case 4:
                data[at:at] = data[at : at + rng.randint(1, 40)]
            case 5:
                data[at : at + 1] = b'0123456789/.\\[{"-'[rng.randrange(16) :][:1]
            case _:
                del data[at:]
    return bytes(data)


def _settle_tar(data: bytes) -> bytes:
    """Return a tar file whose headers have the right checksums, or no reader looks further."""
    blocks = bytearray(data)
    for at in range(0, len(blocks) - 511, 512):
        if blocks[at + 257 : at + 262] == b"ustar":
            total = sum(blocks[at : at + 148]) + 8 * 32 + sum(blocks[at + 156 : at + 512])
            blocks[at + 148 : at + 156] = b"%06o\0 " % total
    return bytes(blocks)


def try_one(kind: str, seed: int, folder: Path, whole: bytes) -> bool:
    """Read one damaged file; return whether it could be read."""
    name, _, read = KINDS[kind]
    content = damaged(whole, random.Random(seed))
    path = folder / name
    path.write_bytes(_settle_tar(content) if kind == "tar" else content)
    try:
        read(path)
    except UnmixError as error:
        return name not in str(error)  # never: each sentence names its file
    return True


@pytest.fixture(scope="module")
def wholes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("whole")
    return {kind: make(folder) for kind, (_, make, _) in KINDS.items()}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.filterwarnings("ignore")  # of libraries, about what they refuse next
def test_damage_is_one_sentence(
    kind: str, tmp_path_factory: pytest.TempPathFactory, wholes: dict[str, bytes]
) -> None:
    @settings(max_examples=60, deadline=None, derandomize=True, database=None)
    @given(seed=st.integers(0, 1 << 32))
    def check(seed: int) -> None:
        try_one(kind, seed, tmp_path_factory.mktemp("fuzz"), wholes[kind])

    check()


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.filterwarnings("ignore")
def test_much_damage_is_one_sentence(kind: str, tmp_path: Path, wholes: dict[str, bytes]) -> None:
    for seed in range(20_000):
        try_one(kind, seed, tmp_path, wholes[kind])


@pytest.mark.parametrize("kind", KINDS)
def test_whole_files_are_read(kind: str, tmp_path: Path, wholes: dict[str, bytes]) -> None:
    name, _, read = KINDS[kind]
    (tmp_path / name).write_bytes(wholes[kind])
    read(tmp_path / name)


def _header(shape: object, dtype: str = "<f4") -> bytes:
    text = repr({"descr": dtype, "fortran_order": False, "shape": shape}).encode()
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


@pytest.mark.parametrize(
    "members",
    [
        {"a.npy": _header((10**12,)) + bytes(8)},
        {"a.npy": _header((10**12, 0, -1)) + bytes(8)},
        {"a.npy": _header((2,), "|O") + bytes(16)},
        {"a.npy": _header("x")},
        {"a.npy": b"\x93NUMPY\x09\x00"},
        {"a.npy": b""},
    ],
)
def test_an_array_larger_than_its_data_is_refused(
    tmp_path: Path, members: dict[str, bytes]
) -> None:
    path = tmp_path / "a.npz"
    path.write_bytes(packed_zip(members))
    with pytest.raises(UnmixError, match=r"a\.npz: expected a Chainer archive"):
        read_chainer(path)


@pytest.mark.parametrize("read", [read_chainer, read_torch, load_model])
def test_zip_bombs_are_refused_unread(tmp_path: Path, read: Callable[[Path], object]) -> None:
    path = tmp_path / "a.ckpt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("a.npy", bytes(20 << 20))
    with pytest.raises(UnmixError, match=r"a\.ckpt: not read: it would grow to 21 MB"):
        read(path)


def test_a_tensor_larger_than_its_data_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.ckpt"
    huge = torch.ones(1).expand(10**6, 10**6)
    held = {"recipe": {"architecture": "unet", "model": CONFIG}, "average": {"a": huge}}
    torch.save(held, path)
    with pytest.raises(UnmixError, match=r"a\.ckpt: its tensor a is larger than its data"):
        load_model(path)


@pytest.mark.parametrize(
    "kind", [tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE]
)
def test_what_is_no_file_is_never_made(tmp_path: Path, kind: bytes) -> None:
    """A link or device that is wanted is refused, one of another name is passed over."""
    path, folder = tmp_path / "a.tar", tmp_path / "out"
    folder.mkdir()
    for name, refused in (("model.b", True), ("other", False)):
        with tarfile.open(path, "w") as archive:
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = kind, "/etc/passwd"
            archive.addfile(entry)
            archive.addfile(tarfile.TarInfo("model.a"))
        if refused:
            with pytest.raises(UnmixError, match="leads out of the folder"):
                unpack(path, "model", folder)
        else:
            unpack(path, "model", folder)
    assert [held.name for held in folder.iterdir()] == ["model.a"]


def test_of_members_of_one_name_the_first_counts(tmp_path: Path) -> None:
    path, folder = tmp_path / "a.tar", tmp_path / "out"
    folder.mkdir()
    with tarfile.open(path, "w") as archive:
        for content in (b"one", b"second"):
            entry = tarfile.TarInfo("model.a")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    unpack(path, "model", folder)
    assert (folder / "model.a").read_bytes() == b"one"


def test_an_encrypted_member_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    data = bytearray(packed_zip({"model.a": b"one"}))
    data[6] |= 1  # the flag in the member's header, and in the directory
    data[data.index(b"PK\1\2") + 8] |= 1
    path.write_bytes(data)
    with pytest.raises(UnmixError, match=r"a\.zip: the archive is damaged .*encrypted"):
        unpack(path, "model", tmp_path)


def test_a_name_of_gigabytes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    entry = tarfile.TarInfo("././@LongLink")
    entry.type, entry.size = tarfile.GNUTYPE_LONGNAME, 2 << 30
    path.write_bytes(entry.tobuf(tarfile.GNU_FORMAT))
    assert not is_archive(path)
    with pytest.raises(UnmixError, match="the archive is damaged"):
        unpack(path, "model", tmp_path)


def test_a_member_without_a_name_is_damage(tmp_path: Path) -> None:
    """Found by ``test_much_damage_is_one_sentence``: Python's reader asks for its last letter."""
    path = tmp_path / "a.zip"
    path.write_bytes(packed_zip({"~": b"one"}).replace(b"~", b"\0"))
    with pytest.raises(UnmixError, match=r"a\.zip: "):
        unpack(path, "model", tmp_path)
