"""Which K head and which V head a query head reads, and how many tokens it sees: the plan of grouped attention.

Owns two rules that hold whatever the number of heads, so that a head keeps its meaning when others are sliced off:

- query head i reads K head i mod (K heads), and V head i mod (V heads);
- query head i sees `spans[i mod 2]` tokens where there are two spans (spans that differ between heads: MoA,
  Fu et al. 2024; here with two groups of heads).

Only a query head whose K or V head is itself sliced off reads another one.
"""

from __future__ import annotations

from dataclasses import dataclass

Span = int | None  # tokens that a head sees, its own included; None is all


@dataclass(frozen=True, kw_only=True)
class HeadGroup:
    """Query heads of one span.  The m-th of them reads K head `key[m % len(key)]`, and V heads likewise."""

    span: Span
    query: tuple[int, ...]
    key: tuple[int, ...]
    value: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class HeadPlan:
    """How many heads there are of each kind.  Raises `ValueError` where heads do not divide or a span is too short."""

    heads: int
    key_heads: int
    value_heads: int
    spans: tuple[Span, ...] = (None,)

    def __post_init__(self) -> None:
        for kind, count in (("K", self.key_heads), ("V", self.value_heads)):
            if count < 1 or self.heads % count:
                raise ValueError(f"{count} {kind} heads do not divide {self.heads} query heads; use a divisor.")
        if len(self.spans) not in (1, 2):
            raise ValueError(f"a layer has one span, or one for even and one for odd heads; got {self.spans}.")
        for span in self.spans:
            if span is not None and span < 2:
                raise ValueError(
                    f"a span of {span} tokens leaves nothing to attend to; use 2 or more, or None for all."
                )

    def span(self, head: int) -> Span:
        """Of a query head."""
        return self.spans[head % len(self.spans)]

    @property
    def groups(self) -> tuple[HeadGroup, ...]:
        """The query heads by span; a single group where all see equally far."""
        found = []
        for span in dict.fromkeys(self.span(head) for head in range(self.heads)):
            query = tuple(head for head in range(self.heads) if self.span(head) == span)
            key, value = (_shortest_period([i % n for i in query]) for n in (self.key_heads, self.value_heads))
            found.append(HeadGroup(span=span, query=query, key=key, value=value))
        return tuple(found)

    def kept(self, heads: int) -> dict[Span, tuple[int, ...]]:
        """For `heads` K or V heads, which of them must remember how many tokens: as many as any reader sees.

        With two spans, heads of one group are remembered alike: an even number of heads, or one for each query head,
        serves one span each; an odd number serves both.
        """
        kept: dict[Span, tuple[int, ...]] = {}
        for head in range(heads):
            readers = {self.span(i) for i in range(head, self.heads, heads)}
            longest = None if None in readers else max(span for span in readers if span is not None)
            kept[longest] = (*kept.get(longest, ()), head)
        return kept


def _shortest_period(heads: list[int]) -> tuple[int, ...]:
    length = len(heads)
    return next(
        tuple(heads[:period])
        for period in range(1, length + 1)
        if length % period == 0 and heads == heads[:period] * (length // period)
    )
