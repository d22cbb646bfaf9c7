"""Images for the input that a file declares."""

from bitcliff.adapters.preprocessing import override, plain
from bitcliff.errors import InputError
from bitcliff.types.options import ModelOptions
from bitcliff.types.subject import Preprocessing

Shape = tuple[int | None, ...]
"""As a file declares it, batch first; None for a size that it leaves open."""

_CHANNELS = (1, 3)


def image_preprocessing(
    shape: Shape | None, options: ModelOptions, name: str
) -> tuple[Preprocessing | None, Preprocessing | None]:
    """Images of the layout and size that the file at `name` declares, and pixels / 255.

    Args:
        shape: of its one input; None where there are others, or none of floats.

    Returns:
        What a subject knows of them, and what it would know but for the normalisation, which the
        options must give. None where the file declares no images and the options don't either.

    Raises:
        InputError: another size or number of channels is asked for than is declared.
    """
    found = _declared(shape or (), options, name)
    if found is None:
        return override(None, options), None
    whole = override(found, options)
    normalised = options.mean is not None or options.std is not None
    return (whole, None) if normalised else (None, whole)


def _declared(shape: Shape, options: ModelOptions, name: str) -> Preprocessing | None:
    layout = _layout(shape)
    if layout is None:
        return None
    channels, declared, last = layout
    size = _size(declared, options, name)
    if size is None:
        return None
    channels = channels or (1 if options.channels == "grey" else 3)
    source = f"the input that {name} declares (pixels / 255)"
    return plain(size, channels, source, last)


def _layout(shape: Shape) -> tuple[int | None, tuple[int | None, int | None], bool] | None:
    """Channels, height and width, and whether channels come last.

    They do where only the last dimension can be channels.
    """
    if len(shape) != 4:
        return None
    _, second, third, fourth = shape
    if fourth in _CHANNELS and second not in _CHANNELS:
        return fourth, (second, third), True
    return (second, (third, fourth), False) if second in (None, *_CHANNELS) else None


def _size(
    declared: tuple[int | None, int | None], options: ModelOptions, name: str
) -> tuple[int, int] | None:
    asked = options.size or declared
    if any(own not in (None, side) for own, side in zip(declared, asked, strict=True)):
        sides = " x ".join("any" if side is None else str(side) for side in declared)
        raise InputError(f"{name}: takes images of {sides}; leave --image-size out")
    height, width = asked
    return None if height is None or width is None else (height, width)
