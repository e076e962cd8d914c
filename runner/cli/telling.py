"""What a worker says of its progress, told to the reporter that suits a person or a log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runner.client import Event, Job
    from runner.progress import Reporter


class Telling:
    """Tells a reporter what the events of a study, or the progress of a job, say."""

    def __init__(self, reporter: Reporter, stages: Sequence[str] = ()) -> None:
        self._reporter = reporter
        self._stages = list(stages)
        self._told: Mapping[str, Any] = {}

    def event(self, event: Event) -> None:
        """Something happened to a study."""
        told = event.payload
        new, stage = str(told.get("to")), str(told.get("stage"))
        if event.kind == "stage.state" and new == "running" and stage in self._stages:
            self._reporter.stage(stage, self._stages.index(stage) + 1, len(self._stages))
        elif event.kind in ("study.state", "stage.state") and new in ("interrupted", "failed"):
            what = "the study" if event.kind == "study.state" else f"the stage {stage}"
            reason = f": {told['reason']}" if told.get("reason") else ""
            self._reporter.note(f"{what} is {new}{reason}")
        else:
            self._progress(event.kind, told)

    def job(self, job: Job) -> None:
        """A job was looked at; what it said before is not said again."""
        if job.progress != self._told:
            self._told = job.progress
            self._progress(str(job.progress.get("kind")), job.progress)

    def _progress(self, kind: str, told: Mapping[str, Any]) -> None:
        done, total = told.get("done"), told.get("total")
        if kind == "stage.progress" and isinstance(done, int) and isinstance(total, int):
            self._reporter.progress(done, total, str(told.get("detail", "")))
        elif kind == "note":
            self._reporter.note(str(told.get("message", "")))
