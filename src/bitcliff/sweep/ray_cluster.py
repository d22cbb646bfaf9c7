"""The one place that knows Ray: a cluster of this machine's own, or one that is there already.

Ray runs whatever anybody sends it. So a cluster started here listens on the loopback address
alone and asks for a token, and a cluster on another machine is used with a token or not at all.
"""

import ipaddress
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bitcliff.adapters.optional import quiet, require
from bitcliff.errors import InputError

LOCAL = "ray"
"""The address that asks for a cluster of this machine's own."""

_MODE, _TOKEN, _TOKEN_FILE = "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"
_PATIENCE = 5.0  # seconds to reach a port


@contextmanager
def connect(address: str, cpus: int | None = None) -> Iterator[Any]:
    """The module `ray`, connected for as long as the context lasts.

    Args:
        address: "ray": a cluster on this machine alone, started and ended with the context; or
            ray://HOST:PORT, or HOST:PORT, of one that is there.
        cpus: of a cluster started here; None: as many as there are.

    Raises:
        MissingExtra: Ray is not installed.
        InputError: no such address, nobody answers there, or it is another machine's and there is
            no token.
    """
    if address != LOCAL:
        check_address(address)
    if (address == LOCAL or has_token()) and "ray" not in sys.modules:
        # Read when Ray is imported; before 2.60 it does not ask for a token by itself.
        os.environ.setdefault(_MODE, "token")
    ray = require("ray", "ray", f"--on {address}")
    try:
        with quiet(), _handlers_kept():
            _join(ray, address, cpus)
    except Exception as error:  # Ray raises what its parts raise, from gRPC's to its own
        raise InputError(f"--on {address}: {_reason(error)}") from error
    try:
        yield ray
    finally:
        ray.shutdown()


def check_address(address: str) -> None:
    """Refuse, in a moment and before anything is sent, where Ray would wait for half a minute.

    Raises:
        InputError: no such address, nobody answers there, or it is another machine's and there is
            no token.
    """
    host, port = _parts(address)
    try:
        found = {str(entry[4][0]) for entry in socket.getaddrinfo(host, port)}
    except OSError as error:
        raise InputError(f"--on {address}: no such host: {host}") from error
    if not all(ipaddress.ip_address(one.split("%")[0]).is_loopback for one in found):
        _demand_token(address)
    try:
        socket.create_connection((host, port), _PATIENCE).close()
    except OSError as error:
        raise InputError(
            f"--on {address}: nobody answers there: {error.strerror or error}; start Ray, or give "
            f"--on {LOCAL} for a cluster on this machine"
        ) from error


def has_token() -> bool:
    """Whether there is a token for Ray to show, where it looks for one."""
    if os.environ.get(_TOKEN):
        return True
    file = os.environ.get(_TOKEN_FILE) or Path.home() / ".ray" / "auth_token"
    return Path(file).is_file()


def _demand_token(address: str) -> None:
    if os.environ.get(_MODE, "token").lower() != "token" or not has_token():
        raise InputError(
            f"--on {address}: another machine's Ray runs what anybody sends it, so it is used with "
            f"a token alone: start it with {_MODE}=token and give its token in {_TOKEN_FILE}"
        )


def _parts(address: str) -> tuple[str, int]:
    try:
        parts = urlsplit(address if "://" in address else f"//{address}")
        if parts.scheme in ("", "ray") and parts.hostname and parts.port and not parts.path:
            return parts.hostname, parts.port
    except ValueError:
        pass  # a port that is no number
    raise InputError(f"--on {address}: give ray, ray://HOST:PORT or HOST:PORT")


def _join(ray: Any, address: str, cpus: int | None) -> None:
    told = {"log_to_driver": False, "logging_level": "error"}
    if address != LOCAL:
        ray.init(address=address, **told)
        return
    # As Ray has it on macOS and Windows: elsewhere it listens everywhere, whatever it is told.
    constants: Any = import_module("ray._private.ray_constants")
    before, constants.ENABLE_RAY_CLUSTER = constants.ENABLE_RAY_CLUSTER, False
    try:
        ray.init(address="local", num_cpus=cpus, include_dashboard=False, **told)
    finally:
        constants.ENABLE_RAY_CLUSTER = before


@contextmanager
def _handlers_kept() -> Iterator[None]:
    # Ray sets its own, by which SIGTERM would end this process without a word or a checkpoint.
    main = threading.current_thread() is threading.main_thread()
    before = {one: signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGINT)} if main else {}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"Ray cannot be used: {text[:200] or type(error).__name__}"
