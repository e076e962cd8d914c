"""What the pictures of a study are drawn from: its front, and its comparison with training alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.fidelity.report import FidelityReport, newest_report
from runner.front import compute_front
from runner.service.fronts import spec_of
from runner.service.problems import Problem

if TYPE_CHECKING:
    from runner.front import Front
    from runner.store import Repository, StudyRecord


def study_front(repository: Repository, study: StudyRecord) -> tuple[str, Front]:
    """The name and the front of one study.  Raises `Problem` where its specification cannot be read."""
    spec = spec_of(study)
    return study.name, compute_front(repository.evaluations(study.id), spec.goals, spec.bounds)


def study_fidelity(repository: Repository, study: StudyRecord) -> tuple[str, FidelityReport]:
    """The name and the last comparison of one study.  Raises `Problem` where nothing was compared."""
    report = newest_report(repository.events(study.id))
    if report is None:
        raise Problem(
            "not_found", f"Nothing of this study was trained alone yet; supernaut fidelity {study.name} does it."
        )
    return study.name, report
