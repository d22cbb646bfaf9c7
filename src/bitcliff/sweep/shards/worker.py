"""A worker: prepares the same network and data as the driver, then runs the batches it is sent.

What it is sent, and what it sends back, is JSON and safetensors; no object of either side's.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from bitcliff.audit.batches import Ask, Part, packed, unpacked
from bitcliff.audit.evaluator import Evaluator
from bitcliff.errors import BitcliffError, InputError
from bitcliff.points import take
from bitcliff.record.files import one_line
from bitcliff.run.assess_job import Listener, prepared_job
from bitcliff.run.stored_job import job_of_config
from bitcliff.types.subject import AllInputs

# What of a configuration the driver alone knows or needs.
_DRIVERS = ("runtimes", "runtime_versions", "policy_sha256")
_QUIET = Listener(lambda _text: None, lambda _plan: None, lambda *_step: None)


def greeting(config: Mapping[str, Any]) -> bytes:
    """What a new worker is told.

    Args:
        config: of the run, as its folder will hold it.
    """
    kept = {key: value for key, value in config.items() if key not in _DRIVERS}
    return packed({"config": {**kept, "runtimes": []}, "folder": os.getcwd()}, {})


def failure_in(answer: bytes) -> str | None:
    """Why a worker gives no answer, in one line; None: it does."""
    error = unpacked(answer)[0].get("error")
    return None if error is None else str(error)


class Worker:
    """Answers bytes with bytes, and never raises: what goes wrong is in the answer."""

    def __init__(self) -> None:
        self._evaluator: Evaluator | None = None
        self._nudged: dict[int, AllInputs] = {}

    def answer(self, request: bytes) -> bytes:
        """To a greeting that it is ready, to a batch what that gave."""
        try:
            if self._evaluator is None:
                self._evaluator = _prepared(request)
                return packed({"ready": True}, {})
            return self._run(self._evaluator, Ask.of_bytes(request)).to_bytes()
        except Exception as error:  # noqa: BLE001  (the driver is told, and ends the run with it)
            name = "" if isinstance(error, BitcliffError) else f"{type(error).__name__}: "
            return packed({"error": one_line(f"{name}{error}", 400)}, {})

    def _run(self, evaluator: Evaluator, ask: Ask) -> Part:
        number, inputs = ask.under.nudge, evaluator.inputs
        if number is not None:
            if number not in self._nudged:  # as large as the data, so that one alone is kept
                self._nudged = {number: evaluator.nudged_inputs(number)}
            inputs = self._nudged[number]
        part = evaluator.part(ask, take(inputs, ask.places))
        return replace(part, strays=frozenset(evaluator.attachment.incidents.strays))


def _prepared(request: bytes) -> Evaluator:
    told, _ = unpacked(request)
    config = told["config"]
    if os.path.isdir(told["folder"]):
        os.chdir(told["folder"])  # names of files and modules are as the driver was given them
    job, threads = job_of_config(config, Path("a worker"))
    torch.set_num_threads(threads)
    _, prepared, found = prepared_job(job, _QUIET)
    mine = json.loads(json.dumps(found))
    for key, wanted in config.items():
        if mine.get(key) != wanted:
            here, there = (one_line(str(one), 100) for one in (mine.get(key), wanted))
            raise InputError(
                f"a worker prepares another run: its {key} is {here}, the driver's {there}; all "
                "need the same files, packages and kind of processor"
            )
    return prepared.evaluator
