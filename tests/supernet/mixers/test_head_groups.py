"""The plan of grouped attention: which heads a query head reads, and what must be remembered."""

from __future__ import annotations

import itertools

import pytest

from supernet.mixers.head_groups import HeadPlan

COUNTS = [(h, k, v) for h in range(1, 9) for k in range(1, h + 1) for v in range(1, h + 1) if h % k == 0 and h % v == 0]
SPANS = [(None,), (3,), (3, None), (None, 3), (5, 3), (3, 3)]


def plans() -> list[HeadPlan]:
    return [HeadPlan(heads=h, key_heads=k, value_heads=v, spans=s) for (h, k, v), s in itertools.product(COUNTS, SPANS)]


def test_a_query_head_reads_the_head_of_its_number_modulo_theirs_and_sees_its_group_s_span() -> None:
    for plan in plans():
        found = {}
        for group in plan.groups:
            for m, head in enumerate(group.query):
                found[head] = (group.key[m % len(group.key)], group.value[m % len(group.value)], group.span)
        assert found == {
            i: (i % plan.key_heads, i % plan.value_heads, plan.spans[i % len(plan.spans)]) for i in range(plan.heads)
        }


def test_a_head_is_remembered_as_long_as_its_farthest_reader_sees() -> None:
    far = 99
    for plan in plans():
        for count in (plan.key_heads, plan.value_heads):
            kept = {head: span for span, heads in plan.kept(count).items() for head in heads}
            assert sorted(kept) == list(range(count))
            for head, span in kept.items():
                readers = [plan.span(i) or far for i in range(plan.heads) if i % count == head]
                assert (span or far) == max(readers)


def test_the_heads_that_a_group_reads_are_remembered_together() -> None:
    for plan in plans():
        for group in plan.groups:
            assert any(set(group.key) <= set(heads) for heads in plan.kept(plan.key_heads).values())
            assert any(set(group.value) <= set(heads) for heads in plan.kept(plan.value_heads).values())


def test_fewer_query_heads_change_nothing_for_those_that_stay() -> None:
    for spans in SPANS:
        many, few = (HeadPlan(heads=h, key_heads=2, value_heads=1, spans=spans) for h in (8, 4))
        for head in range(4):
            assert many.span(head) == few.span(head)
    # The K head is the number modulo the K heads, whatever the number of query heads: tested above for all plans.


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"key_heads": 3}, "3 K heads do not divide 4 query heads"),
        ({"value_heads": 3}, "3 V heads do not divide 4 query heads"),
        ({"key_heads": 8}, "8 K heads do not divide 4"),
        ({"value_heads": 0}, "0 V heads do not divide 4"),
        ({"spans": (1,)}, "a span of 1 tokens leaves nothing"),
        ({"spans": (4, 0)}, "a span of 0 tokens leaves nothing"),
        ({"spans": ()}, "a layer has one span, or one for even and one for odd heads"),
        ({"spans": (4, 5, 6)}, r"got \(4, 5, 6\)"),
    ],
)
def test_what_cannot_be_planned_is_refused(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        HeadPlan(**{"heads": 4, "key_heads": 2, "value_heads": 2, **options})
