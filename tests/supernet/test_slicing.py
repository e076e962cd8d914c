"""Regions are disjoint and fill the subnet's tensor; gathering and scattering are adjoint."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from supernet import Centred, Leading, Packed, PackedAxes, slicing
from supernet.errors import LayoutError, ShapeTooLarge
from supernet.slicing import Layout, Layouts, Shape

Case = tuple[Layout, Shape, Shape]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """A layout, a shared shape and a shape that fits in it."""
    pairs = draw(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), min_size=1, max_size=4))  # (subnet, excess)
    subnet = [small for small, _ in pairs]
    shared = [small + excess for small, excess in pairs]
    kind = draw(st.sampled_from(["leading", "packed", "grid", "centred"]))
    if kind == "packed":
        axis, parts = draw(st.integers(-len(pairs), len(pairs) - 1)), draw(st.integers(2, 4))
        subnet[axis] *= parts
        shared[axis] *= parts
        return Packed(parts, axis), tuple(shared), tuple(subnet)
    if kind == "grid":
        parts_by_axis = draw(st.dictionaries(st.integers(0, len(pairs) - 1), st.integers(2, 3), min_size=1))
        for axis, parts in parts_by_axis.items():
            subnet[axis] *= parts
            shared[axis] *= parts
        packed = tuple(Packed(parts, axis) for axis, parts in parts_by_axis.items())
        return PackedAxes(packed), tuple(shared), tuple(subnet)
    if kind == "centred":
        first = draw(st.integers(0, len(pairs)))
        for axis in range(first, len(pairs)):
            shared[axis] = subnet[axis] + 2 * pairs[axis][1]
        return Centred(first), tuple(shared), tuple(subnet)
    return Leading(), tuple(shared), tuple(subnet)


@given(cases())
def test_regions_are_disjoint_fill_the_subnet_and_agree_in_shape(case: Case) -> None:
    layout, shared, subnet = case
    inside, outside = torch.zeros(subnet, dtype=torch.int), torch.zeros(shared, dtype=torch.int)
    for region in layout.regions(shared, subnet):
        assert outside[region.shared].shape == inside[region.subnet].shape
        inside[region.subnet] += 1
        outside[region.shared] += 1
    assert (inside == 1).all()
    assert (outside <= 1).all()


@given(cases())
def test_gathering_and_scattering_are_adjoint(case: Case) -> None:
    layout, shared_shape, subnet_shape = case
    regions = layout.regions(shared_shape, subnet_shape)
    # Small whole numbers: both inner products are exact.
    generator = torch.Generator().manual_seed(0)
    shared = torch.randint(-9, 9, shared_shape, generator=generator).float()
    values = torch.randint(-9, 9, subnet_shape, generator=generator).float()
    scattered = torch.zeros(shared_shape)
    slicing.scatter_add(scattered, regions, values)
    gathered = slicing.gather(shared, regions, torch.empty(subnet_shape))
    assert (gathered * values).sum() == (shared * scattered).sum()


@given(cases())
def test_what_was_scattered_is_gathered_again_and_recognised(case: Case) -> None:
    layout, shared_shape, subnet_shape = case
    regions = layout.regions(shared_shape, subnet_shape)
    values = torch.arange(torch.Size(subnet_shape).numel()).float().reshape(subnet_shape)
    shared = torch.full(shared_shape, -1.0)
    slicing.scatter_copy(shared, regions, values)
    assert (shared != -1).sum() == values.numel()
    assert torch.equal(slicing.gather(shared, regions, torch.empty(subnet_shape)), values)
    assert slicing.same(shared, regions, values)
    if values.numel():
        assert not slicing.same(shared, regions, values + 1)
    if slicing.is_view(regions):
        assert torch.equal(slicing.view(shared, regions), values)


def test_leading_takes_the_first_rows_and_columns() -> None:
    shared = torch.arange(12).reshape(3, 4)
    assert slicing.view(shared, Leading().regions((3, 4), (2, 3))).tolist() == [[0, 1, 2], [4, 5, 6]]


def test_packed_takes_the_start_of_each_block() -> None:
    regions = Packed(3).regions((6,), (3,))
    assert slicing.gather(torch.arange(6), regions, torch.empty(3).long()).tolist() == [0, 2, 4]
    regions = Packed(2, axis=-1).regions((2, 4), (1, 2))
    assert slicing.gather(torch.arange(8).reshape(2, 4), regions, torch.empty(1, 2).long()).tolist() == [[0, 2]]


def test_packed_with_whole_blocks_is_a_view() -> None:
    assert slicing.is_view(Packed(3).regions((6, 4), (6, 2)))
    assert not slicing.is_view(Packed(3).regions((6, 4), (3, 4)))


def test_packed_axes_take_the_start_of_each_block_of_the_grid() -> None:
    regions = PackedAxes((Packed(2), Packed(3, axis=1))).regions((4, 6), (2, 3))
    taken = slicing.gather(torch.arange(24).reshape(4, 6), regions, torch.empty(2, 3).long())
    assert taken.tolist() == [[0, 2, 4], [12, 14, 16]]
    whole_rows = PackedAxes((Packed(2), Packed(3, axis=-1))).regions((4, 6), (4, 3))
    assert len(whole_rows) == 3  # where one axis is whole, its blocks need no telling apart
    assert slicing.is_view(PackedAxes((Packed(2), Packed(3, axis=1))).regions((4, 6), (4, 6)))


def test_centred_takes_the_middle_of_the_kernel_and_the_first_channels() -> None:
    shared = torch.arange(2 * 5).reshape(2, 1, 5)
    assert slicing.view(shared, Centred().regions((2, 1, 5), (1, 1, 3))).tolist() == [[[1, 2, 3]]]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Packed(1), "at least 2 parts, got 1"),
        (lambda: Centred(-1), "first_axis=-1"),
        (lambda: PackedAxes(()), "needs a tuple of Packed"),
        (lambda: PackedAxes(Packed(3)), "needs a tuple of Packed"),  # type: ignore[arg-type]
        (lambda: PackedAxes((Packed(2), Packed(2, axis=-2))).regions((4, 4), (2, 2)), "packs axis 0 twice"),
        (lambda: PackedAxes((Packed(3), Packed(2, axis=1))).regions((6, 5), (3, 4)), "axis 1 of the shared tensor"),
        (lambda: Packed(3).regions((7,), (3,)), "axis 0 of the shared tensor, which is 7 long"),
        (lambda: Packed(3).regions((6,), (4,)), "axis 0 of the subnet tensor, which is 4 long"),
        (lambda: Packed(3, axis=1).regions((6,), (3,)), r"axis 1 does not exist in a tensor of shape \(3,\)"),
        (lambda: Centred().regions((1, 1, 5), (1, 1, 2)), r"2 elements in the middle of 5 \(axis 2\)"),
        (lambda: Layouts({"*": Centred}), "an object such as Packed"),  # the class, not an instance
        (lambda: Layouts({"*": "packed"}), "got 'packed'"),
    ],
)
def test_a_layout_that_does_not_fit_is_refused(make: object, message: str) -> None:
    with pytest.raises(LayoutError, match=message):
        make()  # type: ignore[operator]


class TestLayouts:
    def test_the_first_pattern_that_matches_wins(self) -> None:
        layouts = Layouts({"a.*": Packed(2), "*": Packed(3)})
        assert layouts.find("a.weight") == Packed(2)
        assert layouts.find("b.weight") == Packed(3)
        assert Layouts().find("a.weight") is None

    def test_a_pattern_without_a_parameter_names_the_nearest(self) -> None:
        with pytest.raises(LayoutError, match=r"'attn.in_project' matches no parameter.* attn.in_proj,"):
            Layouts({"attn.in_project": Packed(3)}).check_patterns(["attn.in_proj", "attn.out", "head"])

    def test_axes_sizes_and_reasons_are_named_with_the_parameter(self) -> None:
        with pytest.raises(LayoutError, match="w has 2 axes in one architecture and 1 in another"):
            Layouts().regions("w", (3, 3), (3,))
        with pytest.raises(ShapeTooLarge, match=r"w needs shape \(4,\), and the shared tensor has \(3,\)"):
            Layouts().regions("w", (3,), (4,))
        with pytest.raises(LayoutError, match=r"^w: Packed"):
            Layouts({"w": Packed(2)}).regions("w", (4,), (3,))

    def test_a_layout_that_leaves_a_gap_is_refused(self) -> None:
        class Half:
            def regions(self, shared: Shape, subnet: Shape) -> tuple[slicing.Region, ...]:
                del shared
                return (slicing.Region((slice(0, subnet[0] // 2),), (slice(0, subnet[0] // 2),)),)

        with pytest.raises(LayoutError, match=r"w: .*hold 2 elements, and its shape .* has 4"):
            Layouts({"w": Half()}).regions("w", (6,), (4,))


@pytest.mark.parametrize(
    ("module", "packed"),
    [
        (nn.MultiheadAttention(4, 2), {"in_proj_weight": {0: 3}, "in_proj_bias": {0: 3}}),
        (nn.MultiheadAttention(4, 2, kdim=3, vdim=3), {"in_proj_bias": {0: 3}}),
        (nn.GRUCell(2, 3, bias=False), {"weight_ih": {0: 3}, "weight_hh": {0: 3}}),
        (nn.RNN(2, 3), {}),
        (nn.Linear(2, 3), {}),
        (
            nn.Sequential(nn.LSTM(2, 4, proj_size=3, bias=False)),
            {"0.weight_ih_l0": {0: 4}, "0.weight_hh_l0": {0: 4}},
        ),
        (
            nn.RNN(2, 3, num_layers=2, bidirectional=True),
            {"weight_ih_l1": {1: 2}, "weight_ih_l1_reverse": {1: 2}},
        ),
    ],
)
def test_known_packed_modules(module: nn.Module, packed: dict[str, dict[int, int]]) -> None:
    assert slicing.packed_axes(module) == packed


def test_the_second_layer_of_a_bidirectional_lstm_is_packed_twice() -> None:
    found = slicing.packed_axes(nn.LSTM(2, 3, num_layers=2, bidirectional=True))
    assert found["weight_ih_l0"] == found["weight_hh_l1"] == found["bias_ih_l1"] == {0: 4}
    assert found["weight_ih_l1"] == found["weight_ih_l1_reverse"] == {0: 4, 1: 2}


def test_patterns_of_a_family_may_match_nothing_in_a_part_of_its_space() -> None:
    declared = {"*.packed": Packed(2), "*.weight": Leading()}
    assert len(Layouts(declared, unused=True).unmatched(["a.weight"])) == 1
    Layouts(declared, unused=True).check_patterns(["a.weight"])
    with pytest.raises(LayoutError, match=r"'\*\.packed' matches no parameter"):
        Layouts(declared).check_patterns(["a.weight"])
