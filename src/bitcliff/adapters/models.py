"""Names of models, and the function that each kind of name goes to."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from bitcliff.adapters.efficientnet import load_efficientnet
from bitcliff.adapters.huggingface_models import load_huggingface
from bitcliff.adapters.onnx.subject import is_onnx, load_onnx
from bitcliff.adapters.python_models import load_python
from bitcliff.adapters.python_tasks import is_own_task, load_task
from bitcliff.adapters.timm_models import load_timm
from bitcliff.adapters.torchvision_models import load_torchvision
from bitcliff.adapters.weights import Weights, read_weights
from bitcliff.adapters.zoo_models import load_shipped, load_zoo
from bitcliff.errors import InputError, nearest
from bitcliff.points.find_task import judge_by
from bitcliff.points.outputs import give_only
from bitcliff.types.options import ModelOptions
from bitcliff.types.subject import Subject
from bitcliff.zoo.shipped import SHIPPED

Loader = Callable[[str, Weights | None, ModelOptions], Subject]

BUILT_IN: dict[str, Loader] = {
    "efficientnet-lite0": load_efficientnet,
    **dict.fromkeys(SHIPPED, load_shipped),
}

PREFIXES: dict[str, Loader] = {
    "timm": load_timm,
    "torchvision": load_torchvision,
    "hf": load_huggingface,
    "py": load_python,
    "zoo": load_zoo,
}

_ACCEPTED = (
    f"{', '.join(BUILT_IN)}, timm:NAME, torchvision:NAME, hf:DIR, "
    "py:package.module:factory, zoo:NAME or FILE.onnx"
)
_DEFAULTS = ModelOptions()
_FILES = (".safetensors", ".pt", ".pth", ".bin", ".pt2")


def load_model(
    spec: str, *, weights: Path | None = None, options: ModelOptions = _DEFAULTS
) -> Subject:
    """Loads the model that a name stands for, in eval mode and frozen.

    Args:
        spec: "efficientnet-lite0", "timm:NAME", "torchvision:NAME", "hf:DIR" (a local folder),
            "py:package.module:factory" (runs that code) or "FILE.onnx".
        weights: a state dict to load strictly (.safetensors, .pt, .pth, .bin); None: the model's
            own, which for timm and torchvision may have to be fetched.
        options: what to override of the model's own configuration.

    Raises:
        InputError: one line that names what is wrong and what would be right.
        MissingExtra: the library it comes from is not installed.
    """
    check_model_name(spec)
    # A wrong one is refused before anything is loaded.
    task = None if options.task is None else load_task(options.task)
    prefix, _, name = spec.partition(":")
    if prefix in PREFIXES and name:
        loader = PREFIXES[prefix]
    else:
        loader, name = BUILT_IN.get(spec, load_onnx), spec
    subject = loader(name, None if weights is None else read_weights(weights), options)
    if options.output is not None and loader is not load_onnx:  # which has chosen already
        give_only(subject.module, options.output)
    if task is not None:
        judge_by(subject.module, task)
    return replace(subject, runs_user_code=True) if is_own_task(options.task) else subject


def check_model_name(spec: str) -> None:
    """InputError unless the name is of a known kind; nothing is loaded."""
    prefix, _, name = spec.partition(":")
    if spec not in BUILT_IN and not (prefix in PREFIXES and name) and not is_onnx(spec):
        raise InputError(_unknown(spec))


def _unknown(spec: str) -> str:
    suffix = Path(spec).suffix.lower()
    if suffix in _FILES:
        return f"MODEL {spec}: weights do not name their model; give MODEL --weights {spec}"
    if spec in PREFIXES or spec.removesuffix(":") in PREFIXES:
        return f"MODEL {spec}: the name after the colon is missing; give {_ACCEPTED}"
    return f"MODEL {spec}: not known{nearest(spec, BUILT_IN)}; give {_ACCEPTED}"
