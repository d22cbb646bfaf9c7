"""The last step to a `Subject`: eval mode, frozen, finite, hashed."""

from collections.abc import Mapping

from torch import nn

from bitcliff.adapters.weights import Weights, refuse_non_finite
from bitcliff.errors import InputError
from bitcliff.points.baseline import check_baseline
from bitcliff.types.subject import (
    Hearing,
    NamedInput,
    Preprocessing,
    Subject,
    Tokenizer,
    tensors_sha256,
)


def make_subject(
    name: str,
    module: nn.Module,
    preprocessing: Preprocessing | None,
    weights: Weights | None,
    *,
    class_names: tuple[str, ...] | None = None,
    runs_user_code: bool = False,
    tokenizer: Tokenizer | None = None,
    hearing: Hearing | None = None,
    named_inputs: Mapping[str, NamedInput] | None = None,
    input_shape: tuple[int | None, ...] | None = None,
    weights_sha256: str | None = None,
    output: str | None = None,
    other_outputs: tuple[str, ...] = (),
    unnormalised: Preprocessing | None = None,
) -> Subject:
    """Freezes the module and puts it in eval mode.

    Args:
        weights: the file they came from; None: the state dict itself is hashed.
        weights_sha256: of the file, where `weights` is not it.
        output, other_outputs: as in `Subject`, where they are known already.

    Raises:
        InputError: a parameter is NaN or infinite; it is quantized already, or float16.
    """
    try:
        check_baseline(module)
    except InputError as error:
        raise InputError(f"{name}: {error}") from error
    module.eval()
    for parameter in module.parameters():  # TorchScript has no requires_grad_ of a whole module
        parameter.requires_grad_(False)
    if weights is None:
        refuse_non_finite(dict(module.named_parameters()), name)
    digest = weights_sha256 or (weights.sha256 if weights else tensors_sha256(module.state_dict()))
    return Subject(
        name=name,
        module=module,
        preprocessing=preprocessing,
        class_names=class_names,
        weights_sha256=digest,
        runs_user_code=runs_user_code,
        tokenizer=tokenizer,
        hearing=hearing,
        named_inputs=named_inputs,
        input_shape=input_shape,
        output=output,
        other_outputs=other_outputs,
        unnormalised=unnormalised,
    )
