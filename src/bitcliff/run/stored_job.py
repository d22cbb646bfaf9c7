"""The job of a run that has been, from its configuration."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from bitcliff.adapters import DataOptions, ModelOptions
from bitcliff.audit import AssessSettings
from bitcliff.errors import InputError
from bitcliff.run.assess_job import AssessJob
from bitcliff.run.run_directory import CONFIG
from bitcliff.types.runtime_choice import OrtOptions, RuntimeChoice

_THREADS = TypeAdapter(Annotated[int, Field(ge=1, le=1024, strict=True)])
_RUNTIMES = TypeAdapter(tuple[RuntimeChoice | str, ...])
_LIMIT = TypeAdapter(Annotated[int, Field(ge=1, strict=True)] | None)
# What `ort-dynamic` was before it had options.
_ORT_BEFORE = OrtOptions(weights="uint8", operators=("Conv", "Gemm", "MatMul"))


def _read_config(run: Path) -> dict[str, Any]:
    path = run / CONFIG
    try:
        config = json.loads(path.read_bytes())
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read: {error.strerror}; give a run directory "
            "that `bitcliff assess` wrote"
        ) from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not a run's configuration: {error}; assess again") from error
    if not isinstance(config, dict):
        raise InputError(f"{path}: not a run's configuration; assess again")
    return config


def _stored_runtimes(stored: Any) -> tuple[RuntimeChoice, ...]:
    """As a configuration has them; of an older Bitcliff their names alone."""
    return tuple(
        RuntimeChoice(one, _ORT_BEFORE if one == "ort-dynamic" else None)
        if isinstance(one, str)
        else one
        for one in _RUNTIMES.validate_python(stored)
    )


def stored_job(run: Path) -> tuple[AssessJob, int]:
    """The job that a run's `resolved_config` was made from, and its processor threads.

    Raises:
        InputError: the file is missing, damaged or not of an assessment.
    """
    return job_of_config(_read_config(run), run)


def job_of_config(config: Mapping[str, Any], run: Path) -> tuple[AssessJob, int]:
    """The same, of a configuration that was read.

    Raises:
        InputError: it is not of an assessment.
    """
    try:
        threads = _THREADS.validate_python(config["threads"])
        job = AssessJob(
            model=TypeAdapter(str).validate_python(config["model"]),
            data=TypeAdapter(str).validate_python(config["data"]),
            out=run,
            command="",
            weights=Path(config["weights"]) if config["weights"] else None,
            policy=Path(config["policy"]) if config.get("policy") else None,
            limit=_LIMIT.validate_python(config["limit"]),
            # Not in the configuration of an older Bitcliff.
            runtimes=_stored_runtimes(config.get("runtimes", ())),
            black_box=TypeAdapter(bool).validate_python(config.get("black_box", False)),
            settings=AssessSettings.model_validate(config["settings"]),
            model_options=ModelOptions.model_validate(config["model_options"]),
            data_options=DataOptions.model_validate(config["data_options"]),
        )
    except (KeyError, TypeError, ValidationError, InputError) as error:
        raise InputError(
            f"{run / CONFIG}: not the configuration of an assessment, or of an older Bitcliff; "
            "assess again"
        ) from error
    return job, threads
