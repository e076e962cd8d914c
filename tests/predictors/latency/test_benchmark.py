"""The timer: its arithmetic, and its process."""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from predictors.errors import TimingError
from predictors.latency import benchmark as timer
from predictors.latency.benchmark import LatencyBenchmark, LatencySettings, summarize
from tests.predictors.latency.models import write_products

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A reference, a small model and one that takes some ten times longer."""
    folder = tmp_path_factory.mktemp("files")
    write_products(folder / "reference.onnx", products=8)
    write_products(folder / "small.onnx", products=8)
    write_products(folder / "large.onnx", products=200)
    return folder


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timer, "MEASURE_SECONDS", 0.05)
    monkeypatch.setattr(timer, "CALIBRATE_SECONDS", 0.05)


@pytest.fixture
def benchmark(files: Path, quick: None) -> Iterator[LatencyBenchmark]:
    with LatencyBenchmark(files / "reference.onnx", LatencySettings(), reference_ms=1.0) as found:
        yield found


# Arithmetic


def test_percentiles_are_scaled_by_the_reference() -> None:
    candidate = list(range(1_000, 101_000, 1_000))[::-1]  # 1 to 100 microseconds
    found = summarize(candidate, [20_000, 50_000, 10_000], reference_ms=0.04)
    scale = 0.04 / 20_000
    assert found.p50_ms == pytest.approx(50_500 * scale)
    assert found.p10_ms == pytest.approx(11_000 * scale)
    assert found.p90_ms == pytest.approx(91_000 * scale)
    # 100 values: z = 1.645, half a width of 8.2 ranks around 49.5 (counted from 0): ranks 41 and 58.
    assert found.lower_ms == pytest.approx(42_000 * scale)
    assert found.upper_ms == pytest.approx(59_000 * scale)
    assert found.repeats == 100
    assert found.reference_p50_ms == pytest.approx(0.02)


def test_a_slow_minute_changes_nothing_but_the_drift() -> None:
    candidate, reference = [3_000, 3_100, 2_900, 3_050, 3_020], [1_000, 1_010, 990]
    calm = summarize(candidate, reference, 0.001)
    slow = summarize([2 * t for t in candidate], [2 * t for t in reference], 0.001)
    assert slow.p50_ms == pytest.approx(calm.p50_ms)
    assert slow.upper_ms == pytest.approx(calm.upper_ms)
    assert slow.reference_p50_ms == pytest.approx(2 * calm.reference_p50_ms)


@pytest.mark.parametrize("count", [1, 2, 3, 9, 50, 51, 333, 2_000])
def test_the_interval_holds_the_median_in_nine_of_ten_cases(count: int) -> None:
    """Exactly, from the binomial distribution: between the two order statistics lie ranks low + 1 to high."""
    from scipy.stats import binom

    found = summarize(range(count), [1_000_000], reference_ms=1.0)
    low, high = round(found.lower_ms * 1e6), round(found.upper_ms * 1e6)
    assert low + high == count - 1
    if count >= 5:  # below, even the smallest and the largest together cover less
        covered = binom.cdf(high, count, 0.5) - binom.cdf(low, count, 0.5)
        assert 0.9 <= covered < 0.98
    else:
        assert (low, high) == (0, count - 1)


def test_settings_describe_themselves() -> None:
    assert LatencySettings(batch=4, threads=2).describe() == {"batch": 4, "threads": 2, "dtype": "float32"}


# The process


@pytest.mark.slow
def test_two_measurements_of_a_file_agree_and_a_larger_model_takes_longer(files: Path) -> None:
    """Within a factor of 2: this machine runs other things beside the tests."""
    with LatencyBenchmark(files / "reference.onnx", LatencySettings()) as benchmark:
        kept = benchmark.calibrate()
        assert kept == benchmark.reference_ms
        assert 0 < kept < 100
        first, second = (benchmark.measure(files / "small.onnx") for _ in range(2))
        large = benchmark.measure(files / "large.onnx")
    for found in (first, second, large):
        assert 0 < found.p10_ms <= found.p50_ms <= found.p90_ms
        assert found.lower_ms <= found.p50_ms <= found.upper_ms
        assert found.repeats >= 50
    assert 0.5 < first.p50_ms / second.p50_ms < 2
    assert 0.5 < first.p50_ms / kept < 2, "the same file as the reference"
    assert large.p50_ms > 2 * first.p50_ms


def requests_of(benchmark: LatencyBenchmark, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    heard: list[dict[str, Any]] = []

    def ask(request: str) -> str:
        heard.append(json.loads(request))
        return '{"candidate_ns": [2000000], "reference_ns": [1000000]}\n'

    monkeypatch.setattr(benchmark, "_ask", ask)
    return heard


def test_the_reference_has_the_same_settings_whatever_the_candidate_has(
    files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the long-run median of one setting would scale measurements of another."""
    benchmark = LatencyBenchmark(files / "reference.onnx", LatencySettings(batch=32, threads=2))
    heard = requests_of(benchmark, monkeypatch)
    assert benchmark.calibrate() == 1.5
    assert benchmark.measure(files / "small.onnx").p50_ms == 3.0
    one = {"batch": 1, "threads": 1}
    assert [request["settings"] for request in heard] == [one, {"batch": 32, "threads": 2}]
    assert [request["reference_settings"] for request in heard] == [one, one]
    assert heard[0]["candidate"] == heard[0]["reference"]


def test_a_relative_path_is_that_of_the_caller(
    benchmark: LatencyBenchmark, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(files)
    assert benchmark.measure(Path("small.onnx")).p50_ms > 0


@pytest.mark.slow
def test_batch_and_threads_reach_the_model(files: Path, quick: None) -> None:
    found = {}
    for batch in (1, 512):
        settings = LatencySettings(batch=batch, threads=2)
        with LatencyBenchmark(files / "reference.onnx", settings, reference_ms=1.0) as benchmark:
            found[batch] = benchmark.measure(files / "large.onnx").p50_ms
    assert found[512] > 3 * found[1]


def test_it_must_be_calibrated_first(files: Path) -> None:
    with pytest.raises(TimingError, match="call calibrate"):
        LatencyBenchmark(files / "reference.onnx", LatencySettings()).measure(files / "small.onnx")


@pytest.mark.parametrize("content", [None, b"", b"garbage"])
def test_a_file_that_does_not_run_ends_in_a_clear_error_and_the_process_goes_on(
    benchmark: LatencyBenchmark, files: Path, tmp_path: Path, content: bytes | None
) -> None:
    if content is not None:
        (tmp_path / "bad.onnx").write_bytes(content)
    benchmark.measure(files / "small.onnx")
    process = benchmark._process
    with pytest.raises(TimingError, match=r"cannot time .*bad\.onnx: ONNX Runtime cannot open"):
        benchmark.measure(tmp_path / "bad.onnx")
    assert benchmark.measure(files / "small.onnx").p50_ms > 0
    assert benchmark._process is process


def test_a_dead_process_ends_in_a_clear_error_and_the_next_measurement_starts_another(
    benchmark: LatencyBenchmark, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    benchmark.measure(files / "small.onnx")
    first = benchmark._process
    assert first is not None
    ask = benchmark._ask

    def die(request: str) -> str:
        os.kill(first.pid, signal.SIGKILL)
        return ask(request)

    with monkeypatch.context() as patch:
        patch.setattr(benchmark, "_ask", die)
        # Not polled before: the death must be noticed on the pipe.
        patch.setattr(benchmark, "_running", lambda: first)
        with pytest.raises(TimingError, match=r"ended with exit status -9 while it measured .*small\.onnx"):
            benchmark.measure(files / "small.onnx")
    assert benchmark.measure(files / "small.onnx").p50_ms > 0
    assert benchmark._process is not first


def test_a_process_that_died_between_two_measurements_is_replaced(benchmark: LatencyBenchmark, files: Path) -> None:
    benchmark.measure(files / "small.onnx")
    assert benchmark._process is not None
    benchmark._process.kill()
    benchmark._process.wait()
    assert benchmark.measure(files / "small.onnx").p50_ms > 0


@pytest.mark.parametrize("line", ["", '{"candidate_ns": [1, 2'])
def test_half_an_answer_is_a_death(
    benchmark: LatencyBenchmark, files: Path, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    monkeypatch.setattr(benchmark, "_ask", lambda request: line)
    with pytest.raises(TimingError, match="ended"):
        benchmark.measure(files / "small.onnx")


def test_the_answer_to_an_interrupted_request_is_not_taken_for_the_next(
    benchmark: LatencyBenchmark, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    benchmark.measure(files / "small.onnx")
    process = benchmark._process
    assert process is not None
    assert process.stdin is not None

    def interrupted(request: str) -> str:
        assert process.stdin is not None
        process.stdin.write(request + "\n")
        process.stdin.flush()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(benchmark, "_ask", interrupted)
        with pytest.raises(KeyboardInterrupt):
            benchmark.measure(files / "small.onnx")
    assert process.poll() is not None
    ratio = statistics.median(benchmark.measure(files / "large.onnx").p50_ms for _ in range(3))
    assert ratio > 2, "this is the answer for the small model"


def ended(pid: int) -> bool:
    """Gone, or a zombie that nobody has collected yet."""
    stat = Path(f"/proc/{pid}/stat")
    try:
        return stat.read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def wait_for_end(pid: int) -> bool:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if ended(pid):
            return True
        time.sleep(0.05)
    return False


def test_closing_ends_the_process(files: Path, quick: None) -> None:
    with LatencyBenchmark(files / "reference.onnx", LatencySettings(), reference_ms=1.0) as benchmark:
        benchmark.measure(files / "small.onnx")
        assert benchmark._process is not None
        pid = benchmark._process.pid
        assert not ended(pid)
    assert wait_for_end(pid)
    benchmark.close()
    benchmark.close()


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc to look at another process")
def test_no_process_outlives_a_killed_parent(files: Path) -> None:
    code = (
        "import sys, time\nfrom pathlib import Path\n"
        "from predictors.latency import benchmark as timer\n"
        "timer.MEASURE_SECONDS = 0.05\n"
        "one = timer.LatencyBenchmark(Path(sys.argv[1]), timer.LatencySettings(), reference_ms=1.0)\n"
        "one.measure(Path(sys.argv[1]))\n"
        "print(one._process.pid, flush=True)\n"
        "time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(files / "reference.onnx")], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        assert not ended(worker)
        parent.kill()
        parent.wait()
    assert wait_for_end(worker)
