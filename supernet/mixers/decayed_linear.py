"""Linear attention with a decay for each head, parallel and as a recurrence (TransNormerLLM, Qin et al. 2023).

out_t = norm(sum over s of decay^|t - s| (q_t . k_s) v_s) * gate_t, with q and k through a SiLU (its gated
linear attention) and a norm without parameters.  The norm is taken head by head and the decays are RetNet's (Sun et
al. 2023), which depend on the head's own number only: so a head computes the same when others are sliced
off.
"""

# B batch, T tokens, D width, H heads, E head width, N chunks of C tokens

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from supernet.mixers.sequence import by_head, check_decodable

if TYPE_CHECKING:
    from supernet.mixers.sequence import State

CHUNK = 64  # tokens; shorter sequences are computed densely
EPSILON = 1e-6


def log_decays(heads: int, like: Tensor) -> Tensor:
    """log(1 - 2^(-5 - h)) for each head h, in the precision of `like`: a reach of about 32 * 2^h tokens."""
    return torch.log1p(-(2.0 ** (-5.0 - torch.arange(heads, device=like.device, dtype=like.dtype))))


class DecayedLinearAttention(nn.Module):
    """x_BTD -> out_BTD; causal, or decaying both ways.

    Up to `CHUNK` tokens it costs T^2 products of heads; beyond, it is computed in chunks between which one matrix
    (E, E) a head carries everything, and the cost grows with T * (2 CHUNK + 2 E) plus (T / CHUNK)^2 E for the sums of
    these matrices.  That matrix is the state of decoding, of one size however long the context.
    """

    def __init__(self, width: int, *, heads: int, head_width: int, causal: bool = True) -> None:
        super().__init__()
        self.heads, self.head_width, self.causal = heads, head_width, causal
        inner = heads * head_width
        self.query = nn.Linear(width, inner)
        self.key = nn.Linear(width, inner)
        self.value = nn.Linear(width, inner)
        self.gate = nn.Linear(width, inner)
        self.output = nn.Linear(inner, width)

    def forward(self, x_BTD: Tensor) -> Tensor:
        q, k, v = self._projected(x_BTD)
        form = _dense if x_BTD.shape[1] <= CHUNK else _in_chunks
        mixed_BHTE = form(q, k, v, log_decays(self.heads, q), causal=self.causal)
        return self._finished(mixed_BHTE, x_BTD)

    def start(self, batch: int, tokens: int) -> State:
        """Zeros of shape (B, H, E, E), whatever there is room for."""
        check_decodable(self.causal)
        del tokens
        return (self.query.weight.new_zeros(batch, self.heads, self.head_width, self.head_width),)

    def step(self, x_BD: Tensor, position_B: Tensor, state: State) -> tuple[Tensor, State]:
        """One token; see `SequenceMixer`."""
        del position_B
        x_B1D = x_BD.unsqueeze(1)
        q, k, v = self._projected(x_B1D)
        decay_H11 = log_decays(self.heads, q).exp()[:, None, None]
        (before_BHEE,) = state
        now_BHEE = before_BHEE * decay_H11 + k.transpose(2, 3) @ v
        return self._finished(q @ now_BHEE, x_B1D).squeeze(1), (now_BHEE,)

    def _projected(self, x_BTD: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        q, k = F.silu(self.query(x_BTD)), F.silu(self.key(x_BTD))
        return by_head(q, self.heads), by_head(k, self.heads), by_head(self.value(x_BTD), self.heads)

    def _finished(self, mixed_BHTE: Tensor, x_BTD: Tensor) -> Tensor:
        normed = F.rms_norm(mixed_BHTE, (self.head_width,), eps=EPSILON).transpose(1, 2).flatten(2)
        out_BTD: Tensor = self.output(normed * self.gate(x_BTD))
        return out_BTD


def _dense(q_BHTE: Tensor, k_BHTE: Tensor, v_BHTE: Tensor, log_decay_H: Tensor, *, causal: bool) -> Tensor:
    weights_HTT = _weights(q_BHTE.shape[2], log_decay_H, causal)
    return (q_BHTE @ k_BHTE.transpose(2, 3) * weights_HTT) @ v_BHTE


def _in_chunks(q_BHTE: Tensor, k_BHTE: Tensor, v_BHTE: Tensor, log_decay_H: Tensor, *, causal: bool) -> Tensor:
    """Densely within a chunk; from other chunks, the decayed sum of their k v^T.  All exponents are at most 0."""
    T, C = q_BHTE.shape[2], CHUNK
    N = math.ceil(T / C)
    q, k, v = (torch.unflatten(F.pad(x, (0, 0, 0, N * C - T)), 2, (N, C)) for x in (q_BHTE, k_BHTE, v_BHTE))
    inside = torch.arange(C, device=q.device, dtype=q.dtype)
    mixed = (q @ k.transpose(3, 4) * _weights(C, log_decay_H, causal)[:, None]) @ v
    # From token j of an earlier chunk m to token i of chunk n: (i + 1) + C (n - m - 1) + (C - 1 - j) tokens.
    mixed = mixed + _from_chunks(q, k, v, inside + 1, C - 1 - inside, log_decay_H, later=False)
    if not causal:  # from a later chunk: (C - i) + C (m - n - 1) + j tokens
        mixed = mixed + _from_chunks(q, k, v, C - inside, inside, log_decay_H, later=True)
    return mixed.flatten(2, 3)[:, :, :T]


def _from_chunks(
    q_BHNCE: Tensor,
    k_BHNCE: Tensor,
    v_BHNCE: Tensor,
    before_C: Tensor,
    after_C: Tensor,
    log_decay_H: Tensor,
    *,
    later: bool,
) -> Tensor:
    """What reaches each query from earlier (or later) chunks.

    `before_C` is how far a query lies from the edge of its chunk, `after_C` how far a key from the edge of its own.
    """
    N, C, E = q_BHNCE.shape[2:]
    sums_BHNEE = (k_BHNCE * _powers(after_C, log_decay_H)).transpose(3, 4) @ v_BHNCE
    chunk = torch.arange(N, device=q_BHNCE.device, dtype=q_BHNCE.dtype)
    between = (chunk[:, None] - chunk if not later else chunk - chunk[:, None]) - 1
    carried_HNN = torch.where(between >= 0, (C * between.clamp(min=0) * log_decay_H[:, None, None]).exp(), 0.0)
    states = torch.unflatten(carried_HNN @ sums_BHNEE.flatten(3), 3, (E, E))
    return (q_BHNCE * _powers(before_C, log_decay_H)) @ states


def _powers(exponent_C: Tensor, log_decay_H: Tensor) -> Tensor:
    """decay^exponent, to multiply (B, H, N, C, E) with: (H, 1, C, 1)."""
    return (exponent_C * log_decay_H[:, None]).exp()[:, None, :, None]


def _weights(tokens: int, log_decay_H: Tensor, causal: bool) -> Tensor:
    """decay^|i - j| where query i may look at key j, else 0.  Returns (H, T, T)."""
    token = torch.arange(tokens, device=log_decay_H.device, dtype=log_decay_H.dtype)
    distance = token[:, None] - token
    powers = (distance.abs() * log_decay_H[:, None, None]).exp()
    return torch.where(distance >= 0, powers, 0.0) if causal else powers
