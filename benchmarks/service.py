"""How long a server takes to answer over a full record, and whether listeners slow submissions down.

    python -m benchmarks.service [--studies 5000] [--evaluations 100000] [--repeats 60] [--listeners 200]

A `supernaut serve` of its own, without a worker, on an SQLite record as `benchmarks.store_pages` fills it, is asked
over HTTP on this machine.  Every question is asked in turns with the others; the first answer of each, which may fill
a cache, is told beside.  Then studies are submitted in turns with and without listeners on the stream of events, each
on a connection of its own, in a process of their own.  Promised: a median under 100 ms and a 95th percentile under
250 ms for lists and pages.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
from sqlalchemy import text

from benchmarks.store_pages import BIG, fill
from runner.settings import Home
from runner.store import open_repository
from runner.study import parse_study

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RESULTS = Path(__file__).parent / "results" / "service.json"
MEDIAN_MS, P95_MS = 100.0, 250.0
STUDY = {
    "task": {"name": "digits"},
    "space": {"name": "vision_transformer"},
    "objectives": {"error": {}, "latency_ms": {}, "model_bytes": {}},
}
LISTS = {
    "studies": "/studies?limit=50",
    "studies, by name": "/studies?limit=50&sort=name",
    "studies, that fail": "/studies?limit=50&state=failed",
    "studies, found by a word": "/studies?limit=50&search=speech-7",
    "one study": f"/studies/{BIG}",
    "evaluations": f"/studies/{BIG}/evaluations?limit=100",
    "evaluations, by error": f"/studies/{BIG}/evaluations?limit=100&sort=error",
    "evaluations, filtered, by -latency": f"/studies/{BIG}/evaluations?limit=100&filter=error<0.1&sort=-latency_ms",
    "front": f"/studies/{BIG}/front?others=0",
    "hypervolume": f"/studies/{BIG}/hypervolume",
}
WHOLE = {
    "columns of three metrics": f"/studies/{BIG}/columns?metrics=error,latency_ms,macs",
    "front with points off it": f"/studies/{BIG}/front",
}


def main() -> None:
    """Fill, ask, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=5000)
    parser.add_argument("--evaluations", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=60)
    parser.add_argument("--listeners", type=int, default=200)
    parser.add_argument("--output", type=Path, default=RESULTS)
    parser.add_argument("--listen", nargs=4, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.listen:
        url, authorization, count, last = given.listen
        listen(url, authorization, int(count), last)
        return
    with tempfile.TemporaryDirectory(prefix="supernaut-") as folder:
        home = Home(Path(folder))
        with open_repository(home.database) as repository:
            fill(repository, given.studies, given.evaluations)
            spec = parse_study({"name": "big", **STUDY}, "benchmark").model_dump_json()
            with repository._engine.begin() as connection:
                connection.execute(text("UPDATE study SET spec = :spec"), {"spec": spec})
        with serving(home) as (client, process):
            report = {
                "load_before": os.getloadavg()[0],
                "pages": asked(client, process, LISTS, given.repeats),
                "whole": asked(client, process, WHOLE, max(3, given.repeats // 10)),
                "submissions": submissions(client, given.listeners, given.repeats),
                "load_after": os.getloadavg()[0],
            }
    report["machine"] = f"{platform.machine()}, {os.cpu_count()} processors"
    report["versions"] = {name: version(name) for name in ("fastapi", "uvicorn", "sqlalchemy")}
    report["command"] = f"python -m benchmarks.service --studies {given.studies} --evaluations {given.evaluations}"
    given.output.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print_report(report)


@contextmanager
def serving(home: Home) -> Iterator[tuple[httpx2.Client, subprocess.Popen[bytes]]]:
    """A server on a free port, and a client of it with the operator's token."""
    command = [sys.executable, "-m", "runner.cli.main", "--home", str(home.path), "serve", "--no-worker", "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 60
        told: dict[str, Any] = {}
        while told.get("pid") != process.pid:
            if time.monotonic() > until or process.poll() is not None:
                raise RuntimeError("the server did not start within a minute")
            time.sleep(0.1)
            if (home.path / "server.json").exists():
                told = json.loads((home.path / "server.json").read_text())
        url = told["url"]
        token = (home.path / "token").read_text().strip()
        with httpx2.Client(
            base_url=f"{url}/api/v1", headers={"Authorization": f"Bearer {token}"}, timeout=120
        ) as client:
            yield client, process
    finally:
        process.terminate()
        process.wait(60)


def asked(
    client: httpx2.Client, process: subprocess.Popen[bytes], paths: dict[str, str], repeats: int
) -> dict[str, Any]:
    """Milliseconds of each answer, its size, and how the server's memory grew meanwhile."""
    times: dict[str, list[float]] = {name: [] for name in paths}
    sizes = {}
    before = 0.0
    for repeat in range(repeats + 1):
        for name, path in paths.items():
            milliseconds, answer = timed(lambda path=path: client.get(path))  # type: ignore[misc]
            answer.raise_for_status()
            times[name].append(milliseconds)
            sizes[name] = len(answer.content)
        if repeat == repeats // 2:
            before = memory_mib(process.pid)
    found: dict[str, Any] = {
        name: {"first_ms": round(each[0], 1), **summary(each[1:]), "bytes": sizes[name]} for name, each in times.items()
    }
    return {"ms": found, "memory_mib": {"half_way": before, "at_the_end": memory_mib(process.pid)}}


def submissions(client: httpx2.Client, listeners: int, repeats: int) -> dict[str, Any]:
    """Milliseconds of a submission while nobody listens and while many do, in turns of ten."""
    times: dict[str, list[float]] = {"nobody listens": [], f"{listeners} listen": []}
    number = 0
    for turn in range(max(1, repeats // 20)):
        for name, each in times.items():
            with listening(client, 0 if name.startswith("nobody") else listeners, f"last-{turn}"):
                for _ in range(10):
                    number += 1
                    body = {"spec": {"name": f"new-{number}", **STUDY}}
                    milliseconds, answer = timed(lambda body=body: client.post("/studies", json=body))  # type: ignore[misc]
                    assert answer.status_code == 201, answer.text
                    each.append(milliseconds)
    return {name: summary(each) for name, each in times.items()}


@contextmanager
def listening(client: httpx2.Client, count: int, last: str) -> Iterator[None]:
    """So many connections to the stream of all events; each has to hear of a study named `last`."""
    if not count:
        yield
        return
    words = [str(client.base_url), client.headers["Authorization"], str(count), last]
    command = [sys.executable, "-m", "benchmarks.service", "--listen", *words]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "all listen\n"
    yield
    client.post("/studies", json={"spec": {"name": last, **STUDY}}).raise_for_status()
    heard, _ = process.communicate(timeout=120)
    assert heard == f"{count} heard of the last one\n", heard


def listen(url: str, authorization: str, count: int, last: str) -> None:
    """The process of the listeners."""
    heard = [False] * count
    ready = threading.Barrier(count + 1)

    def one(index: int) -> None:
        headers = {"Authorization": authorization}
        with (
            httpx2.Client(base_url=url, headers=headers, timeout=120) as own,
            own.stream("GET", "/events") as stream,
        ):
            ready.wait(60)
            heard[index] = any(line.startswith("data:") and f'"{last}"' in line for line in stream.iter_lines())

    threads = [threading.Thread(target=one, args=(index,), daemon=True) for index in range(count)]
    for thread in threads:
        thread.start()
    ready.wait(60)
    print("all listen", flush=True)
    for thread in threads:
        thread.join(100)
    print(f"{sum(heard)} heard of the last one", flush=True)


def timed(call: Callable[[], httpx2.Response]) -> tuple[float, httpx2.Response]:
    """Milliseconds, and the answer."""
    began = time.perf_counter()
    answer = call()
    return (time.perf_counter() - began) * 1e3, answer


def summary(milliseconds: list[float]) -> dict[str, float]:
    """Median and 95th percentile."""
    ordered = sorted(milliseconds)
    p95 = ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
    return {"median": round(statistics.median(ordered), 1), "p95": round(p95, 1)}


def memory_mib(pid: int) -> float:
    """Resident memory of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (resident,) = (line for line in lines if line.startswith("VmRSS"))
    return round(int(resident.split()[1]) / 1024, 1)


def print_report(report: dict[str, Any]) -> None:
    """For people."""
    print(f"load {report['load_before']:.1f} to {report['load_after']:.1f}; milliseconds")
    for part in ("pages", "whole"):
        for name, found in report[part]["ms"].items():
            late = part == "pages" and (found["median"] > MEDIAN_MS or found["p95"] > P95_MS)
            print(
                f"{name:38} median {found['median']:7.1f}  p95 {found['p95']:7.1f}  first {found['first_ms']:8.1f}"
                f"  {found['bytes']:>9,} bytes{'   OVER THE PROMISE' if late else ''}"
            )
        print(f"memory of the server, MiB: {report[part]['memory_mib']}")
    for name, found in report["submissions"].items():
        print(f"submission, {name:26} median {found['median']:7.1f}  p95 {found['p95']:7.1f}")


if __name__ == "__main__":
    main()
