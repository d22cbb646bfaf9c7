"""On a real cluster of this machine, and against a real server that speaks S3."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from bitcliff.errors import InputError
from bitcliff.sweep.cell import Place
from bitcliff.sweep.folder import Claim, pull
from bitcliff.sweep.on_ray import RayPool
from bitcliff.sweep.ray_cluster import connect
from bitcliff.sweep.store import Store
from tests.sweep.stub import program, run, seen, stub_cell


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    """An empty bucket of a server of this machine."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    told = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "tests",
        "AWS_SECRET_ACCESS_KEY": "tests",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in told.items():
            patch.setenv(name, value)
        boto3.client("s3").create_bucket(Bucket="sweeps")
        yield "s3://sweeps"
    server.stop()


@pytest.fixture(scope="module")
def ray(bucket: str) -> Iterator[Any]:  # the cluster's processes have the bucket's settings
    with connect("ray", cpus=2) as module:
        yield module


def test_a_cluster_of_this_machine_listens_on_the_loopback_address_alone(ray: Any) -> None:
    heard = {
        one.laddr.ip.removeprefix("::ffff:")
        for process in psutil.Process().children(recursive=True)
        for one in process.net_connections("inet")
        if one.status == psutil.CONN_LISTEN
    }
    assert heard == {"127.0.0.1"}
    assert os.environ["RAY_AUTH_MODE"] == "token"
    assert ray.cluster_resources()["CPU"] == 2


def test_cells_leave_what_they_found_in_a_bucket(ray: Any, bucket: str, tmp_path: Path) -> None:
    place = Place(f"{bucket}/one", 1, program(tmp_path))
    store = Store(place.root)
    store.write("base/run/seed-0/network.safetensors", b"weights")
    cells = [stub_cell("base"), *(stub_cell(f"c{n}", after="base") for n in range(4))]
    cells.append(stub_cell("bad", code=7))
    first = run(RayPool(ray, place, cpus=0.5), cells)
    assert {name for name, one in first.items() if one.state == "failed"} == {"bad"}
    assert first["bad"].reason == "bad was told to fail"
    for name, outcome in first.items():
        assert store.outcome(name) == outcome
        assert json.loads(store.read(f"{name}/run/result.json") or b"") == {"name": name}
    assert store.read("c1/network.safetensors") == b"weights"
    here = pull(store, "c2", tmp_path / "sweep")
    assert json.loads((here / "result.json").read_bytes()) == {"name": "c2"}
    again = run(RayPool(ray, place, cpus=0.5), cells)
    assert again == first
    assert len(seen(tmp_path)) == len(cells)


@pytest.mark.parametrize(("asked", "most"), [({"cpus": 3}, 2), ({"gpus": 0.5}, 0)])
def test_more_than_a_machine_has_is_refused(
    ray: Any, tmp_path: Path, asked: dict[str, float | int], most: int
) -> None:
    ((name, much),) = asked.items()
    told = f"--{name} {much}: no machine of the cluster has more than {most}; "
    with pytest.raises(InputError, match=re.escape(told)):
        RayPool(ray, Place(str(tmp_path)), **asked)


def test_a_bucket_is_used_by_one_sweep(bucket: str, tmp_path: Path) -> None:
    store = Store(f"{bucket}/two")
    mine, theirs = (Claim(store, tmp_path / name, {"pairs": 1}) for name in ("mine", "theirs"))
    mine.take()
    with pytest.raises(InputError, match=r"--storage s3://sweeps/two: in use by .*mine, heard of"):
        theirs.take()
    mine.release()
    theirs.take()


def test_storage_out_of_reach_is_told_in_a_line(bucket: str) -> None:
    Store(f"{bucket}/fine").check()
    with pytest.raises(InputError, match="s3://nowhere: the storage fails: ") as error:
        Store("s3://nowhere").check()
    assert "\n" not in str(error.value)
    with pytest.raises(InputError, match="the storage fails"):
        Store("nosuch://x").check()
