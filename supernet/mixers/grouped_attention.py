"""Softmax attention with query, K and V heads of separate numbers, and a span for each of two groups of heads.

Fewer K and V heads: grouped queries (Ainslie et al. 2023); different numbers of K and V heads: DiffQKV
(Sigma, Lin et al. 2025).  Which head reads what is `head_groups`' business.
"""

# B batch, T tokens, D width, H heads, E head width, L remembered tokens, G query heads that read one head

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from supernet.mixers.banded import banded_attention
from supernet.mixers.head_groups import HeadPlan
from supernet.mixers.rotary import check_head_width, rotated, turns
from supernet.mixers.sequence import by_head, check_decodable

if TYPE_CHECKING:
    from supernet.mixers.head_groups import Span
    from supernet.mixers.sequence import State


class GroupedAttention(nn.Module):
    """Attention with rotary positions.  x_BTD -> out_BTD.

    `key_heads` and `value_heads` must divide `heads` (default: as many).  `spans` has one entry, or one for the even
    and one for the odd query heads: the tokens that a head sees, its own included, None for all.  The state holds
    rotated keys and values, no more of each head than its readers see.

    Raises `ValueError` for heads that do not divide, spans below 2, and an odd head width with rotary positions.
    """

    def __init__(
        self,
        width: int,
        *,
        heads: int,
        head_width: int,
        key_heads: int | None = None,
        value_heads: int | None = None,
        spans: tuple[Span, ...] = (None,),
        rotary: bool = True,
        causal: bool = True,
    ) -> None:
        super().__init__()
        self.plan = HeadPlan(
            heads=heads,
            key_heads=heads if key_heads is None else key_heads,
            value_heads=heads if value_heads is None else value_heads,
            spans=spans,
        )
        if rotary:
            check_head_width(head_width)
        self.rotary, self.causal, self.head_width = rotary, causal, head_width
        self.query = nn.Linear(width, heads * head_width)
        self.key = nn.Linear(width, self.plan.key_heads * head_width)
        self.value = nn.Linear(width, self.plan.value_heads * head_width)
        self.output = nn.Linear(heads * head_width, width)

    def forward(self, x_BTD: Tensor) -> Tensor:
        position_T = torch.arange(x_BTD.shape[1], device=x_BTD.device)
        q, k, v = self._projected(x_BTD, position_T)
        mixed = [
            banded_attention(
                _taken(q, group.query),
                _repeated(_taken(k, group.key), len(group.query)),
                _repeated(_taken(v, group.value), len(group.query)),
                span=group.span,
                causal=self.causal,
            )
            for group in self.plan.groups
        ]
        out_BTD: Tensor = self.output(self._in_order(mixed).transpose(1, 2).flatten(2))
        return out_BTD

    def start(self, batch: int, tokens: int) -> State:
        """Zeros (B, H, L, E) for the K heads that must remember equally much, then for the V heads."""
        check_decodable(self.causal)
        return tuple(
            self.query.weight.new_zeros(batch, len(heads), _remembered(span, tokens), self.head_width)
            for count in (self.plan.key_heads, self.plan.value_heads)
            for span, heads in self.plan.kept(count).items()
        )

    def step(self, x_BD: Tensor, position_B: Tensor, state: State) -> tuple[Tensor, State]:
        """One token; see `SequenceMixer`."""
        q, k, v = self._projected(x_BD.unsqueeze(1), position_B[:, None, None])
        kept_k, kept_v = (tuple(self.plan.kept(n).values()) for n in (self.plan.key_heads, self.plan.value_heads))
        new = [*(_taken(k, heads) for heads in kept_k), *(_taken(v, heads) for heads in kept_v)]
        seen = [torch.cat([old, own], 2) for old, own in zip(state, new, strict=True)]
        keys = dict(zip(kept_k, seen[: len(kept_k)], strict=True))
        values = dict(zip(kept_v, seen[len(kept_k) :], strict=True))
        mixed = [
            _attend_once(_taken(q, group.query), _of(group.key, keys), _of(group.value, values), group.span, position_B)
            for group in self.plan.groups
        ]
        out_BD: Tensor = self.output(self._in_order(mixed).flatten(1))
        return out_BD, tuple(both[:, :, 1:] for both in seen)

    def _projected(self, x_BTD: Tensor, position: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        q = by_head(self.query(x_BTD), self.plan.heads)
        k = by_head(self.key(x_BTD), self.plan.key_heads)
        v = by_head(self.value(x_BTD), self.plan.value_heads)
        if not self.rotary:
            return q, k, v
        both = turns(position, q)
        return rotated(q, both), rotated(k, both), v

    def _in_order(self, mixed: list[Tensor]) -> Tensor:
        """The outputs of the groups, query heads in their own order again."""
        if len(mixed) == 1:
            return mixed[0]
        grouped = [head for group in self.plan.groups for head in group.query]
        return _taken(torch.cat(mixed, 1), tuple(grouped.index(head) for head in range(self.plan.heads)))


def _remembered(span: Span, tokens: int) -> int:
    if tokens < 1:
        raise ValueError(f"a state needs room for at least 1 earlier token, got {tokens}.")
    return tokens if span is None else min(tokens, span - 1)


def _taken(x_BHTE: Tensor, heads: tuple[int, ...]) -> Tensor:
    """Some heads, in this order; evenly spaced ones without a copy."""
    every = range(x_BHTE.shape[1])
    for step in (1, 2):
        if heads == tuple(every[heads[0] :: step]):
            return x_BHTE[:, heads[0] :: step] if len(heads) < len(every) else x_BHTE
    return x_BHTE[:, list(heads)]


def _repeated(x_BHTE: Tensor, heads: int) -> Tensor:
    """As many heads as there are query heads; the m-th is head m mod H."""
    H = x_BHTE.shape[1]
    return x_BHTE if heads == H else x_BHTE.repeat(1, heads // H, 1, 1)


def _of(wanted: tuple[int, ...], caches: dict[tuple[int, ...], Tensor]) -> Tensor:
    """The wanted heads, which are all remembered in one tensor."""
    for heads, cache in caches.items():
        if set(wanted) <= set(heads):
            return _taken(cache, tuple(heads.index(head) for head in wanted))
    raise AssertionError(f"heads {wanted} are remembered apart: {tuple(caches)}")


def _attend_once(q_BH1E: Tensor, k_BHLE: Tensor, v_BHLE: Tensor, span: Span, position_B: Tensor) -> Tensor:
    """One query a head against remembered tokens, the newest last.  Returns (B, query heads, 1, E).

    Query heads that read the same K head go into one product, so that each remembered key is read once and none is
    copied: this is what fewer K heads save.
    """
    room = min(k_BHLE.shape[2], v_BHLE.shape[2])  # K heads may be remembered longer, for other readers, than V heads
    L = room if span is None else min(span, room)
    k_BHLE, v_BHLE = k_BHLE[:, :, -L:], v_BHLE[:, :, -L:]
    heads, E = q_BH1E.shape[1], q_BH1E.shape[3]
    scores = _per_head(q_BH1E, k_BHLE.shape[1]) @ k_BHLE.transpose(2, 3) / math.sqrt(E)
    scores = _by_query(scores, heads)
    age_L = torch.arange(L - 1, -1, -1, device=q_BH1E.device)
    absent_B11L = (age_L > position_B[:, None])[:, None, None]  # before the first token
    weights = scores.masked_fill(absent_B11L, -math.inf).softmax(-1)
    return _by_query(_per_head(weights, v_BHLE.shape[1]) @ v_BHLE, heads)


def _per_head(x: Tensor, read: int) -> Tensor:
    """(B, query heads, 1, n) -> (B, H, G, n): query head m reads head m mod H."""
    return torch.unflatten(x.squeeze(2), 1, (-1, read)).transpose(1, 2)


def _by_query(x_BHGn: Tensor, heads: int) -> Tensor:
    """The inverse of `_per_head`."""
    mixed = x_BHGn.transpose(1, 2).flatten(1, 2)
    assert mixed.shape[1] == heads
    return mixed.unsqueeze(2)
