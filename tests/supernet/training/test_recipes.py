"""What a step does with its architectures, each recipe against the same written out with modules of their own."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from search_spaces import Architecture, Ordinal, SearchSpace
from supernet import SharedWeights
from supernet.errors import TrainingError
from supernet.tasks.task import loss as task_loss
from supernet.training.distillation import DISTILLATION_SHARE, Distillation, soft_cross_entropy
from supernet.training.loop import LoopConfig, Watcher, batch_of, derive_seed
from supernet.training.optimizer import learning_rate
from supernet.training.sampling import EveryArchitecture, MultiArchitecture, Sandwich, SubnetSampler
from supernet.training.supernet import extract_recalibrated, score_inherited, train_supernet
from supernet.training.widening import Widening
from tests.supernet.training.small import (
    CLASSES,
    FEATURES,
    SmallNet,
    equal,
    small_net,
    small_space,
    small_task,
    state,
)

TASK = small_task()
CONFIG = LoopConfig(steps=1, batch=11, seed=5, clip_norm=1e6)  # the gradients of the only step stay as they are


class PlainNet(nn.Module):
    """Rows do not depend on each other, nor on chance."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        width = int(architecture["width"])
        self.enter = nn.Linear(FEATURES, width)
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(int(architecture["depth"])))
        self.leave = nn.Linear(width, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.enter(x)
        for layer in self.layers:
            x = x + layer(x).relu()
        return self.leave(x)


SPACE = SearchSpace({"depth": Ordinal(0, 1, 2), "width": Ordinal(4, 8)})


def plain_weights() -> SharedWeights:
    return SharedWeights(PlainNet, SPACE)


def trained(
    sampler: SubnetSampler,
    config: LoopConfig = CONFIG,
    *,
    distillation: Distillation | None = None,
    teacher: nn.Module | None = None,
) -> tuple[dict[str, Tensor], float]:
    """The gradients and the reported loss of one step."""
    weights = plain_weights()
    losses: list[float] = []
    watcher = Watcher(progress=lambda done, steps, loss: losses.append(loss))
    train_supernet(weights, TASK, sampler, config, distillation=distillation, teacher=teacher, watcher=watcher)
    gradients = {name: p.grad.clone() for name, p in weights.named_parameters() if p.grad is not None}
    return gradients, losses[0]


Loss = Callable[[int, Tensor, Tensor], Tensor]
"""(number of the architecture, its logits, the first one's logits) -> its loss."""


def by_hand(
    chosen: Sequence[Architecture], loss: Loss, rows: Callable[[int], slice]
) -> tuple[dict[str, Tensor], float]:
    """Every architecture as a module of its own; gradients are summed over the leading slices, losses averaged."""
    weights = plain_weights()
    inputs, _ = batch_of(TASK, 0, CONFIG)
    total = {name: torch.zeros_like(value) for name, value in weights.named_parameters()}
    first: Tensor | None = None
    losses = []
    for number, architecture in enumerate(chosen):
        module = weights.extract(architecture)
        logits = module(inputs[rows(number)])
        first = logits.detach() if first is None else first
        value = loss(number, logits, first)
        value.backward()
        losses.append(float(value.detach()))
        for name, parameter in module.named_parameters():
            assert parameter.grad is not None
            total[name][tuple(slice(0, size) for size in parameter.shape)] += parameter.grad
    return total, sum(losses) / len(losses)


def assert_same(found: tuple[dict[str, Tensor], float], expected: tuple[dict[str, Tensor], float]) -> None:
    assert found[1] == pytest.approx(expected[1], rel=1e-5)
    for name, gradient in expected[0].items():
        torch.testing.assert_close(found[0].get(name, torch.zeros_like(gradient)), gradient, rtol=1e-4, atol=1e-6)


def chosen_by(sampler: SubnetSampler) -> Sequence[Architecture]:
    return sampler.architectures(0, random.Random(derive_seed(CONFIG.seed, "subnets", 0)))


def everything(number: int) -> slice:
    return slice(None)


TARGETS = batch_of(TASK, 0, CONFIG)[1]
SAMPLERS: list[SubnetSampler] = [Sandwich(SPACE, 2), EveryArchitecture(SPACE)]


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_all_may_learn_from_the_labels(sampler: SubnetSampler, smoothing: float) -> None:
    config = replace(CONFIG, label_smoothing=smoothing)
    expected = by_hand(chosen_by(sampler), lambda n, own, first: task_loss(own, TARGETS, smoothing), everything)
    assert_same(trained(sampler, config, distillation="labels"), expected)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_the_first_may_teach_the_others(sampler: SubnetSampler) -> None:
    """Smoothing is of labels: what is imitated stays as it is."""

    def loss(number: int, own: Tensor, first: Tensor) -> Tensor:
        return task_loss(own, TARGETS, 0.1) if number == 0 else soft_cross_entropy(own, first)

    config = replace(CONFIG, label_smoothing=0.1)
    assert_same(trained(sampler, config, distillation="inplace"), by_hand(chosen_by(sampler), loss, everything))


@pytest.mark.parametrize("distillation", ["inplace", "labels"])
def test_a_teacher_has_half_of_what_labels_would_teach(distillation: Distillation) -> None:
    sampler, teacher = Sandwich(SPACE, 1), small_net(seed=8).train()
    before = state(teacher)
    taught = teacher.eval()(batch_of(TASK, 0, CONFIG)[0]).detach()
    teacher.train()

    def loss(number: int, own: Tensor, first: Tensor) -> Tensor:
        if number and distillation == "inplace":
            return soft_cross_entropy(own, first)
        imitation = soft_cross_entropy(own, taught)
        return (1 - DISTILLATION_SHARE) * task_loss(own, TARGETS) + DISTILLATION_SHARE * imitation

    found = trained(sampler, distillation=distillation, teacher=teacher)
    assert_same(found, by_hand(chosen_by(sampler), loss, everything))
    assert equal(state(teacher), before), "it is run in evaluation mode and stays as it is"
    assert teacher.training


@pytest.mark.parametrize("subnets", [1, 2, 3, 11])
def test_a_divided_batch_has_the_gradients_of_its_parts(subnets: int) -> None:
    """The loss is the mean over the batch, so each part counts by its rows: 11 rows for 3 are 4, 4 and 3."""
    sampler = MultiArchitecture(SPACE, subnets)
    chosen = chosen_by(sampler)
    values: list[float] = []

    def loss(number: int, own: Tensor, first: Tensor) -> Tensor:
        value = task_loss(own, TARGETS[number::subnets]) * (len(own) / 11)
        values.append(float(value.detach()))
        return value

    gradients, _ = by_hand(chosen, loss, lambda number: slice(number, None, subnets))
    assert_same(trained(sampler), (gradients, sum(values)))


def test_a_divided_batch_may_have_a_teacher() -> None:
    sampler, teacher = MultiArchitecture(SPACE, 2), small_net(seed=8).eval()
    taught = teacher(batch_of(TASK, 0, CONFIG)[0]).detach()
    values: list[float] = []

    def loss(number: int, own: Tensor, first: Tensor) -> Tensor:
        labels, imitation = task_loss(own, TARGETS[number::2]), soft_cross_entropy(own, taught[number::2])
        value = ((1 - DISTILLATION_SHARE) * labels + DISTILLATION_SHARE * imitation) * (len(own) / 11)
        values.append(float(value.detach()))
        return value

    gradients, _ = by_hand(chosen_by(sampler), loss, lambda number: slice(number, None, 2))
    assert_same(trained(sampler, teacher=teacher), (gradients, sum(values)))


@pytest.mark.parametrize(
    "sampler",
    [*SAMPLERS, MultiArchitecture(SPACE, 2), MultiArchitecture(SPACE, 3), MultiArchitecture(SPACE, 8)],
)
@pytest.mark.parametrize("parts", [2, 4, 11])
def test_accumulation_changes_no_recipe(sampler: SubnetSampler, parts: int) -> None:
    """Rows keep their architecture however the batch is cut."""
    assert_same(trained(sampler, replace(CONFIG, accumulate=parts)), trained(sampler))


def test_a_divided_batch_cannot_be_distilled_in_place() -> None:
    with pytest.raises(TrainingError, match=r"same inputs, and this recipe divides the batch .*use .*'labels'"):
        trained(MultiArchitecture(SPACE, 2), distillation="inplace")


@pytest.mark.parametrize(
    ("sampler", "usual"),
    [
        (Sandwich(SPACE, 1), "inplace"),
        (EveryArchitecture(SPACE), "labels"),
        (MultiArchitecture(SPACE, 2), "labels"),
        (Widening.over(SPACE, {"depth": 0.5}, 1, Sandwich), "inplace"),
    ],
)
def test_each_recipe_has_its_usual_distillation(sampler: SubnetSampler, usual: Distillation) -> None:
    assert sampler.usual_distillation == usual
    assert_same(trained(sampler), trained(sampler, distillation=usual))


def test_the_defaults_train_bit_by_bit_as_a_plain_loop() -> None:
    """The loop as it was before there was anything to choose; dropout and batch statistics included."""
    space, config = small_space(), LoopConfig(steps=4, batch=8, seed=5)
    sampler = Sandwich(space, 2)
    shared, naive = SharedWeights(SmallNet, space), SharedWeights(SmallNet, space).train()
    losses: list[float] = []
    train_supernet(shared, TASK, sampler, config, watcher=Watcher(progress=lambda d, s, loss: losses.append(loss)))

    groups = [
        {"params": [p for p in naive.parameters() if p.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in naive.parameters() if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=config.learning_rate, fused=True)
    expected = []
    for step in range(config.steps):
        inputs, targets = batch_of(TASK, step, config)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, config)
        optimizer.zero_grad(set_to_none=True)
        first, *others = sampler.architectures(step, random.Random(derive_seed(config.seed, "subnets", step)))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive_seed(config.seed, "step", step))
            logits = naive.borrow(first)(inputs)
            total = nn.functional.cross_entropy(logits, targets)
            total.backward()
            reported = total.detach()
            for other in others:
                total = soft_cross_entropy(naive.borrow(other)(inputs), logits)
                total.backward()
                reported = reported + total.detach()
        nn.utils.clip_grad_norm_(naive.parameters(), config.clip_norm)
        optimizer.step()
        expected.append(float(reported / 4))
    assert losses == expected
    assert equal(state(shared), state(naive))


def test_what_is_extracted_for_its_outputs_has_statistics_of_its_own() -> None:
    space, config = small_space(), replace(CONFIG, steps=20, batch=8)
    shared = SharedWeights(SmallNet, space)
    train_supernet(shared, TASK, Sandwich(space, 1), config)
    for architecture in (space.smallest(), space.largest()):
        module = extract_recalibrated(shared, architecture, TASK, config)
        assert TASK.score(module, TASK.validation) == score_inherited(shared, architecture, TASK, config)
        bare = shared.extract(architecture)
        assert TASK.score(bare, TASK.validation) != TASK.score(module, TASK.validation)
        assert all(torch.equal(p, q) for p, q in zip(bare.parameters(), module.parameters(), strict=True))


def test_a_subnet_is_judged_only_while_it_is_trained() -> None:
    """Before depth and width are open, the smallest subnet has nothing to lose."""
    config = replace(CONFIG, steps=8, health_every=2)
    widening = Widening.over(SPACE, {"depth": 0.25, "width": 0.5}, config.steps, Sandwich)
    curve = train_supernet(plain_weights(), TASK, widening, config)
    assert [set(point.wrong) for point in curve] == [{"largest"}] * 2 + [{"largest", "smallest"}] * 2
    assert all(set(point.values) == {"smallest", "random", "largest"} for point in curve)
    assert curve[-1].wrong["largest"] == pytest.approx(curve[-1].values["largest"])  # the task's metric is the error
