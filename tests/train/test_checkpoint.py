import os
from pathlib import Path

import pytest
import torch

from bitcliff.errors import InputError
from bitcliff.train.checkpoint import Checkpoint, Checkpoints


def checkpoint(step: int) -> Checkpoint:
    tensors = {"a/weight": torch.full((3, 2), float(step)), "a/count": torch.tensor(step)}
    return Checkpoint(step, tensors, {"best_score": [0.5, step]})


def test_the_newest_comes_back_whole_and_two_are_kept(tmp_path: Path) -> None:
    kept = Checkpoints(tmp_path / "checkpoints")
    assert kept.newest() == (None, [])
    for step in (1, 2, 10):
        kept.save(checkpoint(step))
    found, damaged = kept.newest()
    assert found is not None
    assert damaged == []
    assert (found.step, found.state) == (10, {"best_score": [0.5, 10]})
    for name, tensor in checkpoint(10).tensors.items():
        assert torch.equal(found.tensors[name], tensor)
        assert found.tensors[name].dtype == tensor.dtype
    names = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert names == [
        f"step-0000000{n}.{kind}" for n in ("02", "10") for kind in ("json", "safetensors")
    ]


@pytest.mark.parametrize("kind", ["json", "safetensors"])
@pytest.mark.parametrize("damage", ["cut", "flipped", "gone"])
def test_a_damaged_newest_one_falls_back_and_says_so(
    tmp_path: Path, kind: str, damage: str
) -> None:
    kept = Checkpoints(tmp_path)
    kept.save(checkpoint(1))
    kept.save(checkpoint(2))
    file = tmp_path / f"step-000000002.{kind}"
    data = bytearray(file.read_bytes())
    if damage == "gone":
        file.unlink()
    elif damage == "cut":
        file.write_bytes(data[: len(data) // 2])
    else:
        data[len(data) // 2] ^= 0xFF
        file.write_bytes(data)
    found, damaged = kept.newest()
    assert found is not None
    assert found.step == 1
    # Without its description there is no checkpoint, hence no damaged one.
    expected = [] if (kind, damage) == ("json", "gone") else ["step-000000002 is damaged"]
    assert [line.split(":")[0] for line in damaged] == expected


def test_what_cannot_be_written_leaves_the_last_one_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Checkpoints(tmp_path)
    kept.save(checkpoint(1))

    def full(_number: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match="No space left"):
        kept.save(checkpoint(2))
    monkeypatch.undo()
    found, _ = kept.newest()
    assert found is not None
    assert found.step == 1


def test_a_damaged_one_that_was_passed_over_is_not_counted_as_one_of_two(tmp_path: Path) -> None:
    kept = Checkpoints(tmp_path)
    for step in (1, 2, 10):
        kept.save(checkpoint(step))
    (tmp_path / "step-000000010.safetensors").write_bytes(b"")
    kept.save(checkpoint(3))  # the run went back to 2 and on from there
    assert sorted(file.name for file in tmp_path.glob("*.json")) == [
        "step-000000002.json",
        "step-000000003.json",
    ]
    assert kept.newest()[1] == []
