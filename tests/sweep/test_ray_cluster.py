import socket
from pathlib import Path

import pytest

from bitcliff.errors import InputError, MissingExtra
from bitcliff.sweep.ray_cluster import check_address, connect, has_token

pytest.importorskip("ray")


@pytest.fixture
def no_token(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("rays", "--on rays: give ray, ray://HOST:PORT or HOST:PORT"),
        ("http://127.0.0.1:10001", "give ray, ray://HOST:PORT"),
        ("127.0.0.1:port", "give ray, ray://HOST:PORT"),
        ("127.0.0.1:99999", "give ray, ray://HOST:PORT"),
        ("ray://127.0.0.1:1/x", "give ray, ray://HOST:PORT"),
        ("ray://127.0.0.1:1", "nobody answers there: Connection refused"),
        ("nowhere.invalid:6379", "no such host: nowhere.invalid"),
    ],
)
def test_what_is_no_cluster_is_told_in_a_line(address: str, told: str) -> None:
    with pytest.raises(InputError) as error:
        check_address(address)
    assert told in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.usefixtures("no_token")
def test_another_machine_is_used_with_a_token_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    address = "ray://192.0.2.77:10001"  # for documentation (RFC 5737): nobody has it
    with pytest.raises(InputError, match="with a token alone"):
        check_address(address)
    file = tmp_path / "token"
    file.write_text("0" * 64)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(file))
    assert has_token()
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    with pytest.raises(InputError, match="with a token alone"):
        check_address(address)


def test_a_machine_of_several_addresses_is_as_public_as_the_least_of_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def two(_host: str, port: int) -> list[object]:
        return [(2, 1, 6, "", (one, port)) for one in ("127.0.0.1", "203.0.113.5")]

    monkeypatch.setattr(socket, "getaddrinfo", two)
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    with pytest.raises(InputError, match="with a token alone"):
        check_address("both:1")


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(MissingExtra, match=r"pip install 'bitcliff\[ray\]'"), connect("ray"):
        pass
