"""A process that records evaluations and says of each on its standard output that it is recorded.

`python -m tests.runner.store.writer PATH WRITER COUNT` makes or opens the record at PATH, joins the study
"shared" and stops after COUNT evaluations.  Every WRITER records digests of its own, and one that all record.
"""

from __future__ import annotations

import sys

from runner.store import StudyExists, open_repository
from tests.runner.store.examples import an_evaluation


def main(path: str, writer: str, count: int) -> None:
    with open_repository(path) as repository:
        try:
            study = repository.create_study(name="shared", spec="{}", spec_digest="d", seed=0)
        except StudyExists:
            study = repository.study("shared")
        repository.record_evaluation(study.id, an_evaluation("common"))
        for number in range(count):
            record, created = repository.record_evaluation(study.id, an_evaluation(f"{writer}-{number}"))
            repository.add_event(study.id, "recorded", {"digest": record.digest, "created": created})
            sys.stdout.write(f"{record.digest}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
