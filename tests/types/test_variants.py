import pytest

from bitcliff.types.presets import PRESETS, Format, preset
from bitcliff.types.variants import Variant, variants_of


def by_family(name: str) -> dict[str, list[Variant]]:
    found: dict[str, list[Variant]] = {}
    for variant in variants_of(preset(name)):
        found.setdefault(variant.family, []).append(variant)
    return found


def parts(shipped: Format) -> set[tuple[str, str, object]]:
    """Every setting of all parts."""
    return {
        (half, key, value)
        for half in ("activations", "weights", "cache")
        if (one := getattr(shipped, half)) is not None
        for key, value in one.model_dump().items()
    }


@pytest.mark.parametrize("name", PRESETS)
def test_each_changes_one_respect_and_can_be_written_down(name: str) -> None:
    allowed = {
        "rule": {"scale", "divisor"},
        "zero-point": {"element", "scale", "divisor", "order", "zero_point"},
        "groups": {"group", "block"},
        "wider": {"element", "divisor"},
        "smoothed": set[str](),
        "rotated": set[str](),
    }
    variants = variants_of(preset(name))
    assert variants
    assert len({variant.words for variant in variants}) == len(variants)
    for variant in variants:
        changed = {key for _, key, _ in parts(variant.format) ^ parts(preset(name))}
        assert changed <= allowed[variant.family], variant
        assert bool(changed) == (variant.family not in ("smoothed", "rotated"))
        assert variant.format.everywhere == preset(name).everywhere
        assert Variant.model_validate_json(variant.model_dump_json()) == variant


def test_scale_rules_are_all_the_others_on_both_operands() -> None:
    rules = by_family("mxfp4-rceil")["rule"]
    found = [(v.format.activations, v.format.weights) for v in rules]
    assert [(a and a.scale, w and w.scale) for a, w in found] == [
        ("floor", "floor"),
        ("even", "even"),
        ("ceil", "ceil"),
    ]


def test_a_zero_point_comes_and_goes_and_the_grid_is_as_fine() -> None:
    [there] = by_family("vllm-int8-token")["zero-point"]
    activations = there.format.activations
    assert activations is not None
    assert (activations.scale, activations.element, activations.levels) == (
        "minmax-zero",
        "int8",
        (-128, 127),
    )
    [gone] = by_family("ort-uint8")["zero-point"]
    activations = gone.format.activations
    assert activations is not None
    assert (activations.scale, activations.element) == ("amax", "int8")
    assert activations.divisor == 127.0


@pytest.mark.parametrize(
    ("name", "groups"),
    [
        ("nvfp4", [("block", 8), ("block", 8)]),
        ("mxfp8-floor", [("block", 16), ("block", 16)]),
        ("vllm-int8-token", [("block", 32), ("block", 32)]),
        ("torchao-fp8-tensor", [("token", 0), ("token", 0)]),
        # A convolution's weights have one scale, and its inputs no tokens.
        ("ort-uint8", [("example", 0), ("batch", 0)]),
    ],
)
def test_groups_become_smaller(name: str, groups: list[tuple[str, int]]) -> None:
    [variant] = by_family(name)["groups"]
    found = (variant.format.activations, variant.format.weights)
    assert [(one.group, one.block) for one in found if one is not None] == groups


def test_a_wider_element_fills_its_own_range() -> None:
    [variant] = by_family("torchao-8da4w")["wider"]
    weights = variant.format.weights
    assert weights is not None
    # 7.5 of a greatest integer of 7 is 136.07 of 127: as far beyond the grid's end.
    assert weights.element == "int8"
    assert weights.divisor == pytest.approx(7.5 / 7 * 127)
    [variant] = by_family("nvfp4-one-level")["wider"]
    assert variant.format.weights is not None
    assert variant.format.weights.element == "e2m3"
    assert variant.format.weights.divisor == 7.5
