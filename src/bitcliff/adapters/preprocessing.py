"""How an image becomes a model's input: what the model declares, and what the user overrides."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from bitcliff.errors import InputError
from bitcliff.types.options import ModelOptions
from bitcliff.types.subject import Preprocessing

IMAGE_OPTIONS = ("image_size", "channels", "mean", "std", "crop", "interpolation")
"""Fields of `ModelOptions` that say how images become inputs."""


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
        InputError: --mean and the like without an image size; another number of channels.
    """
    given = [name for name in IMAGE_OPTIONS if getattr(options, name) is not None]
    if not given:
        return base
    if base is None:
        base = _blank(options)
    if options.channels and (options.channels == "grey") != (base.channels == 1):
        raise InputError(
            f"--channels {options.channels}: the model takes images of {base.channels} channel(s)"
        )
    changed = replace(
        base,
        size=options.size or base.size,
        mean=_per_channel("--mean", options.mean, base.mean, base.channels),
        std=_per_channel("--std", options.std, base.std, base.channels),
        crop=options.crop or base.crop,
        interpolation=options.interpolation or base.interpolation,
        bgr=options.channels == "bgr" if options.channels else base.bgr,
    )
    flags = ", ".join("--" + name.replace("_", "-") for name in given)
    return replace(changed, source=f"{base.source}, with {flags} from the options")


def _blank(options: ModelOptions) -> Preprocessing:
    if options.size is None:
        raise InputError(
            "--channels, --mean, --std, --crop and --interpolation need --image-size with a model "
            "that says nothing about images"
        )
    channels = 1 if options.channels == "grey" else 3
    return plain(options.size, channels, "defaults (pixels / 255)")


def plain(
    size: tuple[int, int], channels: int, source: str, channels_last: bool = False
) -> Preprocessing:
    """Pixels / 255. Where the input is not square, nothing of an image is cropped away."""
    kind = Preprocessing if size[0] == size[1] else Squashed
    return kind(
        size=size,
        channels=channels,
        mean=(0.0,) * channels,
        std=(1.0,) * channels,
        source=source,
        channels_last=channels_last,
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
        f"{_order(p)}; {resize} ({p.interpolation}); centre crop "
        f"{height} x {width}; (pixel * {p.scale:g} - [{mean}]) / [{std}]; from {p.source}"
    )


def input_in_words(p: Preprocessing) -> str:
    """What a model takes: size, channels and where they lie."""
    height, width = p.size
    return f"{height} x {width}, {_order(p)}"


def _order(p: Preprocessing) -> str:
    order = "grey" if p.channels == 1 else "BGR" if p.bgr else "RGB"
    return f"{order}, channels last" if p.channels_last else order
