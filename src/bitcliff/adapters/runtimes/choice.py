"""A runtime as the command line names it, such as `ort-dynamic:weights=uint8,reduce_range`."""

from collections.abc import Collection
from typing import get_args

from pydantic import ValidationError

from bitcliff.adapters.runtimes.ort_dynamic import NAME as _WITH_OPTIONS
from bitcliff.errors import InputError, nearest
from bitcliff.types.runtime_choice import Operator, OrtOptions, RuntimeChoice

_FIELDS = OrtOptions.model_fields


def read_choice(text: str, known: Collection[str]) -> RuntimeChoice:
    """`NAME` or `ort-dynamic:OPTION,OPTION`; several operators are joined by "+".

    Args:
        known: names of runtimes.

    Raises:
        InputError: no such runtime or option, or a value that will not do.
    """
    name, colon, told = text.partition(":")
    if name not in known:
        raise InputError(
            f"--runtime {text}: not known{nearest(name, known)}; give {', '.join(known)}"
        )
    if not colon:
        return RuntimeChoice(name, OrtOptions() if name == _WITH_OPTIONS else None)
    if name != _WITH_OPTIONS:
        raise InputError(f"--runtime {text}: {name} has no options; give {name} alone")
    fields: dict[str, object] = {}
    for part in told.split(","):
        key, equals, value = part.partition("=")
        if key not in _FIELDS:
            raise InputError(
                f"--runtime {text}: no option {key!r}{nearest(key, _FIELDS)}; its options are "
                f"{', '.join(_FIELDS)}"
            )
        if key in fields:
            raise InputError(f"--runtime {text}: {key} is given twice; once is enough")
        is_switch = _FIELDS[key].annotation is bool
        if is_switch == bool(equals):
            right = key if is_switch else f"{key}=..."
            raise InputError(f"--runtime {text}: {part!r} will not do; give {right}")
        fields[key] = True if is_switch else value
    return RuntimeChoice(name, _checked(text, fields))


def _checked(text: str, fields: dict[str, object]) -> OrtOptions:
    if "operators" in fields:
        fields["operators"] = tuple(dict.fromkeys(str(fields["operators"]).split("+")))
    try:
        options = OrtOptions.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        of = get_args(Operator) if first["loc"][0] == "operators" else first["ctx"]["expected"]
        may_be = ", ".join(of) if isinstance(of, tuple) else of.replace("'", "")
        raise InputError(
            f"--runtime {text}: {first['loc'][0]}={first['input']} will not do; use {may_be}"
        ) from error
    if "Gemm" in options.operators and "MatMul" not in options.operators:
        raise InputError(
            f"--runtime {text}: ONNX Runtime makes MatMul of every Gemm before it quantizes; give "
            "MatMul"
        )
    return options
