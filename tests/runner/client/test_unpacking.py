"""Bundles from the network: a sound one is unpacked whole, and of any other nothing is left."""

from __future__ import annotations

import hashlib
import json
import shutil
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest

from runner.client.downloads import download
from runner.client.records import Artifact, time_from
from runner.client.unpacking import MAX_FILES, receive_bundle
from runner.errors import ServerFault, ServerUnreachable
from supernet.errors import BundleError
from supernet.export.manifest import MANIFEST, REQUIRED, write_manifest
from tests.runner.client.scripts import TIME, Script, problem

Files = dict[str, bytes]


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """What a small bundle holds."""
    folder = tmp_path / "made"
    folder.mkdir()
    for name in REQUIRED[2]:
        (folder / name).write_bytes(f"content of {name}\n".encode() * 50)
    write_manifest(folder, {"study": "digits"})
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def pack(path: Path, files: Files, compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def bringing(archive: Path) -> Callable[[Path], None]:
    return lambda to: to.write_bytes(archive.read_bytes()) and None  # type: ignore[func-returns-value]


def unpack(tmp_path: Path, archive: Path, **limits: int) -> Path:
    folder = tmp_path / "target" / "model"
    receive_bundle(folder, bringing(archive), **limits)
    return folder


def left(tmp_path: Path) -> list[str]:
    """Whatever an attempt left beside and in the target."""
    return sorted(str(path.relative_to(tmp_path / "target")) for path in (tmp_path / "target").rglob("*"))


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_sound_bundle(tmp_path: Path, files: Files, compression: int) -> None:
    folder = unpack(tmp_path, pack(tmp_path / "b.zip", files, compression))
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == files
    assert left(tmp_path) == ["model", *sorted(f"model/{name}" for name in files)]


def test_a_newer_one_takes_the_place_of_an_older_one(tmp_path: Path, files: Files) -> None:
    folder = unpack(tmp_path, pack(tmp_path / "b.zip", files))
    before = (folder / "model.onnx").stat().st_ino
    assert unpack(tmp_path, pack(tmp_path / "b.zip", files)) == folder
    assert (folder / "model.onnx").stat().st_ino != before


@pytest.mark.parametrize(
    "name",
    [
        "../evil",
        "/etc/evil",
        "a/b",
        "a\\b",
        "C:\\evil",
        "..",
        "folder/",
        "line\nbreak",
        "\x1b]0;evil\x07",
        "right\u202eleft",
        "n" * 256,
    ],
)
def test_names_that_are_no_plain_files_beside_the_others(tmp_path: Path, files: Files, name: str) -> None:
    archive = pack(tmp_path / "b.zip", {**files, name: b"evil"})
    with pytest.raises(ServerFault, match="refused"):
        unpack(tmp_path, archive)
    assert left(tmp_path) == []
    assert not (tmp_path / "evil").exists()


def test_the_same_name_twice(tmp_path: Path, files: Files) -> None:
    archive = pack(tmp_path / "b.zip", {**files, "MODEL.onnx": b"evil"})
    with pytest.raises(ServerFault, match="twice"):
        unpack(tmp_path, archive)
    assert left(tmp_path) == []


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFDIR])
def test_links_and_devices(tmp_path: Path, files: Files, kind: int) -> None:
    archive = pack(tmp_path / "b.zip", files)
    with zipfile.ZipFile(archive, "a") as opened:
        entry = zipfile.ZipInfo("extra")
        entry.external_attr = (kind | 0o777) << 16
        opened.writestr(entry, "/etc/passwd")
    with pytest.raises(ServerFault, match="no plain file"):
        unpack(tmp_path, archive)
    assert left(tmp_path) == []


def test_too_many_files(tmp_path: Path, files: Files) -> None:
    archive = pack(tmp_path / "b.zip", {**files, **{f"f{n}": b"" for n in range(MAX_FILES)}})
    with pytest.raises(ServerFault, match=f"{MAX_FILES} are allowed"):
        unpack(tmp_path, archive)


def test_more_than_is_allowed(tmp_path: Path, files: Files) -> None:
    archive = pack(tmp_path / "b.zip", {**files, "zeros": bytes(1_000_000)})
    assert archive.stat().st_size < 100_000
    with pytest.raises(ServerFault, match="1,000,000 are allowed"):
        unpack(tmp_path, archive, max_bytes=1_000_000)
    assert left(tmp_path) == []


def test_a_file_that_is_larger_than_it_says(tmp_path: Path, files: Files) -> None:
    """The sizes in the directory are changed to 1; what is unpacked must stop there."""
    archive = pack(tmp_path / "b.zip", {**files, "zeros": bytes(1_000_000)})
    with zipfile.ZipFile(archive) as opened:
        entry = opened.getinfo("zeros")
    content = bytearray(archive.read_bytes())
    central = content.rindex(b"zeros") - 46
    assert content[central : central + 4] == b"PK\x01\x02"
    content[central + 24 : central + 28] = (1).to_bytes(4, "little")
    archive.write_bytes(content)
    assert entry.file_size == 1_000_000
    with pytest.raises(ServerFault):
        unpack(tmp_path, archive)
    assert left(tmp_path) == []


def test_no_flipped_byte_changes_what_is_unpacked(tmp_path: Path, files: Files) -> None:
    """Some bytes of an archive say nothing that matters here, such as the time of a file."""
    sound = pack(tmp_path / "b.zip", files).read_bytes()
    refused = 0
    for place in range(0, len(sound), 31):
        content = bytearray(sound)
        content[place] ^= 0xFF
        (tmp_path / "b.zip").write_bytes(content)
        try:
            folder = unpack(tmp_path, tmp_path / "b.zip")
        except ServerFault:
            refused += 1
            assert left(tmp_path) == []
        else:
            assert {path.name: path.read_bytes() for path in folder.iterdir()} == files
            shutil.rmtree(folder)
    assert refused > 0.7 * len(sound) / 31


@pytest.mark.parametrize("content", [b"", b"PK", b"this is no archive" * 100])
def test_something_else(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "b.zip").write_bytes(content)
    with pytest.raises(ServerFault, match="no sound archive"):
        unpack(tmp_path, tmp_path / "b.zip")
    assert left(tmp_path) == []


@pytest.mark.parametrize("change", ["another", "missing", "unlisted", "no manifest", "false manifest"])
def test_files_that_the_manifest_does_not_vouch_for(tmp_path: Path, files: Files, change: str) -> None:
    if change == "another":
        files["model.onnx"] = b"x" * len(files["model.onnx"])
    elif change == "missing":
        del files["model.onnx"]
    elif change == "unlisted":
        files["extra"] = b"evil"
    elif change == "no manifest":
        del files[MANIFEST]
    else:
        manifest = json.loads(files[MANIFEST])
        manifest["files"]["model.onnx"]["sha256"] = "0" * 64
        files[MANIFEST] = json.dumps(manifest).encode()
    with pytest.raises(ServerFault) as raised:
        unpack(tmp_path, pack(tmp_path / "b.zip", files))
    assert "supernaut-" not in str(raised.value)
    assert left(tmp_path) == []


def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path: Path, files: Files) -> None:
    folder = tmp_path / "target" / "model"
    folder.mkdir(parents=True)
    (folder / "thesis.txt").write_text("do not touch")
    with pytest.raises(BundleError, match="something else"):
        unpack(tmp_path, pack(tmp_path / "b.zip", files))
    assert left(tmp_path) == ["model", "model/thesis.txt"]


# Downloads

CONTENT = bytes(range(256)) * 40
CUT = httpx2.ReadError("reset")


def artifact(content: bytes = CONTENT) -> Artifact:
    return Artifact(
        id="c" * 32,
        study_id="a" * 32,
        kind="bundle",
        sha256=hashlib.sha256(content).hexdigest(),
        bytes=len(content),
        created_at=time_from(TIME),
    )


class Cut(httpx2.SyncByteStream):
    """So many bytes, and then nothing more."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    def __iter__(self):  # type: ignore[no-untyped-def]
        yield self.content
        raise CUT


def part(request: httpx2.Request, length: int | None = None) -> httpx2.Response:
    """The asked range, cut after `length` bytes."""
    start = int(request.headers.get("range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))
    status = 206 if "range" in request.headers else 200
    rest = CONTENT[start:]
    if length is None:
        return httpx2.Response(status, content=rest)
    return httpx2.Response(status, stream=Cut(rest[:length]))


def test_a_whole_file(tmp_path: Path) -> None:
    script = Script(part)
    download(script.connection(), artifact(), tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == CONTENT
    assert script.lines == ["GET /api/v1/artifacts/" + "c" * 32]
    assert script.asked[0].headers["accept-encoding"] == "identity"


def test_the_rest_is_asked_for_where_it_breaks_off(tmp_path: Path) -> None:
    script = Script(lambda r: part(r, 1000), lambda r: part(r, 1), lambda r: part(r, 5000), problem(503), part)
    download(script.connection(), artifact(), tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == CONTENT
    asked = [request.headers.get("range") for request in script.asked]
    assert asked == [None, "bytes=1000-", "bytes=1001-", "bytes=6001-", "bytes=6001-"]


def test_a_server_that_begins_anew(tmp_path: Path) -> None:
    script = Script(lambda r: part(r, 1000), httpx2.Response(200, content=CONTENT))
    download(script.connection(), artifact(), tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == CONTENT


def test_a_server_that_stays_away(tmp_path: Path) -> None:
    script = Script(lambda r: part(r, 1000), httpx2.ConnectError("refused"))
    with pytest.raises(ServerUnreachable, match="1,000 of 10,240"):
        download(script.connection(attempts=3), artifact(), tmp_path / "f")


@pytest.mark.parametrize("content", [CONTENT + b"x", CONTENT[:-1] + b"x"])
def test_a_file_that_is_not_the_recorded_one(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(ServerFault):
        download(Script(httpx2.Response(200, content=content)).connection(), artifact(), tmp_path / "f")
