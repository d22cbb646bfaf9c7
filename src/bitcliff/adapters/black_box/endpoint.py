"""`http(s)://HOST:PORT/v2/models/NAME`: a server that speaks the Open Inference Protocol."""

import json
import re
import time
from collections.abc import Sequence
from functools import partial
from typing import Any, TypeVar

import numpy as np
import torch
from pydantic import BaseModel, ValidationError
from torch import Tensor

from bitcliff.adapters.black_box.outputs import (
    NoOutput,
    Opened,
    check_images,
    fixed_batch,
    insist,
)
from bitcliff.adapters.black_box.settings import BlackBoxSettings
from bitcliff.adapters.optional import require
from bitcliff.adapters.wording import one_line, shortened
from bitcliff.errors import InputError
from bitcliff.points.outputs import Output, chosen_output
from bitcliff.types.black_box import Images

_ADDRESS = re.compile(
    r"https?://[^/?#@\s]+(/[^/?#\s]+)*?/v2/models/[^/?#\s]+(/versions/[^/?#\s]+)?"
)
_LARGEST = 256 * 2**20
_FLOATS = ("FP16", "FP32", "FP64")
_INTEGERS = ("INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32")


class _Declared(BaseModel):
    name: str
    datatype: str
    shape: list[int]


class _Metadata(BaseModel):
    inputs: list[_Declared] = []
    outputs: list[_Declared] = []


class _Output(_Declared):
    data: list[Any]


class _Inference(BaseModel):
    outputs: list[_Output]


_Message = TypeVar("_Message", bound=BaseModel)


def open_endpoint(spec: str, settings: BlackBoxSettings) -> Opened:
    """Asks an endpoint for its metadata.

    The address is the user's choice alone: no proxy is taken from the environment, and no redirect
    is followed.

    Raises:
        InputError: a malformed address; down, slow, refuses or sends nonsense after all retries;
            another input than float images; no such output.
    """
    if not _ADDRESS.fullmatch(spec):
        shown = re.sub("//[^/]*@", "//...@", spec)
        raise InputError(
            f"{shown}: must be http(s)://HOST:PORT/v2/models/NAME, with /versions/VERSION or "
            "without, and no name or password"
        )
    endpoint = _Endpoint(spec, settings)
    declared = insist(spec, settings.retries, endpoint.metadata)
    source = _input(declared, spec)
    output = _chosen(declared.outputs, settings.output, spec)

    predict = partial(endpoint.infer, source, output)
    return Opened(spec, predict, batch=fixed_batch(source.shape), retries=settings.retries)


def _input(declared: _Metadata, spec: str) -> _Declared:
    inputs = declared.inputs
    if len(inputs) != 1 or inputs[0].datatype not in _FLOATS or not inputs[0].shape:
        has = ", ".join(f"{given.name} {given.datatype}" for given in inputs) or "none"
        raise InputError(f"{spec}: must declare one input, of floats; it declares {has}")
    return inputs[0]


def _chosen(outputs: Sequence[_Declared], asked: str | None, spec: str) -> str | None:
    """The name of the output that is taken; None where the metadata tells of none.

    Without scores the only output of whole numbers, since classes are answers too.

    Raises:
        InputError: there is no such output, or several could be meant.
    """
    if not outputs:
        return asked
    known = {
        one.name: Output(
            tuple(size if size > 0 else None for size in one.shape) or None,
            one.datatype in _FLOATS,
        )
        for one in outputs
    }
    whole = [one.name for one in outputs if one.datatype in _INTEGERS]
    scores = any(output.could_be_scores for output in known.values())
    if asked is None and len(whole) == 1 and not scores:
        return whole[0]
    try:
        return chosen_output(known, asked)
    except InputError as error:
        raise InputError(f"{spec}: {shortened(str(error))}") from error


class _Endpoint:
    """One exchange at a time with one address; every failure that may pass is a NoOutput."""

    def __init__(self, address: str, settings: BlackBoxSettings) -> None:
        self._address = address
        self._settings = settings
        self._errors = require("urllib3.exceptions", "http", address)
        urllib3 = require("urllib3", "http", address)
        self._pool = urllib3.PoolManager(
            timeout=urllib3.Timeout(total=settings.timeout), retries=False
        )

    def metadata(self) -> _Metadata:
        return _parsed(_Metadata, self._exchange("GET", self._address))

    def infer(self, source: _Declared, chosen: str | None, images: Images) -> Tensor:
        check_images(self._address, source.shape, images)
        tensor = {
            "name": source.name,
            "datatype": source.datatype,
            "shape": list(images.shape),
            "data": images.flatten().tolist(),
        }
        body = json.dumps({"inputs": [tensor]}).encode()
        outputs = _parsed(
            _Inference, self._exchange("POST", f"{self._address}/infer", body)
        ).outputs
        chosen = chosen or _chosen(outputs, None, self._address)
        for output in outputs:
            if output.name == chosen:
                return _tensor(output)
        raise NoOutput(f"sent no output {chosen or 'at all'}")

    def _exchange(self, method: str, address: str, body: bytes | None = None) -> bytes:
        deadline = time.monotonic() + self._settings.timeout
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        try:
            response = self._pool.request(
                method,
                address,
                body=body,
                headers=headers,
                redirect=False,
                preload_content=False,
                decode_content=False,
            )
            content = self._read(response, deadline)
        except self._errors.HTTPError as error:
            # A refused connection counts as a time-out in urllib3.
            refused = isinstance(error, self._errors.NewConnectionError)
            if isinstance(error, self._errors.TimeoutError) and not refused:
                raise self._slow() from error
            raise NoOutput(f"cannot be reached, or broke off ({one_line(error)})") from error
        self._check_status(response, content)
        return content

    def _read(self, response: Any, deadline: float) -> bytes:
        """The whole body. urllib3's own time limit starts anew with every byte that arrives."""
        content = bytearray()
        while part := response.read1(2**16):
            content += part
            if time.monotonic() > deadline:
                response.close()
                raise self._slow()
            if len(content) > _LARGEST:
                response.close()
                raise NoOutput(f"sent more than {_LARGEST // 2**20} MiB")
        return bytes(content)

    def _slow(self) -> NoOutput:
        return NoOutput(f"sent no whole response within {self._settings.timeout:g} s")

    def _check_status(self, response: Any, content: bytes) -> None:
        if response.status == 200:
            return
        body = shortened(content.decode(errors="replace")) or "nothing"
        if response.status == 429 or response.status >= 500:
            raise NoOutput(f"HTTP status {response.status}: {body}")
        if 300 <= response.status < 400:
            to = shortened(response.headers.get("Location", "nowhere"))
            raise InputError(f"{self._address}: redirects to {to}, not followed; give that address")
        raise InputError(f"{self._address}: HTTP status {response.status}: {body}")


def _parsed(kind: type[_Message], content: bytes) -> _Message:
    try:
        return kind.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        problem = shortened(f"{where} {first['msg']}".strip())
        raise NoOutput(f"sent nonsense, not the protocol's JSON ({problem})") from error


def _tensor(output: _Output) -> Tensor:
    if output.datatype not in _FLOATS + _INTEGERS:
        raise NoOutput(f"output {output.name} is {output.datatype}, not scores or classes")
    floats = output.datatype in _FLOATS
    try:
        data = np.asarray(output.data)
        if data.dtype.kind not in ("iuf" if floats else "iu"):
            raise ValueError(f"data is not of {output.datatype}")
        if min(output.shape, default=0) < 0:
            raise ValueError(f"shape {output.shape}")
        shaped = data.reshape(output.shape)
    except (ValueError, OverflowError) as error:
        raise NoOutput(f"output {output.name} is nonsense ({one_line(error)})") from error
    return torch.as_tensor(shaped).to(torch.float32 if floats else torch.int64)
