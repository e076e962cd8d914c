"""Runs one group of ranks on Ray Train, each in a worker process.

Import it inside a Ray session only.  Ray Train is asked to start the processes, each with its resources, and to end
all of them where one is lost; the process group, checkpoints, words and the decision to start again are ours.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import ray
import ray.train
import torch.distributed as dist
from ray.data import DataContext
from ray.exceptions import RayActorError
from ray.train.backend import Backend
from ray.train.torch import TorchConfig, get_device

# What `ray.train` itself offers under these names has the types of an older interface.
from ray.train.v2.api.config import FailureConfig, RunConfig, ScalingConfig
from ray.train.v2.api.exceptions import WorkerGroupError
from ray.train.v2.torch.torch_trainer import TorchTrainer

from runner.parallel.errors import InvalidResources
from runner.parallel.quiet import quiet
from runner.parallel.rank_words import TrainRank, run_rank
from supernet.training.process_group import ProcessGroup

if TYPE_CHECKING:
    from runner.parallel.resources import Resources
    from runner.parallel.session import RaySettings

POLL_SECONDS = 0.2
# How long a rank waits for another one, which may be scoring subnets or writing a checkpoint.
PATIENCE_SECONDS = 1800

_SETTINGS = {
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5",  # until a lost process is noticed
    "RAY_TRAIN_METRICS_ENABLED": "0",
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",  # a process more, for what a checkpoint does as well
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
}


def run_group(
    train: TrainRank,
    *,
    ranks: int,
    resources: Resources,
    folder: Path,
    scratch: Path,
    poll: Callable[[], None],
    alive: Callable[[], bool],
) -> str | None:
    """Let a group train until all ranks have ended; why one of them failed, in words, or None.

    `poll` is called several times a second meanwhile, in this thread.  Returns early where Ray is not alive.
    """
    directory = Path.cwd()

    def rank() -> None:
        # A task's files may be named relative to the driver's folder.
        with contextlib.chdir(directory), _joined(scratch / "meeting", gpu=resources.gpus > 0) as group:
            run_rank(train, group, folder=folder, scratch=scratch)

    with warnings.catch_warnings():
        # Ray Data, of which nothing is used, warns of its own settings when it first makes them.
        warnings.simplefilter("ignore", DeprecationWarning)
        DataContext.get_current()
    trainer = TorchTrainer(
        rank,
        torch_config=_FileConfig(),
        scaling_config=ScalingConfig(
            num_workers=ranks,
            use_gpu=resources.gpus > 0,
            resources_per_worker={"CPU": resources.cpus, "GPU": resources.gpus},
        ),
        run_config=RunConfig(
            name="train",
            storage_path=str(scratch),
            failure_config=FailureConfig(max_failures=0, controller_failure_limit=0),
            worker_runtime_env={"env_vars": _network()},
        ),
    )
    ended: list[BaseException | None] = []

    def fit() -> None:
        try:
            trainer.fit()
            ended.append(None)
        except BaseException as error:  # noqa: BLE001  (it belongs to the thread that waits)
            ended.append(error)

    with quiet(_SETTINGS):
        # In a thread of its own, because it neither lets anyone look on nor leaves Ctrl-C to its owner.
        thread = threading.Thread(target=fit, name="ray-train", daemon=True)
        thread.start()
        while thread.is_alive():
            if not alive():
                return "Ray is gone"
            poll()
            thread.join(POLL_SECONDS)
    return None if ended[0] is None else _explained(ended[0])


class _FileBackend(Backend):
    """Leaves the process group to the ranks."""

    share_cuda_visible_devices = True


@dataclass
class _FileConfig(TorchConfig):
    """Torch without a server for its processes to meet at: it would listen on all interfaces and trust everyone."""

    @property
    def backend_cls(self) -> type[Backend]:
        return _FileBackend


@contextlib.contextmanager
def _joined(meeting: Path, *, gpu: bool) -> Iterator[ProcessGroup]:
    """The process group of the ranks, who meet at a file of this name that all of them see."""
    context = ray.train.get_context()
    rank, ranks = context.get_world_rank(), context.get_world_size()
    dist.init_process_group(
        "nccl" if gpu else "gloo",
        store=dist.FileStore(str(meeting), ranks),  # type: ignore[attr-defined]
        rank=rank,
        world_size=ranks,
        timeout=timedelta(seconds=PATIENCE_SECONDS),
    )
    try:
        yield ProcessGroup(get_device() if gpu else "cpu")
    finally:
        if not gpu:  # nccl would first wait for the others
            dist.destroy_process_group()


def check_room(settings: RaySettings, ranks: int, resources: Resources) -> None:
    """Refuse processes for which a Ray of our own never has room; Ray Train would wait.  A cluster may grow."""
    there: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    for name, each in (("CPU", resources.cpus), ("GPU", resources.gpus)):
        if settings.address is None and ranks * each > there.get(name, 0.0):
            raise InvalidResources(
                f"{ranks} processes that train together need {ranks * each:g} {name}s, Ray has "
                f"{there.get(name, 0.0):g} here; use fewer processes, or less for each"
            )


def _network() -> dict[str, str]:
    """Gloo is to listen where Ray does: on loopback only, unless it is a cluster of several machines."""
    if ray.util.get_node_ip_address() != "127.0.0.1":  # type: ignore[no-untyped-call]
        return {}
    names = {name for _, name in socket.if_nameindex()}
    return {"GLOO_SOCKET_IFNAME": next(name for name in ("lo", "lo0") if name in names)}


def _explained(error: BaseException) -> str:
    if not isinstance(error, WorkerGroupError):
        return f"Ray Train could not run them: {_last_line(error)}"
    for rank, failure in sorted(error.worker_failures.items()):
        # Where a process is lost the others fail, too, because they wait for it.
        if isinstance(getattr(failure, "health_check_failure", failure), RayActorError):
            return f"process {rank + 1} was lost"
    rank, failure = min(error.worker_failures.items())
    return f"process {rank + 1} failed with {_last_line(failure)}"


def _last_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
