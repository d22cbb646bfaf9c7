import pytest

from bitcliff.adapters import ModelOptions
from bitcliff.adapters.preprocessing import Squashed, in_words, override
from bitcliff.errors import InputError
from bitcliff.types.subject import Preprocessing

BASE = Squashed(size=(224, 224), crop=0.9, source="the library")


def test_nothing_given_changes_nothing() -> None:
    assert override(BASE, ModelOptions(num_classes=5)) is BASE
    assert override(None, ModelOptions()) is None


def test_what_is_given_replaces_only_that_and_is_reported() -> None:
    got = override(BASE, ModelOptions(crop=1.0, mean=(0.5,)))
    assert isinstance(got, Squashed)
    assert (got.size, got.crop, got.mean, got.std) == ((224, 224), 1.0, (0.5,) * 3, BASE.std)
    assert got.source == "the library, with --mean, --crop from the options"


def test_without_a_configuration_defaults_fill_the_rest() -> None:
    got = override(None, ModelOptions(image_size=32))
    assert got is not None
    assert (got.channels, got.scale, got.mean, got.std) == (3, 1 / 255, (0.0,) * 3, (1.0,) * 3)


def test_channels_must_match() -> None:
    grey = Preprocessing(size=(8, 8), channels=1, mean=(0.0,), std=(1.0,))
    with pytest.raises(InputError, match=r"--mean: 3 numbers for images of 1 channel"):
        override(grey, ModelOptions(mean=(0.1, 0.2, 0.3)))


def test_the_words_name_every_step() -> None:
    assert in_words(Preprocessing(size=(16, 16), crop=0.8, interpolation="bicubic")) == (
        "RGB; short side resized to 20 px (bicubic); centre crop 16 x 16; "
        "(pixel * 0.00392157 - [0, 0, 0]) / [1, 1, 1]; from default"
    )
    assert "resized to 249 x 249 px whatever its proportions" in in_words(BASE)
