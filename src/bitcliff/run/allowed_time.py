"""How hard an assessment looks, where that follows from the time allowed: chosen once for a run."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from bitcliff.audit.effort import Effort, counts_at, fitting_effort, seconds_a_pass
from bitcliff.audit.prepare import Prepared
from bitcliff.run.partial import Partial, fingerprint
from bitcliff.run.run_directory import EXPLANATION, config_in

_COUNTS = TypeAdapter(dict[str, Annotated[int, Field(ge=0, strict=True)]])
_EFFORT = "effort"


def counts_in_time(
    prepared: Prepared,
    config: Mapping[str, Any],
    partial: Partial,
    out: Path,
    tell: Callable[[str], None],
) -> dict[str, int]:
    """The counts of draws, rounds, moves and evaluations that fit; empty where none is to be found.

    A run that was killed goes on with those that it had, also where it was killed while it was
    explained: answers that are there are about what was measured with them.

    Args:
        config: of the run, with the counts that were asked for. out: its folder. tell: told what is
            done, and the estimate.
    """
    asked = prepared.settings
    if asked.minutes is None or not (prepared.points and asked.explores_bits):
        return {}
    found = partial.get_as(_EFFORT, _COUNTS.validate_python)
    if found is None:
        before = _of_what_is_explained(out, config, counts_at(asked, 1.0))
        found = before or _timed(prepared, asked.minutes, tell)
        partial.put(_EFFORT, found)
    return found


def _timed(prepared: Prepared, minutes: float, tell: Callable[[str], None]) -> dict[str, int]:
    tell("Timing the first passes")
    effort = fitting_effort(prepared, minutes, seconds_a_pass(prepared))
    tell(_estimate(effort, minutes))
    return effort.counts


def _of_what_is_explained(
    out: Path, config: Mapping[str, Any], usual: Mapping[str, int]
) -> dict[str, int] | None:
    """The counts of a finished run whose explanation was interrupted, if it is the same run.

    `usual`: the counts that stand in `config`.
    """
    finished = config_in(out)
    settings = finished.get("settings")
    if not (out / EXPLANATION).exists() or not isinstance(settings, dict):
        return None
    asked = {**finished, "settings": {**settings, **usual}}
    if fingerprint(asked) != fingerprint(config):
        return None
    with suppress(ValidationError):  # of a configuration that was damaged
        return _COUNTS.validate_python({name: settings.get(name) for name in usual})
    return None


def _estimate(effort: Effort, minutes: float) -> str:
    at_most, allowed = _duration(effort.seconds), f"--minutes {minutes:g}"
    if effort.seconds > 60 * minutes:
        return (
            f"{allowed} is too short even for the least effort, which is run all the same: "
            f"estimated at most {at_most}, all effort {_duration(effort.usual)}"
        )
    if effort.share == 1:
        return f"All effort fits into {allowed}: estimated at most {at_most}"
    return (
        f"{100 * effort.share:.0f} % of the usual effort fits into {allowed}: estimated at most "
        f"{at_most}, all of it {_duration(effort.usual)}"
    )


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.1f} min"
