"""The data of a study stays what it was when the study began: its checksum is in the record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runner.errors import Conflict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runner.work import StudyWork
    from supernet.tasks.task import Task

CHECKSUM_EVENT = "task.checksum"


def check_data(work: StudyWork) -> None:
    """Record the checksum of the study's data, or compare it with the recorded one.

    Raises `Conflict` where the data is not what it was: numbers of different data do not belong in one front.
    """
    now = describe_data(work.plan.task)
    events = work.repository.events(work.study.id)
    before = next((event.payload for event in events if event.kind == CHECKSUM_EVENT), None)
    if before is None:
        work.commit(lambda: work.repository.add_event(work.study.id, CHECKSUM_EVENT, now))
    elif before["sha256"] != now["sha256"]:
        raise Conflict(
            f"the data of the study {work.study.name!r} is not what it was when the study began: "
            f"{data_difference(before, now)}. {_whereabouts(work)}Restore it and run the same command again, or start "
            "a study under a new name."
        )


def describe_data(task: Task) -> dict[str, Any]:
    """What is recorded of a task's data; plain values."""
    return {
        "sha256": task.checksum(),
        "samples": {"train": len(task.train), "validation": len(task.validation), "test": len(task.test)},
        "classes": task.classes,
    }


def data_difference(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """In words what differs between two descriptions of data."""
    found = [
        f"{now['samples'][name]:,} samples to {purpose}, not {count:,}"
        for name, purpose in (("train", "train on"), ("validation", "validate on"), ("test", "test on"))
        if now["samples"][name] != (count := before["samples"][name])
    ]
    if now["classes"] != before["classes"]:
        found.append(f"{now['classes']:,} classes, not {before['classes']:,}")
    sizes = ", ".join(found) or "as many samples and classes, other values"
    return f"{sizes} (SHA-256 {now['sha256'][:16]}, not {before['sha256'][:16]})"


def _whereabouts(work: StudyWork) -> str:
    name = work.spec.task.options.get("data")
    path = work.plan.registered.path_of(name)
    return "" if path is None else f"It is registered as {name!r}: {path}. "
