"""Full attention against its slow definition."""

from __future__ import annotations

import pytest

from supernet.mixers import reference
from supernet.mixers.softmax import SoftmaxAttention
from tests.supernet.mixers.compare import assert_same_function


@pytest.mark.parametrize(
    ("width", "heads", "head_width", "tokens"), [(8, 2, 4, 9), (7, 3, 5, 11), (5, 1, 3, 1), (3, 4, 1, 2)]
)
def test_it_is_softmax_of_scaled_products(width: int, heads: int, head_width: int, tokens: int) -> None:
    module = SoftmaxAttention(width, heads=heads, head_width=head_width)
    assert_same_function(module, reference.softmax_attention, (3, tokens, width))


def test_the_heads_of_fewer_are_the_leading_rows_of_more() -> None:
    large, small = (SoftmaxAttention(6, heads=heads, head_width=5) for heads in (3, 2))
    for name, parameter in small.named_parameters():
        assert all(n <= m for n, m in zip(parameter.shape, large.get_parameter(name).shape, strict=True))
    assert small.query.weight.shape == (10, 6)
    assert small.output.weight.shape == (6, 10)
