"""Names of the 1000 ImageNet classes, from packages that are installed anyway."""

from bitcliff.adapters.optional import package_folder, require
from bitcliff.errors import InputError


def imagenet_names() -> tuple[str, ...]:
    """The 1000 class names in output order, from torchvision's table.

    Raises:
        MissingExtra: torchvision is not installed.
    """
    models = require("torchvision.models", "vision", "the ImageNet class names")
    return tuple(models.ResNet18_Weights.DEFAULT.meta["categories"])


def imagenet_wordnet_ids() -> tuple[str, ...] | None:
    """The 1000 WordNet ids ("n01440764") in output order, from timm's table, or None without it."""
    try:
        folder = package_folder("timm", "vision", "the WordNet ids of ImageNet")
        text = (folder / "data" / "_info" / "imagenet_synsets.txt").read_text("utf-8")
    except (InputError, OSError, UnicodeDecodeError):
        return None
    ids = tuple(text.split())
    return ids if len(ids) == 1000 else None
