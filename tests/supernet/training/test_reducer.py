"""Several processes that train together: what they learn is what one learns, and they always agree."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from safetensors.torch import load_file

from supernet.errors import CheckpointError
from supernet.training.checkpoint import Checkpoints
from supernet.training.reducer import Alone, any_rank, reduce_gradients
from tests.supernet.training.small import equal, small_net
from tests.supernet.training.together import DROPPING, SCENARIOS, parameters

if TYPE_CHECKING:
    from torch import Tensor

ROOT = Path(__file__).parents[3]
RANKS = 2


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which two processes left what came of every scenario."""
    folder = tmp_path_factory.mktemp("together")
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.supernet.training.together", str(folder), str(rank), str(RANKS)],
            cwd=ROOT,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(RANKS)
    ]
    for process in processes:
        _, said = process.communicate(timeout=300)
        assert process.returncode == 0, said
    return folder


def found(folder: Path, name: str) -> dict[str, Tensor]:
    """The parameters of a scenario, which must be the same on both ranks."""
    first, second = (load_file(folder / f"{name}-{rank}.safetensors") for rank in range(RANKS))
    assert equal(first, second)
    return first


@pytest.mark.slow
@pytest.mark.parametrize("name", SCENARIOS)
def test_two_ranks_with_half_the_batch_each_equal_one_process(together: Path, name: str) -> None:
    """After 50 steps, each tensor to 1e-5 of its norm."""
    alone, both = parameters(SCENARIOS[name].train(Alone())), found(together, name)
    assert both.keys() == alone.keys()
    for tensor_name, tensor in both.items():
        assert float((tensor - alone[tensor_name]).norm() / alone[tensor_name].norm()) < 1e-5, tensor_name


@pytest.mark.slow
def test_ranks_that_stop_because_one_was_asked_go_on_bit_by_bit(together: Path) -> None:
    """With dropout, which each draws for itself."""
    assert equal(found(together, "resumed"), found(together, "dropping"))
    first, second = (Checkpoints(together / name).latest() for name in ("resumed", "dropping"))
    assert first is not None
    assert second is not None
    assert equal(first.tensors, second.tensors)
    assert first.metadata == second.metadata
    assert first.metadata["ranks"] == RANKS
    with pytest.raises(CheckpointError, match=r"made by 2 processes .* only be continued by as many, not by 1"):
        DROPPING.train(Alone(), together / "resumed")


@pytest.mark.slow
def test_what_goes_wrong_on_one_rank_ends_all_alike(together: Path) -> None:
    """A loss on the last rank, or a check on the first; only the first tells, and writes."""
    nan, lost, health, blocked = zip(*((together / f"words-{n}").read_text().splitlines() for n in (0, 1)), strict=True)
    assert nan[0].startswith("TrainingCollapsed in step 12, told [10, 10, 10]: ")
    assert "the loss became nan" in nan[0]
    assert lost[0].startswith("TrainingCollapsed in step 29, told [15, 15, 15]: ")
    for first, second in (nan, lost):
        assert second == first.replace("told [10, 10, 10]", "told []").replace("told [15, 15, 15]", "told []")
    assert health[0].startswith("RuntimeError in step 4")
    assert blocked[0].startswith("CheckpointError in step 0")
    for first, second in (health, blocked):
        name, _, reason = first.partition(" in step ")
        assert second.startswith("RankFailed in step ")
        assert f"the first of 2 processes that train together failed: {name}: " in second
        assert second.endswith(reason.partition(": ")[2])


def test_alone_there_is_nobody_to_ask() -> None:
    module = small_net()
    module.scale.grad = torch.ones(8)
    assert reduce_gradients(Alone(), list(module.parameters()), 0.5) == 0.5
    assert [name for name, parameter in module.named_parameters() if parameter.grad is not None] == ["scale"]
    assert any_rank(Alone(), True)
    assert not any_rank(Alone(), False)
    assert Alone().agree(lambda: (1, 2)) == (1, 2)
