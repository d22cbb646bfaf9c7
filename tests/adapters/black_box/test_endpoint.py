import time
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from bitcliff.adapters.black_box import BlackBoxSettings, load_black_box
from bitcliff.errors import InputError
from tests.adapters.black_box.misbehaving import (
    METADATA,
    Behaviour,
    Server,
    drips,
    hangs,
    hangs_mid_body,
    hangs_up,
    hangs_up_mid_body,
    output,
    sends,
    serve,
)
from tests.adapters.black_box.mlserver import running_mlserver
from tests.adapters.black_box.networks import a_model, images, save, scores


@pytest.fixture(scope="module")
def mlserver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The origin of a real MLServer, on a port that the system chose."""
    pytest.importorskip("mlserver", reason="MLServer does not install on this Python")
    folder = tmp_path_factory.mktemp("mlserver")
    inputs = [{"name": "images", "datatype": "FP32", "shape": [-1, 3, 2, 2]}]
    outputs = [
        {"name": "scores", "datatype": "FP32", "shape": [-1, 4]},
        {"name": "classes", "datatype": "INT64", "shape": [-1]},
    ]
    uri = save(a_model(), folder / "net.onnx")
    with running_mlserver(folder, uri, inputs, outputs, "linear") as origin:
        yield origin


@pytest.mark.parametrize("version", ["", "/versions/v1"])
def test_mlserver_gives_what_the_network_does(mlserver: str, version: str) -> None:
    spec = f"{mlserver}/v2/models/linear{version}"
    box = load_black_box(spec, BlackBoxSettings(batch=3, num_classes=4))
    assert torch.allclose(box.ask(images(7)), scores(images(7)), atol=1e-5)
    assert (box.name, box.identity) == (spec, spec)


def test_another_output_of_mlserver_by_name(mlserver: str) -> None:
    spec = f"{mlserver}/v2/models/linear"
    classes = load_black_box(spec, BlackBoxSettings(output="classes")).ask(images(7))
    assert torch.equal(classes, scores(images(7)).argmax(dim=1))
    with pytest.raises(InputError, match="no output logits; it has scores, classes"):
        load_black_box(spec, BlackBoxSettings(output="logits"))


def test_images_that_mlserver_does_not_take(mlserver: str) -> None:
    box = load_black_box(f"{mlserver}/v2/models/linear")
    with pytest.raises(InputError, match=r"takes inputs of shape \(3, 2, 2\), not \(3, 8, 8\)"):
        box.ask(torch.zeros(1, 3, 8, 8))


def test_a_model_that_mlserver_lacks(mlserver: str) -> None:
    with pytest.raises(InputError, match=r"HTTP status 404: .*Model other not found"):
        load_black_box(f"{mlserver}/v2/models/other", BlackBoxSettings(retries=0))


@pytest.fixture
def server() -> Iterator[Server]:
    with serve() as server:
        yield server


PATIENT = BlackBoxSettings(retries=2, timeout=20.0)
ONCE = BlackBoxSettings(retries=0, timeout=20.0)
HASTY = BlackBoxSettings(retries=1, timeout=1.0)

DOWN = sends({"error": "no capacity"}, 503)
INFINITE = b"""{"outputs": [{"name": "y", "datatype": "FP32", "shape": [2, 4],
    "data": [1e999, 0, 0, 0, 0, 0, 0, 0]}]}"""
NONSENSE: list[tuple[Behaviour, str]] = [
    (sends(b"<html><body>Sign in</body></html>"), "sent nonsense, not the protocol's JSON"),
    (sends(b"\xff\xfe\x00"), "sent nonsense"),
    (sends(b"[" * 100_000), "sent nonsense"),
    (sends({"error": "x"}), r"sent nonsense.*\(outputs Field required\)"),
    (sends({"outputs": []}), "sent no output y"),
    (output(data=[0.5] * 7), "output y is nonsense"),
    (output(data=[[0.5] * 4, [0.5] * 3]), "output y is nonsense"),
    (output(shape=[-2, 4]), "output y is nonsense"),
    (output(data=["a"] * 8), "output y is nonsense .*not of FP32"),
    (output(data=[None] * 8), "output y is nonsense"),
    (output(datatype="INT64"), "output y is nonsense .*not of INT64"),
    (output(datatype="BYTES"), "output y is BYTES, not scores or classes"),
    (output(shape=[8]), r"gave torch\.float32 of shape \(8,\) for 2 examples"),
    (output(shape=[10**30, 4]), "output y is nonsense"),
    (output(shape=[1, 4], data=[0.5] * 4), r"of shape \(1, 4\)"),
    (output(data=[0.5] * 7 + [float("nan")]), "NaN or infinity"),
    (sends(INFINITE), "NaN or infinity"),
    (DOWN, 'HTTP status 503: {"error": "no capacity"}'),
    (sends(b"", 429), "HTTP status 429: nothing"),
    (hangs_up, "cannot be reached, or broke off"),
    (hangs_up_mid_body, "cannot be reached, or broke off .*IncompleteRead"),
]


@pytest.mark.parametrize(("behaviour", "message"), NONSENSE)
def test_what_was_wrong_is_reported_in_one_line(
    server: Server, behaviour: Behaviour, message: str
) -> None:
    box = load_black_box(server.address, ONCE)
    server.script = [behaviour]
    with pytest.raises(InputError, match=f"^{server.address}: .*{message}") as caught:
        box.ask(images(2))
    assert "\n" not in str(caught.value)
    assert len(server.seen) == 2


@pytest.mark.parametrize("behaviour", [behaviour for behaviour, _ in NONSENSE[::4] + NONSENSE[-2:]])
def test_a_passing_failure_is_asked_again(server: Server, behaviour: Behaviour) -> None:
    box = load_black_box(server.address, PATIENT)
    server.script = [behaviour]
    assert torch.allclose(box.ask(images(2)), scores(images(2)), atol=1e-5)
    assert server.seen[1:] == ["POST /v2/models/m/infer"] * 2


def test_down_twice_and_then_fine(server: Server) -> None:
    server.script = [DOWN, sends(b"not yet"), lambda handler: handler.respond(METADATA), DOWN, DOWN]
    box = load_black_box(server.address, PATIENT)
    started = time.monotonic()
    assert torch.allclose(box.ask(images(2)), scores(images(2)), atol=1e-5)
    assert time.monotonic() - started >= 0.75  # a quarter of a second, and then twice that


def test_it_gives_up_after_the_last_retry(server: Server) -> None:
    box = load_black_box(server.address, PATIENT)
    server.script = [DOWN] * 9
    with pytest.raises(InputError, match=r"HTTP status 503: .*no capacity.*; asked 3 times$"):
        box.ask(images(2))
    assert len(server.seen) == 4


@pytest.mark.parametrize("behaviour", [hangs, hangs_mid_body, drips])
def test_a_slow_response_is_given_up(server: Server, behaviour: Behaviour) -> None:
    box = load_black_box(server.address, HASTY)
    server.script = [behaviour, behaviour]
    started = time.monotonic()
    with pytest.raises(InputError, match="sent no whole response within 1 s; asked 2 times"):
        box.ask(images(2))
    assert time.monotonic() - started < 20


def test_a_slow_response_and_then_a_quick_one(server: Server) -> None:
    box = load_black_box(server.address, HASTY)
    server.script = [hangs]
    assert torch.allclose(box.ask(images(2)), scores(images(2)), atol=1e-5)


def test_an_endless_response_is_cut_off(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bitcliff.adapters.black_box.endpoint._LARGEST", 2**20)
    server.script = [sends(b" " * 2**21)]
    with pytest.raises(InputError, match="sent more than 1 MiB"):
        load_black_box(server.address, ONCE)


def test_nobody_listens() -> None:
    with serve() as gone:
        address = gone.address
    with pytest.raises(InputError, match=rf"^{address}: cannot be reached.*refused"):
        load_black_box(address, ONCE)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirects_are_not_followed(server: Server, status: int) -> None:
    with serve() as elsewhere:
        box = load_black_box(server.address, PATIENT)
        server.script = [sends(b"", status, Location=f"{elsewhere.address}/infer")]
        with pytest.raises(
            InputError, match=f"redirects to {elsewhere.address}/infer, not followed"
        ):
            box.ask(images(2))
        assert elsewhere.seen == []
    assert len(server.seen) == 2


def test_what_the_client_did_wrong_is_not_tried_again(server: Server) -> None:
    box = load_black_box(server.address, PATIENT)
    server.script = [sends({"error": "unexpected\nshape"}, 400)]
    with pytest.raises(InputError, match=r"HTTP status 400: .*unexpected") as caught:
        box.ask(images(2))
    assert "\n" not in str(caught.value)
    assert len(server.seen) == 2


def test_proxies_of_the_environment_are_not_used(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.origin)
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        load_black_box(server.address, ONCE).ask(images(2))
        assert proxy.seen == []


def test_tls_is_asked_of_an_https_address(server: Server) -> None:
    with pytest.raises(InputError, match=r"cannot be reached.*SSL"):
        load_black_box(server.address.replace("http:", "https:"), ONCE)


def test_a_fixed_batch_is_padded(server: Server) -> None:
    inputs = [{**METADATA["inputs"][0], "shape": [4, 3, 2, 2]}]
    server.script = [sends({**METADATA, "inputs": inputs})]
    box = load_black_box(server.address, ONCE)
    assert torch.allclose(box.ask(images(7)), scores(images(7)), atol=1e-5)
    assert len(server.seen) == 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"inputs": []}, "one input, of floats; it declares none"),
        ({"inputs": [{"name": "x", "datatype": "INT64", "shape": [-1]}]}, "declares x INT64"),
        ({"inputs": METADATA["inputs"] * 2}, "declares x FP32, x FP32"),
        ({"inputs": "x"}, "sent nonsense"),
    ],
)
def test_metadata_that_does_not_fit(server: Server, changes: dict[str, Any], message: str) -> None:
    server.script = [sends({**METADATA, **changes})]
    with pytest.raises(InputError, match=message):
        load_black_box(server.address, ONCE)


@pytest.mark.parametrize(
    "address",
    [
        "http://host:80/v2/models/",
        "http://host:80/v1/models/m",
        "http://host:80/v2/models/m/infer",
        "http://host:80/v2/models/m?x=1",
        "http://name:password@host:80/v2/models/m",
        "http:///v2/models/m",
        "https:host/v2/models/m",
    ],
)
def test_malformed_addresses(address: str) -> None:
    with pytest.raises(InputError, match=r"must be http\(s\)://HOST:PORT/v2/models/NAME") as caught:
        load_black_box(address, ONCE)
    assert "password@" not in str(caught.value)


BOTH: list[dict[str, object]] = [
    {"name": "f", "datatype": "FP32", "shape": [-1, 4]},
    {"name": "y", "datatype": "FP32", "shape": [-1, 4]},
]


def test_of_several_outputs_that_could_be_the_scores_one_is_named(server: Server) -> None:
    """In the metadata or, where that tells of none, in what is sent; never the first in silence."""
    declared = {**METADATA, "outputs": BOTH}
    server.script = [lambda handler: handler.respond(declared)]
    told = "2 of its outputs could be the class scores, f .*, y "
    with pytest.raises(InputError, match=told):
        load_black_box(server.address, ONCE)
    server.script = [lambda handler: handler.respond(declared)]
    box = load_black_box(server.address, BlackBoxSettings(output="y", retries=0))
    assert torch.allclose(box.ask(images(2)), scores(images(2)), atol=1e-5)
    server.script = [lambda handler: handler.respond({**METADATA, "outputs": []})]
    box = load_black_box(server.address, ONCE)
    sent = [{**one, "shape": [2, 4], "data": [0.5] * 8} for one in BOTH]
    server.script = [sends({"outputs": sent})]
    with pytest.raises(InputError, match=told):
        box.ask(images(2))
