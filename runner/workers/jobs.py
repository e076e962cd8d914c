"""What a job does with a study: retrain points of its front, or export them as bundles that can be downloaded."""

from __future__ import annotations

import os
import shutil
import tempfile
import zipfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from predictors.errors import PredictorError
from runner.errors import RunnerError
from runner.front import choose
from runner.stages.export import default_folder, export_point
from runner.stages.retrain import retrain_points
from runner.store.blobs import Blobs
from runner.store.records import NewArtifact
from runner.verify import Scope, examine
from supernet.errors import SupernetError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runner.store.records import JobRecord
    from runner.work import StudyWork

BUNDLE = "bundle"  # the kind of an artefact that is a whole bundle, as one zip file
_EARLIEST = (1980, 1, 1, 0, 0, 0)  # that a zip file can say: equal bundles are equal files


def do(job: JobRecord, work: StudyWork) -> dict[str, Any]:
    """Do a job on a study whose weights are restored; what its row is to say of the result.

    Raises `NotFound` or `SpecError` for a point or format that there is not, and whatever stands in the way.
    """
    points = choose(work.front(), [job.payload["point"]])
    if job.kind == "retrain":
        return {"architectures": retrain_points(work, points)}
    bundles: dict[str, str] = {}
    checks: dict[str, list[dict[str, str]]] = {}
    for position, point in enumerate(points, start=1):
        work.pause_if_asked()
        work.reporter.progress(position - 1, len(points), point.architecture.digest)
        folder = export_point(
            work, point.architecture, default_folder(work, point.architecture), job.payload.get("formats") or None
        )
        bundles[point.architecture.digest] = keep_bundle(work, folder)
        checks[point.architecture.digest] = check_bundle(work, folder)
        work.reporter.progress(position, len(points), point.architecture.digest)
    return {"bundles": bundles, "checks": checks, **_only(bundles)}


def check_bundle(work: StudyWork, folder: Path) -> list[dict[str, str]]:
    """What `supernaut verify` finds in a bundle that was just written: {check, state, found} for each thing.

    No code of a format that comes as code is run.  What stops the examination is its last entry: the bundle is kept
    already, and whoever asked for it is to hear what is wrong with it.
    """
    work.reporter.note(f"{folder.name}: verified as it lies on the disk")
    found: list[dict[str, str]] = []
    try:
        found.extend(asdict(check) for check in examine(folder, work.home, Scope(run_code=False)))
    except (RunnerError, SupernetError, PredictorError, OSError) as error:
        found.append({"check": "examination", "state": "failed", "found": str(error)})
    return found


def keep_bundle(work: StudyWork, folder: Path) -> str:
    """Keep a bundle as an artefact of the study; the id of the artefact."""
    with tempfile.TemporaryDirectory(prefix="supernaut-") as scratch:
        path = Path(scratch) / "bundle.zip"
        zip_folder(folder, path)
        digest = Blobs(work.home.artifacts_url).put_file(path)
        size = path.stat().st_size
    # The content first: a row never names what is not there.
    new = NewArtifact(sha256=digest, kind=BUNDLE, bytes=size, uri=f"sha256:{digest}")
    artifact, _ = work.commit(lambda: work.repository.record_artifact(work.study.id, new))
    return artifact.id


def zip_folder(folder: Path, path: Path) -> None:
    """All files below a folder in one zip file, the same bytes for the same files."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(each for each in folder.rglob("*") if each.is_file() and not each.is_symlink()):
            entry = zipfile.ZipInfo(os.fspath(file.relative_to(folder)), date_time=_EARLIEST)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            with file.open("rb") as source, archive.open(entry, "w", force_zip64=True) as target:
                shutil.copyfileobj(source, target)


def _only(bundles: Mapping[str, str]) -> dict[str, str]:
    """The one artefact, where there is one only, under a name of its own."""
    return {"artifact": next(iter(bundles.values()))} if len(bundles) == 1 else {}
