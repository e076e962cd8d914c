"""Studies that are sent over the network: what can be checked of them without torch and without anybody's code.

What is left, the worker checks before it does anything else, and the study fails with that reason.  Owns that nothing
in a specification is ever taken as a path: files have names that the operator registered.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from runner.errors import SpecError
from runner.front import NAMED_POINTS
from runner.registered.ledger import read_registered
from runner.search.registry import algorithm_names
from runner.service.limits import MAX_YAML_BYTES, check_shape
from runner.service.problems import FieldProblem, Problem, pointer
from runner.study import LARGEST, NAME, NOBODY, StudySpec, read_value
from search_spaces import SpaceError, space_family, space_names
from supernet.export.formats.registry import format_names
from supernet.tasks.registry import CACHE, DATA, task_names

if TYPE_CHECKING:
    from collections.abc import Iterable

    from runner.registered.values import Registered
    from runner.settings import Home

# Where a specification names a file; beside a name, what else may stand there.
_FILES: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("task", DATA): (),
    ("train", "pretrained"): (),
    ("train", "teacher"): (),
    ("retrain", "teacher"): (LARGEST, NOBODY),
}
_MOST_ERRORS = 50
_MOST_BRACKETS = 2_000  # to read YAML takes the square of how deep they are
_MOST_VALUES = 64  # of one choice: more make a space that takes long to count


def read_yaml(body: bytes) -> object:
    """The document in a YAML body.  Raises `Problem`."""
    if len(body) > MAX_YAML_BYTES:
        raise Problem("body_too_large", f"A study in YAML has at most {MAX_YAML_BYTES:,} bytes; JSON may have more.")
    if body.count(b"[") + body.count(b"{") > _MOST_BRACKETS:
        raise Problem("bad_yaml", f"More than {_MOST_BRACKETS:,} lists and mappings; write them out as JSON.")
    try:
        document = read_value(body.decode("utf-8"), "the body")
    except UnicodeDecodeError:
        raise Problem("bad_yaml", "The body is not UTF-8.") from None
    except SpecError as error:
        raise Problem("bad_yaml", _without_values(str(error))) from None
    try:
        json.dumps(document, allow_nan=False)
    except (TypeError, ValueError):  # dates, sets, bytes, NaN, keys that are no texts
        raise Problem(
            "bad_yaml", "Use texts, finite numbers, true, false, null, lists and mappings only; quote a date."
        ) from None
    check_shape(document)
    return document


def read_submission(document: object, home: Home) -> StudySpec:
    """The study that a document describes, as far as it can be checked here.  Raises `Problem`."""
    if not isinstance(document, Mapping):
        raise Problem("invalid", "A study is an object with fields such as name, task, space and objectives.")
    _refuse_paths(document)
    _check_choices(document.get("space"))
    try:
        spec = StudySpec.model_validate(document)
    except ValidationError as error:
        raise Problem("invalid", "The study is not valid.", errors=_field_problems(error)) from None
    problems = list(_unknown_names(spec, read_registered(home)))
    if problems:
        raise Problem("invalid", "The study is not valid.", errors=problems)
    return spec


def _refuse_paths(document: Mapping[str, Any]) -> None:
    for section, field in _FILES:
        part = document.get(section)
        given = part.get(field) if isinstance(part, Mapping) else None
        if isinstance(given, str) and re.fullmatch(NAME, given) is None:
            raise Problem(
                "path_refused",
                f"{section}.{field} takes a name that the operator registered with `supernaut data add NAME PATH`, "
                "never a path.",
                errors=[FieldProblem(pointer=pointer((section, field)), message="is no name")],
            )
    task = document.get("task")
    if isinstance(task, Mapping) and CACHE in task:
        raise Problem(
            "path_refused",
            f"task.{CACHE}: where a task keeps what it prepared is not for a study to say; leave it out.",
            errors=[FieldProblem(pointer=pointer(("task", CACHE)), message="is not for a study to say")],
        )


def _check_choices(space: object) -> None:
    choices = space.get("choices") if isinstance(space, Mapping) else None
    if not isinstance(choices, Mapping):
        return
    for name, values in choices.items():
        if isinstance(values, Sequence) and not isinstance(values, str) and len(values) > _MOST_VALUES:
            raise Problem(
                "invalid",
                "The study is not valid.",
                errors=[
                    FieldProblem(
                        pointer=pointer(("space", "choices", name)), message=f"has more than {_MOST_VALUES} values"
                    )
                ],
            )


def _field_problems(error: ValidationError) -> list[FieldProblem]:
    """What pydantic found, without what was given."""
    found = {
        (pointer(each["loc"]), str(each["msg"]).removeprefix("Value error, "))
        for each in error.errors(include_url=False, include_context=False, include_input=False)
    }
    return [FieldProblem(pointer=where, message=words) for where, words in sorted(found)[:_MOST_ERRORS]]


def _unknown_names(spec: StudySpec, registered: Registered) -> Iterable[FieldProblem]:
    if re.fullmatch("[0-9a-f]{32}", spec.name):
        yield FieldProblem(pointer="/name", message="looks like the id of a study; choose a name that does not")
    yield from _task_problems(spec, registered)
    yield from _space_problems(spec, registered)
    if spec.search.algorithm not in algorithm_names():
        yield _unknown(("search", "algorithm"), "algorithm", spec.search.algorithm, algorithm_names())
    for place, name in enumerate(spec.export.formats):
        if name not in format_names():
            yield _unknown(("export", "formats", place), "format", name, format_names())
    for place, point in enumerate(spec.retrain.points):
        if not is_point(point):
            yield FieldProblem(
                pointer=pointer(("retrain", "points", place)),
                message="use knee, ends, or 4 to 64 hexadecimal digits that a digest begins with",
            )
    for section, field in _FILES:
        yield from _data_problems(spec, section, field, registered)


def is_point(text: str) -> bool:
    """Whether a text can name points of a front."""
    return text in NAMED_POINTS or re.fullmatch("[0-9a-f]{4,64}", text) is not None


def _task_problems(spec: StudySpec, registered: Registered) -> Iterable[FieldProblem]:
    own = [entry.name for entry in registered.extensions_of("task")]
    if spec.task.name not in (*task_names(), *own):
        yield _unknown(("task", "name"), "task", spec.task.name, (*task_names(), *own))


def _space_problems(spec: StudySpec, registered: Registered) -> Iterable[FieldProblem]:
    own = [entry.name for entry in registered.extensions_of("family")]
    if spec.space.name in own:
        return  # its choices are its own code's business, which the worker asks
    if spec.space.name not in space_names():
        yield _unknown(("space", "name"), "space", spec.space.name, (*space_names(), *own))
        return
    try:
        space_family(spec.space.name).space(spec.space.choices)
    except SpaceError as error:
        yield FieldProblem(pointer="/space/choices", message=str(error))


def _data_problems(spec: StudySpec, section: str, field: str, registered: Registered) -> Iterable[FieldProblem]:
    given = spec.task.options.get(field) if section == "task" else getattr(getattr(spec, section), field)
    if given is None or given in _FILES[section, field]:
        return
    if not isinstance(given, str):
        yield FieldProblem(pointer=pointer((section, field)), message="give the name of registered data")
    elif registered.path_of(given) is None:
        names = sorted(entry.name for entry in registered.data)
        yield _unknown((section, field), "registered data", given, names)


def _unknown(location: Sequence[str | int], what: str, given: str, known: Sequence[str]) -> FieldProblem:
    near = get_close_matches(given[:64], known, n=1, cutoff=0.4)
    hint = f"; did you mean {near[0]!r}?" if near else ";"
    return FieldProblem(pointer=pointer(location), message=f"no such {what}{hint} known: {', '.join(known) or 'none'}")


def _without_values(words: str) -> str:
    """What the reader of YAML says, without the quotations in it: they may be of any length."""
    return re.sub(r"'[^']{40,}'", "'...'", words)
