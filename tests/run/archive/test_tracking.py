"""What a tracker is given, and what it then has, read back from the tracker's own files."""

import hashlib
import json
import re
import struct
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from bitcliff.cli.main import run
from bitcliff.errors import InputError, MissingExtra
from bitcliff.record import Record, write_record
from bitcliff.run.archive.reading import read_run
from bitcliff.run.archive.tracking import Entry, entry_of, tracker
from tests.record.test_across import with_wrong
from tests.run.archive.test_reading import pair, trained

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def here(record: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a run, which has a report too; nothing is written or sent elsewhere."""
    folder = tmp_path / "runs" / "a"
    folder.mkdir(parents=True)
    write_record(record, folder)
    (folder / "report.html").write_text("<p>report</p>")
    monkeypatch.chdir(tmp_path)
    return Path("runs/a")


def assessed(folder: Path) -> Entry:
    return entry_of(read_run(folder, "assess"))


def test_the_figures_are_those_of_the_record(here: Path, record: Record) -> None:
    entry = assessed(here)
    held = (here / "record.json").read_bytes()
    figures = json.loads(held)["figures"]
    wanted = {"accuracy/float": figures["float"]["accuracy"]["value"], "gate": 1.0}
    for policy in figures["policies"]:
        wanted[f"accuracy_low/{policy['name']}"] = policy["accuracy"]["low"]
        wanted[f"change_pp/{policy['name']}"] = policy["change"]["difference_pp"]
        wanted[f"change_pp_high/{policy['name']}"] = policy["change"]["high_pp"]
    assert wanted.items() <= entry.metrics.items()
    assert entry.record == hashlib.sha256(held).hexdigest()
    assert [file.name for file in entry.files] == ["record.json", "report.html"]
    about = {"model": record.subject.model, "verdict": "fail", "settings.max_drop": 2.0}
    assert about.items() <= entry.params.items()
    assert entry.params["settings.bits"] == [2, 3, 4, 5]


def test_what_is_changed_by_hand_after_it_was_listed_is_refused(here: Path) -> None:
    listed = read_run(here, "assess")
    file = here / "record.json"
    file.write_text(file.read_text().replace('"at_risk": [', '"at_risk": ["nobody", '))
    with pytest.raises(InputError, match="inconsistent record"):
        entry_of(listed)
    file.unlink()
    with pytest.raises(InputError, match="changed while it was read"):
        entry_of(listed)


def test_names_from_files_are_told_apart_in_letters_that_trackers_take(tmp_path: Path) -> None:
    result = pair()
    policies = ("../a b", "../a\nb", "é" * 300)
    accuracy = result["results"][0]["cells"][0]["accuracy"]
    result["results"] = [{"network": "n", "policy": one, "accuracy": accuracy} for one in policies]
    entry = entry_of(read_run(trained(tmp_path / "run", result), "train"))
    names = [name for name in entry.metrics if name.startswith("accuracy/")]
    assert names == ["accuracy/n_.._a_b", "accuracy/n_.._a_b_", "accuracy/n_"]
    assert all(re.fullmatch(r"[\w.-]+(/[\w.-]+)?", name, re.ASCII) for name in entry.metrics)


@pytest.mark.parametrize("kind", ["mlflow", "wandb"])
def test_without_the_package_it_is_said_what_to_install(
    here: Path, kind: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, kind, None)
    with pytest.raises(MissingExtra, match=rf"pip install 'bitcliff\[{kind}\]'"):
        tracker(kind)
    assert run(["runs", "--to", kind]) == 2
    out, err = capsys.readouterr()
    assert (out, len(err.splitlines())) == ("", 1)


@pytest.mark.parametrize("target", ["tensorboard", "", ":x", "WANDB"])
def test_there_are_no_other_trackers(target: str) -> None:
    with pytest.raises(InputError, match=r"should be .*wandb:PROJECT"):
        tracker(target)


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Weights & Biases without its server, all that it writes in the test's folder."""
    settings = {"MODE": "offline", "ERROR_REPORTING": "false"}
    for what in ("DATA_DIR", "CACHE_DIR", "CONFIG_DIR", "ARTIFACT_DIR"):
        settings[what] = str(tmp_path / what.lower())
    for name, value in settings.items():
        monkeypatch.setenv(f"WANDB_{name}", value)
    monkeypatch.delenv("WANDB_PROJECT", raising=False)
    yield
    import wandb

    wandb.teardown()


def records_in(file: Path) -> dict[str, Any]:
    """What an offline run holds: of each kind of record the last; wandb has a reader in Go alone.

    Blocks of 32 KiB hold pieces of records, each after its checksum, length, and whether it is a
    whole record or its first, middle or last piece; each record is of wandb's own protocol.
    """
    import wandb.proto.wandb_internal_pb2 as wire

    data, found, whole, at = file.read_bytes(), {}, b"", 7
    while at + 7 <= len(data):
        if 32768 - at % 32768 < 7:
            at += 32768 - at % 32768
            continue
        _, size, kind = struct.unpack_from("<IHB", data, at)
        whole += data[at + 7 : at + 7 + size]
        at += 7 + size
        if kind in (1, 4):
            stored = cast(Any, wire).Record.FromString(whole)
            what, whole = stored.WhichOneof("record_type"), b""
            found[what] = getattr(stored, what)
    return found


def values(items: Any) -> dict[str, Any]:
    return {one.key or ".".join(one.nested_key): json.loads(one.value_json) for one in items}


@pytest.mark.usefixtures("offline")
def test_weights_and_biases_has_it_once(here: Path, record: Record, capsys: Capture) -> None:
    assert run(["runs", "--to", "wandb:team/releases"]) == 0
    assert "\nLogged: runs/a, as " in capsys.readouterr().out
    (folder,) = Path("wandb").glob("offline-run-*")
    entry = assessed(here)
    kept = records_in(*folder.glob("*.wandb"))
    assert (kept["run"].entity, kept["run"].project) == ("team", "releases")
    assert (kept["run"].display_name, kept["run"].job_type) == ("runs/a", "assess")
    config = values(kept["run"].config.update)
    assert {**entry.params, "record_sha256": entry.record}.items() <= config.items()
    assert entry.metrics.items() <= values(kept["history"].item).items()
    assert kept["exit"].exit_code == 0
    files = {one.path: Path(one.local_path) for one in kept["artifact"].manifest.contents}
    assert files.keys() == {"record.json", "report.html"}
    assert all(file.read_bytes() == (here / name).read_bytes() for name, file in files.items())

    assert run(["runs", "--to", "wandb:team/releases", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["to"]
    assert told == [{"path": "runs/a", "at": str(folder.absolute()), "new": False}]
    assert list(Path("wandb").glob("offline-run-*")) == [folder]

    (label,) = {one.name for one in record.policies} & {"uniform-8"}
    write_record(with_wrong(record, label, [*range(15)]), here)  # the next release, same folder
    assert run(["runs", "--to", "wandb:team/releases"]) == 0
    assert len(list(Path("wandb").glob("offline-run-*"))) == 2


@pytest.mark.usefixtures("offline")
def test_what_is_refused_is_not_logged_and_the_exit_code_says_so(
    here: Path, capsys: Capture
) -> None:
    Path("runs/bad").mkdir()
    Path("runs/bad/record.json").write_text("{")
    assert run(["runs", "runs/bad", "--to", "wandb"]) == 2
    assert not Path("wandb").exists()
    assert run(["runs", "--to", "wandb"]) == 2
    out = capsys.readouterr().out
    assert "Refused: runs/bad/record.json" in out
    assert out.count("Logged: ") == 1
    assert run(["runs", "--verdict", "pass", "--to", "wandb"]) == 2


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"MODE": "disabled"}, "WANDB_MODE=disabled puts nothing there"),
        ({"MODE": "online", "API_KEY": ""}, "No API key configured"),
    ],
)
@pytest.mark.usefixtures("offline")
def test_what_the_tracker_refuses_is_one_line(
    here: Path, settings: dict[str, str], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(f"WANDB_{name}", value)
    monkeypatch.setenv("HOME", str(here.absolute()))  # nor a key of the one who runs this
    with pytest.raises(InputError, match=words) as error:
        tracker("wandb")(assessed(here))
    assert "\n" not in str(error.value)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where MLflow keeps runs in files: its newer stores are of its server's packages."""
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.delenv("MLFLOW_EXPERIMENT_NAME", raising=False)
    return (tmp_path / "store").as_uri()


def found_in(store: str) -> list[Any]:
    """All runs, as MLflow's own client reads them."""
    from mlflow import MlflowClient

    client = MlflowClient(store)
    experiment = client.get_experiment_by_name("bitcliff")
    return [] if experiment is None else list(client.search_runs([experiment.experiment_id]))


def test_mlflow_has_it_once(here: Path, store: str, record: Record, capsys: Capture) -> None:
    from mlflow import MlflowClient

    assert run(["runs", "--to", f"mlflow:{store}"]) == 0
    (kept,) = found_in(store)
    id_, entry = kept.info.run_id, assessed(here)
    assert f"\nLogged: runs/a, as run {id_}\n" in capsys.readouterr().out
    assert kept.data.metrics == entry.metrics
    assert kept.data.params == {name: str(one) for name, one in entry.params.items()}
    assert kept.data.tags["bitcliff.record"] == entry.record
    assert (kept.info.status, kept.info.run_name) == ("FINISHED", "runs/a")
    began = datetime.fromtimestamp(kept.info.start_time / 1000, UTC)
    assert began == datetime.fromisoformat(record.provenance.started)
    client = MlflowClient(store)
    for name in ("record.json", "report.html"):
        assert Path(client.download_artifacts(id_, name)).read_bytes() == (here / name).read_bytes()

    assert run(["runs", "--to", f"mlflow:{store}", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["to"]
    assert told == [{"path": "runs/a", "at": f"run {id_}", "new": False}]
    write_record(with_wrong(record, "uniform-8", [*range(15)]), here)  # the next release
    assert run(["runs", "--to", f"mlflow:{store}"]) == 0
    assert len(found_in(store)) == 2


def test_what_mlflow_has_in_part_is_failed_and_logged_again(here: Path, store: str) -> None:
    entry = assessed(here)
    gone = replace(entry, files=(here / "gone",))
    with pytest.raises(InputError, match="--to mlflow: runs/a: "):
        tracker(f"mlflow:{store}")(gone)
    assert [one.info.status for one in found_in(store)] == ["FAILED"]
    assert tracker(f"mlflow:{store}")(entry).new
    assert not tracker(f"mlflow:{store}")(entry).new


def test_a_store_that_mlflow_cannot_use_is_one_line(
    here: Path, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_ALLOW_FILE_STORE")
    with pytest.raises(InputError, match=r"--to mlflow: runs/a: .*maintenance mode") as error:
        tracker(f"mlflow:{store}")(assessed(here))
    assert "\n" not in str(error.value)
