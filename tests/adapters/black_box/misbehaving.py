"""A server on a real socket that speaks the protocol, or fails to as a script asks."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import torch

from tests.adapters.black_box.networks import scores

METADATA: dict[str, Any] = {
    "name": "m",
    "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 3, 2, 2]}],
    "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, 4]}],
}


class Handler(BaseHTTPRequestHandler):
    server: "Server"
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._do(lambda handler: handler.respond(METADATA))

    def do_POST(self) -> None:
        self.request_json = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._do(right)

    def _do(self, well: "Behaviour") -> None:
        self.server.seen.append(f"{self.command} {self.path}")
        behave = self.server.script.pop(0) if self.server.script else well
        behave(self)

    def respond(self, body: Any, status: int = 200, **headers: str) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content_Length": str(len(content)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        pass


Behaviour = Callable[[Handler], None]


class Server(ThreadingHTTPServer):
    """Does what is next in `script`; with none left, responds well."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.script: list[Behaviour] = []
        self.seen: list[str] = []
        self.over = threading.Event()
        self.origin = f"http://127.0.0.1:{self.server_port}"
        self.address = f"{self.origin}/v2/models/m"

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # the client hung up on a slow response, as it should


@contextmanager
def serve() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.over.set()
            server.shutdown()
            thread.join()


def right(handler: Handler) -> None:
    given = handler.request_json["inputs"][0]
    batch = torch.tensor(given["data"]).reshape(given["shape"])
    output(data=scores(batch).flatten().tolist(), shape=[len(batch), 4])(handler)


def output(**changes: Any) -> Behaviour:
    tensor = {"name": "y", "datatype": "FP32", "shape": [2, 4], "data": [0.5] * 8, **changes}
    return sends({"outputs": [tensor]})


def sends(body: Any, status: int = 200, **headers: str) -> Behaviour:
    return lambda handler: handler.respond(body, status, **headers)


def hangs(handler: Handler) -> None:
    handler.server.over.wait(60)


def hangs_mid_body(handler: Handler) -> None:
    handler.respond(b'{"outputs": [', Content_Length="4000")
    handler.wfile.flush()
    hangs(handler)


def drips(handler: Handler) -> None:
    """A byte now and then: never silent for long, never done."""
    handler.respond(b" ", Content_Length="4000")
    while not handler.server.over.is_set():
        handler.wfile.write(b" ")
        handler.wfile.flush()
        time.sleep(0.05)


def hangs_up_mid_body(handler: Handler) -> None:
    handler.respond(b'{"outputs": [', Content_Length="4000")
    handler.close_connection = True


def hangs_up(handler: Handler) -> None:
    handler.close_connection = True
