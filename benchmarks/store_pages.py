"""How long a page of the record takes, on SQLite and on PostgreSQL.

    python -m benchmarks.store_pages [--studies 5000] [--evaluations 100000] [--repeats 30] [--only sqlite]

One record holds many studies, and one of them many evaluations with 6 metrics each (some of them measured and
predicted, some failed, some without a metric).  Each question is asked through the repository, the databases in turns
within each repeat; the time is the caller's, from the call to the records.  The promise is a median under 50 ms for
every page.  PostgreSQL is the tests' own server (tests/postgres.py) unless --postgresql URL names an empty database.
The load of the machine is kept, because other work on it falsifies the result.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import resource
import statistics
import tempfile
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, text

from runner.store import Filter, open_repository
from runner.store.tables import CounterRow, EvaluationRow, EventRow, StudyRow, ValueRow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from runner.store import Page, Repository

RESULTS = Path(__file__).parent / "results" / "store_pages.json"
PROMISE_MS = 50.0
PAGE = 50
BEGUN = datetime(2026, 1, 1, tzinfo=UTC)
BIG = "b" * 32
_ROWS_AT_ONCE = 20_000
_SPEC = json.dumps({"name": "x", "objectives": {"error": {}, "latency_ms": {}}, "padding": "y" * 2000})


def fill(repository: Repository, studies: int, evaluations: int) -> None:
    """Write the rows as they would be, without a commit for each."""
    rng = random.Random(0)
    with repository._engine.begin() as connection:
        for rows in _parts(_study(number, rng) for number in range(studies)):
            connection.execute(insert(StudyRow), rows)
        connection.execute(insert(EventRow), [_event(number) for number in range(1, studies + 1)])
        connection.execute(text("UPDATE counter SET value = :last WHERE name = 'event'"), {"last": studies})
        for table, made in ((EvaluationRow, _evaluations), (ValueRow, _values)):
            for rows in _parts(made(studies, evaluations)):
                connection.execute(insert(table), rows)
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT setval('evaluation_id_seq', (SELECT max(id) FROM evaluation))"))
    if repository._engine.dialect.name == "postgresql":
        with repository._engine.connect() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT").execute(
                text("VACUUM ANALYZE")
            )  # as it does itself
    assert repository.last_event_number() == studies, CounterRow


def _parts(rows: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    part: list[dict[str, Any]] = []
    for row in rows:
        part.append(row)
        if len(part) == _ROWS_AT_ONCE:
            yield part
            part = []
    if part:
        yield part


def _study_id(number: int) -> str:
    return BIG if number == 0 else f"{number:032x}"


def _study(number: int, rng: random.Random) -> dict[str, Any]:
    time_ = BEGUN + timedelta(minutes=number)
    return {
        "id": _study_id(number),
        "name": f"{rng.choice(('digits', 'text', 'speech'))}-{rng.getrandbits(32):08x}-{number}",
        "spec": _SPEC,
        "spec_digest": f"{number:064x}",
        "state": rng.choices(("complete", "running", "failed", "interrupted", "created"), (80, 5, 5, 5, 5))[0],
        "seed": 0,
        "created_at": time_,
        "updated_at": time_ + timedelta(minutes=rng.randint(0, 10_000)),
        "owner": rng.choice(("ann", "bob", "local")),
        "desired_state": None,
        "tags": ("nightly",) if number % 7 == 0 else (),
    }


def _event(number: int) -> dict[str, Any]:
    study = _study_id(number - 1)
    return {"study_id": study, "sequence": 1, "number": number, "time": BEGUN, "kind": "study.created", "payload": {}}


def _evaluations(studies: int, evaluations: int) -> Iterator[dict[str, Any]]:
    rng = random.Random(1)
    for number in range(1, evaluations + 10 * (studies - 1) + 1):
        of_big = number <= evaluations
        sequence = number if of_big else (number - evaluations - 1) % 10 + 1
        failed = rng.random() < 0.02
        yield {
            "id": number,
            "study_id": BIG if of_big else _study_id(1 + (number - evaluations - 1) // 10),
            "sequence": sequence,
            "digest": f"{rng.getrandbits(48):012x}",
            "architecture_json": json.dumps({f"layers.{i}.width": rng.randint(1, 9) for i in range(20)}),
            "fidelity": "inherited" if rng.random() < 0.999 else "retrained",
            "seed": 0,
            "origin": rng.choice(("search", "profile")),
            "state": "failed" if failed else "complete",
            "failure_kind": "oom" if failed else None,
            "failure_message": "no memory" if failed else None,
            "attempt": 1,
            "duration_ms": rng.random() * 1000,
            "created_at": BEGUN + timedelta(seconds=number),
        }


def _values(studies: int, evaluations: int) -> Iterator[dict[str, Any]]:
    rng = random.Random(2)
    for number in range(1, evaluations + 10 * (studies - 1) + 1):
        of_big = number <= evaluations
        row = {
            "evaluation_id": number,
            "study_id": BIG if of_big else _study_id(1 + (number - evaluations - 1) // 10),
            "lower": None,
            "upper": None,
        }
        measured = rng.random() < 0.05
        for metric, provenance, best in (
            ("error", "inherited", True),
            ("macs", "computed", True),
            ("model_bytes", "computed", True),
            ("parameters", "computed", True),
            ("latency_ms", "predicted", not measured),
            *((("latency_ms", "exported", True),) if measured else ()),
            *((("energy_mj", "predicted", True),) if rng.random() < 0.5 else ()),
        )[: None if of_big else 2]:
            yield {**row, "metric": metric, "provenance": provenance, "best": best, "value": rng.random()}


def questions(repository: Repository) -> dict[str, Callable[[], Any]]:
    """What is asked, by a name for people."""

    def studies(**wanted: Any) -> Callable[[], Page[Any]]:
        return lambda: repository.list_studies(limit=PAGE, **wanted)

    def page(sort: str = "sequence", *filters: Filter, after: Any = None) -> Callable[[], Page[Any]]:
        return lambda: repository.list_evaluations(BIG, sort=sort, filters=filters, limit=PAGE, after=after)

    some = [study.id for study in repository.list_studies(limit=PAGE, sort="created_at").items]
    return {
        "studies, the newest": studies(),
        "studies, from the middle": studies(after=((BEGUN + timedelta(minutes=2500)).isoformat(), "0")),
        "studies, an owner's that run": studies(owner="ann", state="running"),
        "studies, by name": studies(owner="ann", sort="name"),
        "studies, by last change": studies(sort="-updated_at"),
        "studies, found by a word": studies(search="speech-7f"),
        "studies, found by a tag": studies(search="nightly"),
        "studies, counts of a page": lambda: repository.study_counts(some),
        "evaluations, the first": page(),
        "evaluations, the last": page("-sequence"),
        "evaluations, from the middle": page(after=(50_000, 50_000)),
        "evaluations, by error": page("error"),
        "evaluations, by error from the middle": page("error", after=(0.5, 1)),
        "evaluations, by -latency": page("-latency_ms"),
        "evaluations, by energy at the end": page("energy_mj", after=(None, 99_000)),
        "evaluations, by energy where it ends": page("energy_mj", after=(0.9999, 1)),
        "evaluations, by state": page("state"),
        "evaluations, by digest": page("digest"),
        "evaluations, by -created_at": page("-created_at"),
        "evaluations, failed": page("sequence", Filter("state", "=", "failed")),
        "evaluations, retrained": page("sequence", Filter("fidelity", "=", "retrained")),
        "evaluations, retrained by error": page("error", Filter("fidelity", "=", "retrained")),
        "evaluations, a digest": page("sequence", Filter("digest", "^=", "abcd")),
        "evaluations, error < 0.5": page("sequence", Filter("error", "<", 0.5)),
        "evaluations, error < 0.0001": page("sequence", Filter("error", "<", 0.0001)),
        "evaluations, error < 0.1 by -latency": page("-latency_ms", Filter("error", "<", 0.1)),
        "evaluations, error < 0.001 by -latency": page("-latency_ms", Filter("error", "<", 0.001)),
        "evaluations, 3 conditions": page(
            "macs", Filter("error", "<", 0.2), Filter("latency_ms", "<", 0.2), Filter("state", "=", "complete")
        ),
        "evaluations, nothing": page("error", Filter("error", ">", 2.0)),
        "metrics": lambda: repository.metrics(BIG),
        "events, the newest": lambda: repository.events_after(4990, limit=100),
        "one study by name": lambda: repository.study("b" * 12),
        "columns, 3 metrics of all": lambda: repository.columns(BIG, ["error", "latency_ms", "macs"]),
    }


def main() -> None:
    """Fill, ask, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=5000)
    parser.add_argument("--evaluations", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--only", choices=("sqlite", "postgresql"))
    parser.add_argument("--postgresql", metavar="URL")
    parser.add_argument("--output", type=Path, default=RESULTS)
    given = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="supernaut-pages-")))
        locations = {}
        if given.only != "postgresql":
            locations["sqlite"] = str(folder / "record.sqlite3")
        if given.only != "sqlite":
            locations["postgresql"] = given.postgresql or _own_server(stack)
        asked = {}
        for name, location in locations.items():
            repository = stack.enter_context(open_repository(location))
            began = time.perf_counter()
            fill(repository, given.studies, given.evaluations)
            print(f"{name}: filled in {time.perf_counter() - began:.0f} s", flush=True)
            asked[name] = questions(repository)
        report = measure(asked, given.repeats)
    report["studies"], report["evaluations"] = given.studies, given.evaluations
    given.output.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    _print(report)


def _own_server(stack: ExitStack) -> str:
    from tests.postgres import running_cluster

    return stack.enter_context(running_cluster()).make()


def measure(asked: dict[str, dict[str, Callable[[], Any]]], repeats: int) -> dict[str, Any]:
    """Each question in turns of the databases; the first answer of each, which compiles it, is left out."""
    load = os.getloadavg()[0]
    times: dict[str, dict[str, list[float]]] = {}
    for question in next(iter(asked.values())):
        times[question] = {name: [] for name in asked}
        for repeat in range(repeats + 1):
            for name, each in asked.items():
                began = time.perf_counter()
                each[question]()
                if repeat:
                    times[question][name].append((time.perf_counter() - began) * 1000)
    return {
        "ms": {
            question: {
                name: {
                    "median": round(statistics.median(each), 2),
                    "p95": round(sorted(each)[max(0, round(0.95 * len(each)) - 1)], 2),
                }
                for name, each in found.items()
            }
            for question, found in times.items()
        },
        "repeats": repeats,
        "load_before": round(load, 2),
        "load_after": round(os.getloadavg()[0], 2),
        "peak_memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "machine": f"{platform.machine()}, {os.cpu_count()} processors",
        "python": platform.python_version(),
        "sqlalchemy": version("sqlalchemy"),
        "psycopg": version("psycopg"),
    }


def _print(report: dict[str, Any]) -> None:
    print(f"load {report['load_before']} to {report['load_after']}; ms, median and 95th percentile")
    for question, found in report["ms"].items():
        cells = "  ".join(f"{name} {each['median']:8.1f} {each['p95']:8.1f}" for name, each in found.items())
        slow = any(each["median"] > PROMISE_MS for each in found.values()) and not question.startswith("columns")
        print(f"{question:42}{cells}{'   OVER THE PROMISE' if slow else ''}")


if __name__ == "__main__":
    main()
