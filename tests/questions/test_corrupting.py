from dataclasses import replace

import numpy as np
import pytest
import torch

from bitcliff.adapters.corruptions import image_corruptions
from bitcliff.errors import InputError
from bitcliff.questions.corrupting import SHIFT, corrupted, normalisation_shift
from bitcliff.questions.image_scale import image_scale
from bitcliff.types.corruption import Corruption, Degree
from bitcliff.types.settings import DEGREES, CorruptionSettings
from bitcliff.types.subject import Preprocessing

EVERY = (*image_corruptions(), normalisation_shift)
NOTHING = Corruption("nothing", "", (0, 0, 0, 0, 0), lambda x, _degree, _rng: x)
NORMALISED = Preprocessing((5, 4), mean=(0.5, 0.4, 0.3), std=(0.2, 0.25, 0.3))
PIXELS = Preprocessing((5, 4), scale=1.0, mean=(127.0,) * 3, std=(128.0,) * 3)


def images() -> torch.Tensor:
    return torch.rand(6, 3, 5, 4, generator=torch.Generator().manual_seed(0))


def inputs_of(x: torch.Tensor, p: Preprocessing) -> torch.Tensor:
    mean, std = (torch.tensor(v)[:, None, None] for v in (p.mean, p.std))
    return (x * 255 * p.scale - mean) / std


@pytest.mark.parametrize("preprocessing", [NORMALISED, PIXELS])
def test_the_preprocessing_is_undone_and_done_again(preprocessing: Preprocessing) -> None:
    x = images()
    inputs = inputs_of(x, preprocessing)
    scale = image_scale(inputs, preprocessing)
    assert torch.allclose(scale.to_images(inputs), x, atol=1e-6)
    assert torch.allclose(scale.to_inputs(x), inputs, atol=1e-6)
    again = corrupted(inputs[0], scale, NOTHING, 1, 0, "a")
    assert torch.allclose(again, inputs[0], atol=1e-6)
    assert "preprocessing was undone" in scale.words


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("corruption", EVERY, ids=[one.name for one in EVERY])
def test_the_order_of_colours_and_axes_changes_no_corruption(
    corruption: Corruption, last: bool
) -> None:
    plain = inputs_of(images(), NORMALISED)
    turned = plain.flip(1).movedim(1, -1) if last else plain.flip(1)
    p = replace(
        NORMALISED,
        mean=NORMALISED.mean[::-1],
        std=NORMALISED.std[::-1],
        bgr=True,
        channels_last=last,
    )
    expected = corrupted(plain[0], image_scale(plain, NORMALISED), corruption, 3, 0, "a")
    found = corrupted(turned[0], image_scale(turned, p), corruption, 3, 0, "a")
    found = found.movedim(-1, 0) if last else found
    torch.testing.assert_close(found.flip(0), expected)


def test_data_without_a_normalisation_goes_from_its_least_to_its_greatest() -> None:
    inputs = 3 * images()[:, :1] - 7
    for preprocessing in (None, Preprocessing((5, 4), channels=1, mean=(0.5,), std=(0.2,))):
        scale = image_scale(inputs, preprocessing)
        found = scale.to_images(inputs)
        assert (float(found.min()), float(found.max())) == pytest.approx((0.0, 1.0), abs=1e-6)
        assert torch.allclose(scale.to_inputs(found), inputs, atol=1e-5)
        assert "without a normalisation" in scale.words


@pytest.mark.parametrize("degree", DEGREES)
def test_the_shift_is_normalisation_with_other_statistics(degree: int) -> None:
    x, a = images().double(), SHIFT[degree - 1]
    p = NORMALISED
    inputs = inputs_of(x, p)
    found = corrupted(inputs[0], image_scale(inputs, p), normalisation_shift, degree, 3, "a")
    for channel in range(3):
        ways = [
            (x[0, channel] - (p.mean[channel] + up * a * p.std[channel]))
            / (p.std[channel] * (1 + a) ** wide)
            for up in (-1, 1)
            for wide in (-1, 1)
        ]
        assert sum(torch.allclose(found[channel], way, atol=1e-6) for way in ways) == 1


def test_the_shift_of_bare_data_is_by_its_own_statistics() -> None:
    inputs = 3 * images().double() + 5
    found = corrupted(inputs[0], image_scale(inputs, None), normalisation_shift, 5, 0, "a")
    for channel in range(3):
        mean, std = inputs[:, channel].mean(), inputs[:, channel].std()
        ways = [
            (inputs[0, channel] - mean - up * 0.5 * std) / 1.5**wide + mean
            for up in (-1, 1)
            for wide in (-1, 1)
        ]
        assert sum(torch.allclose(found[channel], way, atol=1e-6) for way in ways) == 1


def test_chance_hangs_on_seed_corruption_and_name_and_not_on_degree() -> None:
    drawn: list[float] = []

    def draw(x: torch.Tensor, _degree: Degree, rng: np.random.Generator) -> torch.Tensor:
        drawn.append(float(rng.random()))
        return x

    x = images()
    scale = image_scale(x, None)

    def chance(kind: str, degree: int, seed: int, name: str) -> float:
        corrupted(x[0], scale, Corruption(kind, "", (), draw), degree, seed, name)
        return drawn[-1]

    first = chance("one", 1, 0, "a")
    assert [chance("one", degree, 0, "a") for degree in DEGREES] == [first] * 5
    others = [
        chance("two", 1, 0, "a"),
        chance("one", 1, 1, "a"),
        chance("one", 1, 0, "b"),
        chance("one", 1, 0, "\ud800"),
    ]
    assert len({first, *others}) == 5


def test_what_leaves_the_range_is_cut_off() -> None:
    x = images()
    double = Corruption("double", "", (), lambda image, _degree, _rng: 2 * image)
    scale = image_scale(inputs_of(x, NORMALISED), NORMALISED)
    found = scale.to_images(corrupted(inputs_of(x, NORMALISED)[0], scale, double, 1, 0, "a"))
    assert torch.allclose(found, (2 * x[0]).clamp(0, 1), atol=1e-6)


@pytest.mark.parametrize(
    ("inputs", "why"),
    [
        ({"a": torch.zeros(2, 3)}, "several named tensors"),
        (torch.zeros(2, 8), "an example is 8"),
        (torch.zeros(2, 2, 4, 4), "an example is 2 x 4 x 4"),
        (torch.zeros(2, 1, 4, 4, dtype=torch.int64), "an example is 1 x 4 x 4"),
        (torch.full((2, 1, 4, 4), 3.0), "all values of the inputs are 3"),
    ],
)
def test_what_is_not_images_is_refused(inputs: torch.Tensor, why: str) -> None:
    with pytest.raises(InputError, match=why):
        image_scale(inputs, None)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"degrees": (0, 1)}, "--degrees 0,1: degrees go from 1 to 5, such as 1:5 or 1,3,5"),
        ({"degrees": (6,)}, "--degrees 6: degrees go from 1 to 5, such as 1:5 or 1,3,5"),
        ({"degrees": ()}, "--degrees none: degrees go from 1 to 5, such as 1:5 or 1,3,5"),
        ({"degrees": (3, 1)}, "--degrees 3,1: must increase without repeats, such as 1,3,5"),
        ({"degrees": (1, 1)}, "--degrees 1,1: must increase without repeats, such as 1,3,5"),
        ({"seeds": 0}, "--corruption-seeds must be 1 or more, not 0"),
        ({"examples": 0}, "--corruption-examples must be 1 or more, not 0"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(InputError) as error:
        CorruptionSettings(**settings)  # type: ignore[arg-type]
    assert str(error.value) == message
