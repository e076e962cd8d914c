"""A study that is tried before it is sent: what submitting it would be answered with, without doing it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.service.catalogue_models import ValidationDocument
from runner.service.models import ProblemField
from runner.service.problems import FieldProblem, Problem
from runner.store import AmbiguousId, StudyNotFound
from runner.study import write_study
from search_spaces import space_family, space_names

if TYPE_CHECKING:
    from runner.store import Repository
    from runner.study import StudySpec


def refuse_taken(repository: Repository, owner: str, spec: StudySpec) -> None:
    """Raise `Problem` where the owner has a study of this name, whose settings then do not matter."""
    try:
        known = repository.study(spec.name, owner=owner).name
    except (StudyNotFound, AmbiguousId):  # as a name: other ids may begin with it
        return
    if known == spec.name:
        raise Problem(
            "study_exists",
            "You have a study of this name.",
            errors=[FieldProblem(pointer="/name", message="you have a study of this name; choose another")],
        )


def refused(problem: Problem, document: object) -> ValidationDocument:
    """What is wrong with a document; None is one that could not be read."""
    found = problem.errors or (FieldProblem(pointer="", message=problem.detail),)
    return ValidationDocument(
        valid=False,
        code=problem.code,
        errors=[ProblemField(pointer=each.pointer, message=each.message) for each in found],
        yaml=None if document is None else write_study(document),
        spec=None,
        architectures=None,
    )


def accepted(spec: StudySpec, document: object) -> ValidationDocument:
    """What a study would be recorded as."""
    own = spec.space.name not in space_names()
    return ValidationDocument(
        valid=True,
        code=None,
        errors=[],
        yaml=write_study(document),
        spec=spec.model_dump(mode="json"),
        architectures=None if own else str(space_family(spec.space.name).space(spec.space.choices).size()),
    )
