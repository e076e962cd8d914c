"""The ranks of a training as a process group of torch.distributed: gloo between CPUs, nccl between GPUs.

Owns how tensors are packed for the way and how words are sent.  Who starts the processes and joins them to a group is
the caller's business.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeVar

import torch
import torch.distributed as dist

from supernet.errors import RankFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import Tensor

T = TypeVar("T")

# Of one reduction: large enough that its latency does not matter, small beside the gradients of a large model.
BUCKET_BYTES = 32 * 2**20


class ProcessGroup:
    """A `Reducer` over the default process group, which must exist.

    `device` is where its backend adds: a CUDA device for nccl.  Tensors may lie anywhere.
    """

    def __init__(self, device: torch.device | str = "cpu", *, bucket_bytes: int = BUCKET_BYTES) -> None:
        self._device = torch.device(device)
        self._bucket_bytes = bucket_bytes
        self.rank = dist.get_rank()
        self.ranks = dist.get_world_size()

    @torch.no_grad()
    def sum(self, tensors: Sequence[Tensor]) -> None:
        """Add each tensor over all ranks, in place; many of them travel together."""
        for bucket in _buckets(tensors, self._bucket_bytes):
            flat = torch.cat([tensor.reshape(-1) for tensor in bucket]).to(self._device)
            dist.all_reduce(flat)
            parts = torch.split(flat, [tensor.numel() for tensor in bucket])
            for tensor, part in zip(bucket, parts, strict=True):
                tensor.copy_(part.view(tensor.shape))

    def agree(self, make: Callable[[], T]) -> T:
        """What `make` returns on rank 0, through JSON also there, so that all ranks have the same."""
        failure: Exception | None = None
        message: dict[str, Any] = {}
        if self.rank == 0:
            try:
                message = {"value": make()}
            except Exception as error:  # noqa: BLE001  (whatever it is, the others wait for a word)
                failure, message = error, {"failure": f"{type(error).__name__}: {error}"}
        said = json.loads(self._broadcast(json.dumps(message).encode()))
        if failure is not None:
            raise failure
        if "failure" in said:
            raise RankFailed(f"the first of {self.ranks} processes that train together failed: {said['failure']}")
        value: T = said["value"]
        return value

    def _broadcast(self, content: bytes) -> bytes:
        """What rank 0 gives, on all ranks."""
        size = torch.tensor([len(content)], device=self._device)
        dist.broadcast(size, 0)
        letters = torch.zeros(int(size.item()), dtype=torch.uint8, device=self._device)
        if self.rank == 0:
            letters.copy_(torch.frombuffer(bytearray(content), dtype=torch.uint8))
        dist.broadcast(letters, 0)
        return bytes(letters.cpu().numpy())


def _buckets(tensors: Sequence[Tensor], most_bytes: int) -> Iterator[list[Tensor]]:
    """Tensors of one type and place in their order, as many at a time as fit; a larger one alone."""
    by_kind: dict[tuple[torch.dtype, torch.device], list[Tensor]] = {}
    for tensor in tensors:
        by_kind.setdefault((tensor.dtype, tensor.device), []).append(tensor)
    for kind in by_kind.values():
        bucket: list[Tensor] = []
        size = 0
        for tensor in kind:
            if bucket and size + tensor.nbytes > most_bytes:
                yield bucket
                bucket, size = [], 0
            bucket.append(tensor)
            size += tensor.nbytes
        yield bucket
