"""How an image becomes a model's input: what the model declares, and what the user overrides."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from bitcliff.errors import InputError
from bitcliff.types.options import ModelOptions
from bitcliff.types.subject import Preprocessing


@dataclass(frozen=True)
class Squashed(Preprocessing):
    """Both sides are resized to size / crop, whatever the image's own proportions.

    timm calls it crop mode "squash"; Hugging Face writes a size with a height and a width.
    A plain `Preprocessing` resizes the short side and keeps the proportions.
    """


def override(base: Preprocessing | None, options: ModelOptions) -> Preprocessing | None:
    """`base` with the user's options in place of its own settings; `source` says which.

    Args:
        base: what the model's configuration holds, or None where it holds nothing.

    Returns:
        None where neither gives any: inputs are then taken as they are.

    Raises:
        InputError: --mean and the like without an image size; a wrong number of channels.
    """
    names = ("image_size", "mean", "std", "crop", "interpolation")
    given = [name for name in names if getattr(options, name) is not None]
    if not given:
        return base
    if base is None:
        base = _blank(options)
    changed = replace(
        base,
        size=(options.image_size, options.image_size) if options.image_size else base.size,
        mean=_per_channel("--mean", options.mean, base.mean, base.channels),
        std=_per_channel("--std", options.std, base.std, base.channels),
        crop=options.crop or base.crop,
        interpolation=options.interpolation or base.interpolation,
    )
    flags = ", ".join("--" + name.replace("_", "-") for name in given)
    return replace(changed, source=f"{base.source}, with {flags} from the options")


def _blank(options: ModelOptions) -> Preprocessing:
    if options.image_size is None:
        raise InputError(
            "--mean, --std, --crop and --interpolation need --image-size with a model that "
            "says nothing about images"
        )
    channels = len(options.mean or options.std or (0.0, 0.0, 0.0))
    return Preprocessing(
        size=(options.image_size, options.image_size),
        channels=channels,
        mean=(0.0,) * channels,
        std=(1.0,) * channels,
        source="defaults (pixels / 255)",
    )


def _per_channel(
    option: str, given: Sequence[float] | None, own: tuple[float, ...], channels: int
) -> tuple[float, ...]:
    if given is None:
        return own
    if len(given) == 1:
        return tuple(given) * channels
    if len(given) != channels:
        raise InputError(f"{option}: {len(given)} numbers for images of {channels} channel(s)")
    return tuple(given)


def in_words(p: Preprocessing) -> str:
    """The steps, for the record."""
    height, width = p.size
    resized = (round(height / p.crop), round(width / p.crop))
    if isinstance(p, Squashed):
        resize = f"resized to {resized[0]} x {resized[1]} px whatever its proportions"
    else:
        resize = f"short side resized to {min(resized)} px"
    mean, std = (", ".join(f"{v:g}" for v in values) for values in (p.mean, p.std))
    return (
        f"{'RGB' if p.channels == 3 else 'grey'}; {resize} ({p.interpolation}); centre crop "
        f"{height} x {width}; (pixel * {p.scale:g} - [{mean}]) / [{std}]; from {p.source}"
    )
