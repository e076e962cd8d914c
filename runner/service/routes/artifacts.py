"""Files that studies made: listed and downloaded.

A file is found by its row alone; nothing of an address ever becomes a path.  It is served as bytes to be kept, never
as something that a browser would show.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, BinaryIO

from fastapi import APIRouter, Header, Request
from fastapi.responses import Response, StreamingResponse

from runner.service.documents import artifact_document
from runner.service.models import ArtifactDocument, Listed
from runner.service.problems import Problem
from runner.service.routes.common import (
    STUDY,
    Reader,
    RowId,
    StudyId,
    TheRecord,
    TheService,
    find_study,
    problems,
    visible,
)
from runner.store import NotRecorded, StoreError

if TYPE_CHECKING:
    from runner.store import ArtifactRecord

router = APIRouter(tags=["artifacts"])

_CHUNK = 1 << 18
_RANGE = re.compile(r"bytes=(?P<first>[0-9]{0,18})-(?P<last>[0-9]{0,18})", re.ASCII)
_BYTES = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "Accept-Ranges": "bytes",
}


@router.get("/studies/{study}/artifacts", responses=problems(*STUDY))
def list_artifacts(study: StudyId, principal: Reader, repository: TheRecord) -> Listed[ArtifactDocument]:
    """The files of a study, the oldest first."""
    found = find_study(repository, principal, study)
    return Listed(items=[artifact_document(artifact) for artifact in repository.artifacts(found.id)])


@router.api_route(
    "/artifacts/{artifact}",
    methods=["GET"],
    response_class=Response,
    responses={
        200: {"description": "The file.", "content": _BYTES},
        206: {"description": "A part of it.", "content": _BYTES},
        **problems("not_found", "artifact_gone", "range_not_satisfiable", "artifact_unavailable"),
    },
)
def download(
    request: Request,
    artifact: RowId,
    principal: Reader,
    service: TheService,
    repository: TheRecord,
    range: Annotated[str | None, Header(description="One part: bytes=FIRST-LAST.")] = None,
    if_range: Annotated[str | None, Header(description="The ETag that the part must belong to.")] = None,
) -> Response:
    """A file, whole or in part."""
    found = repository.find_artifact(artifact)
    visible(repository, principal, found.study_id)
    if found.uri != f"sha256:{found.sha256}":
        raise Problem("artifact_gone", "It was written before files were kept in the store; export it again.")
    try:
        size = service.blobs.size(found.sha256)
        etag = f'"{found.sha256}"'
        part = None if if_range not in (None, etag) else _part(range, size)
        first, last = (0, size - 1) if part is None else part
        headers = {
            **_HEADERS,
            "ETag": etag,
            "Content-Length": str(last - first + 1),
            "Content-Disposition": f'attachment; filename="{_file_name(found)}"',
        }
        if part is not None:
            headers["Content-Range"] = f"bytes {first}-{last}/{size}"
        file = service.blobs.open(found.sha256)
    except NotRecorded:
        raise Problem("artifact_gone", "The store of files does not have it any more; export it again.") from None
    except (StoreError, OSError) as error:
        raise Problem(
            "artifact_unavailable",
            "The store of files does not answer.",
            headers={"Retry-After": "5"},
        ) from error
    content = _whole(file, found) if part is None else _from(file, first, last - first + 1)
    return StreamingResponse(
        content, 200 if part is None else 206, headers=headers, media_type="application/octet-stream"
    )


def _part(header: str | None, size: int) -> tuple[int, int] | None:
    """The first and the last byte that are asked for; None where that is not one part, which may be ignored."""
    match = _RANGE.fullmatch(header or "")
    if match is None or not (match["first"] or match["last"]):
        return None
    if match["first"]:
        first, last = int(match["first"]), int(match["last"] or size - 1)
        if match["last"] and last < first:
            return None
    else:
        first, last = max(0, size - int(match["last"])), size - 1
    if first >= size or not (match["first"] or int(match["last"])):
        raise Problem("range_not_satisfiable", f"It has {size:,} bytes.", headers={"Content-Range": f"bytes */{size}"})
    return first, min(last, size - 1)


def _file_name(artifact: ArtifactRecord) -> str:
    kind = re.sub(r"[^A-Za-z0-9-]", "", artifact.kind)[:32] or "file"
    ending = ".zip" if artifact.kind == "bundle" else ".bin"
    return f"{kind}-{artifact.sha256[:12]}{ending}"


def _whole(file: BinaryIO, artifact: ArtifactRecord) -> Iterator[bytes]:
    """All of it; where the content is not what was recorded, the last bytes never come."""
    digest = hashlib.sha256()
    with file:
        waiting = b""
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            if waiting:
                yield waiting
            waiting = chunk
        if digest.hexdigest() != artifact.sha256:
            raise OSError(f"the artefact {artifact.id} is damaged: its content is not that of its digest")
        yield waiting


def _from(file: BinaryIO, first: int, count: int) -> Iterator[bytes]:
    with file:
        file.seek(first)
        while count > 0 and (chunk := file.read(min(_CHUNK, count))):
            count -= len(chunk)
            yield chunk
