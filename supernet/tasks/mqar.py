"""Multi-query associative recall: key-value pairs, then each key again, to be answered with its value.

Generated as Arora et al. 2023 ("Zoology: Measuring and Improving Recall in Efficient Language Models", MQAR)
define it, with a vocabulary of 256 in place of 8,192 so that a study takes minutes.  A sequence begins with its
pairs: distinct keys from the first half of the vocabulary (identifier 0 left out), each followed by one of as many
distinct values from the second half.  Behind them every second position is a slot.  Each key is repeated once, in
a slot of its own: one after the other they draw among the free slots, the g-th with probability proportional to
g ** (power - 1).  The target there is the value; no other position has one.  What remains holds tokens drawn from
the whole vocabulary (`noise`, the default), or the identifier 0.
"""

# B sequences, T positions, P pairs, S slots

from __future__ import annotations

import torch
from torch import Tensor

from supernet.errors import OptionError
from supernet.tasks.options import affordable, number, whole, yes_or_no
from supernet.tasks.task import UNLABELLED, Split, Task

LARGEST_VOCABULARY = 2**16
VALUES_AT_ONCE = 2**22  # random numbers in memory at a time
LEAST_DRAWN = 1_000  # sequences at a time, so that the share of new ones among them is known
LEAST_NEW = 0.1  # share of the drawn sequences that no other split holds; with fewer there are too few to tell apart
BLANK = 0


def load(
    *,
    vocabulary: int = 256,
    length: int = 64,
    pairs: int = 8,
    power: float = 0.01,
    noise: bool = True,
    train: int = 50_000,
    validation: int = 500,
    test: int = 500,
    seed: int = 0,
) -> Task:
    """The task; inputs are (length,) identifiers below `vocabulary`, `pairs` of them with a target.

    No two splits share a sequence, not even one that differs in its noise alone.  Raises `OptionError` for what
    cannot be generated.
    """
    whole("mqar", "vocabulary", vocabulary, at_least=4, at_most=LARGEST_VOCABULARY)
    whole("mqar", "length", length, at_least=4)
    whole("mqar", "pairs", pairs, at_least=1)
    number("mqar", "power", power, above=0)
    yes_or_no("mqar", "noise", noise)
    whole("mqar", "seed", seed, at_least=0, at_most=2**32)
    for name, count in (("train", train), ("validation", validation), ("test", test)):
        whole("mqar", name, count, at_least=1)
        affordable("mqar", count, length)
    if 4 * pairs > length:
        raise OptionError(
            f"mqar: {pairs} pairs need a length of at least {4 * pairs}: two positions each for the pairs, and a slot "
            f"of two for each repeated key; got length {length}. Lower pairs or raise length."
        )
    if pairs > vocabulary // 2 - 1:
        raise OptionError(
            f"mqar: a vocabulary of {vocabulary} has {vocabulary // 2 - 1} keys, too few for {pairs} pairs. Lower "
            "pairs or raise vocabulary."
        )
    splits: list[Split] = []
    seen = torch.empty(0, dtype=torch.int64)
    # The small splits come first: it is the large one that gives way.
    for number_of_split, count in enumerate((validation, test, train)):
        generator = torch.Generator().manual_seed(3 * seed + number_of_split)
        inputs_BT, targets_BT = _apart(count, seen, vocabulary, length, pairs, power, generator)
        seen = torch.cat((seen, _fingerprints(inputs_BT)))
        if noise:
            _fill(inputs_BT, targets_BT, pairs, vocabulary, generator)
        splits.append(Split(inputs_BT, targets_BT))
    return Task(
        name="mqar",
        train=splits[2],
        validation=splits[0],
        test=splits[1],
        classes=vocabulary,
        kind="tokens",
        vocabulary=vocabulary,
        per_position=True,
    )


def _apart(
    count: int, seen: Tensor, vocabulary: int, length: int, pairs: int, power: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """`count` sequences without noise whose fingerprints are not among `seen`, and their targets."""
    inputs = torch.empty(0, length, dtype=torch.int64)
    targets = inputs
    while len(inputs) < count:
        missing = count - len(inputs)
        drawn, answers = _draw(max(missing, LEAST_DRAWN), vocabulary, length, pairs, power, generator)
        new = torch.nonzero(~torch.isin(_fingerprints(drawn), seen)).flatten()
        if len(new) < LEAST_NEW * len(drawn):
            raise OptionError(
                f"mqar: vocabulary {vocabulary}, length {length} and pairs {pairs} allow too few different sequences "
                "to keep train, validation and test apart. Raise one of them, or ask for fewer samples."
            )
        inputs, targets = torch.cat((inputs, drawn[new[:missing]])), torch.cat((targets, answers[new[:missing]]))
    return inputs, targets


def _draw(
    count: int, vocabulary: int, length: int, pairs: int, power: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Sequences (B, T) without noise and their targets (B, T)."""
    keys = vocabulary // 2
    context = 2 * pairs
    keys_BP = 1 + _distinct(keys - 1, count, pairs, generator)
    values_BP = keys + _distinct(vocabulary - keys, count, pairs, generator)
    positions_BP = context + 2 * _slots((length - context) // 2, power, count, pairs, generator)
    inputs_BT = torch.full((count, length), BLANK)
    inputs_BT[:, 0:context:2] = keys_BP
    inputs_BT[:, 1:context:2] = values_BP
    inputs_BT.scatter_(1, positions_BP, keys_BP)
    targets_BT = torch.full((count, length), UNLABELLED).scatter_(1, positions_BP, values_BP)
    return inputs_BT, targets_BT


def _distinct(choices: int, count: int, size: int, generator: torch.Generator) -> Tensor:
    """(count, size) of the numbers below `choices`, uniform and without repetition in a row.

    The first steps of a shuffle by swaps (Fisher and Yates), in all rows at once.
    """
    chunk = max(1, VALUES_AT_ONCE // choices)
    parts = []
    for start in range(0, count, chunk):
        rows = torch.arange(min(chunk, count - start))
        table = torch.arange(choices).repeat(len(rows), 1)
        for i in range(size):
            uniform = torch.rand(len(rows), dtype=torch.float64, generator=generator)
            other = i + (uniform * (choices - i)).long()
            here, there = table[:, i].clone(), table[rows, other]
            table[rows, other] = here
            table[:, i] = there
        parts.append(table[:, :size].clone())
    return torch.cat(parts)


def _slots(slots: int, power: float, count: int, size: int, generator: torch.Generator) -> Tensor:
    """(count, size) slots, each row drawn one after the other among the free ones by the power law.

    The largest of log-weights plus Gumbel noise, largest first, are such a draw (Kool et al. 2019, "Stochastic Beams
    and Where to Find Them", section 2.3).  In double precision: in single, ties would leave the order to the machine.
    """
    weights_S = (power - 1) * torch.arange(1, slots + 1, dtype=torch.float64).log()
    uniform = torch.rand(count, slots, dtype=torch.float64, generator=generator)
    return (weights_S - (-uniform.log()).log()).topk(size).indices


def _fingerprints(inputs_BT: Tensor) -> Tensor:
    """A 64-bit number for each sequence, the same for the same sequence (and for others once in 2 ** 64)."""
    generator = torch.Generator().manual_seed(0)
    factors_T = torch.randint(-(2**62), 2**62, (inputs_BT.shape[1],), generator=generator)
    return (inputs_BT * factors_T).sum(1)


def _fill(inputs_BT: Tensor, targets_BT: Tensor, pairs: int, vocabulary: int, generator: torch.Generator) -> None:
    """Noise, in place, where neither a pair nor a repeated key stands."""
    free_BT = targets_BT == UNLABELLED
    free_BT[:, : 2 * pairs] = False
    inputs_BT[free_BT] = torch.randint(vocabulary, (int(free_BT.sum()),), generator=generator)
