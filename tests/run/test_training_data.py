"""What a training run begins with: no test on what was trained on, no half-known network."""

from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from bitcliff.adapters import load_model
from bitcliff.errors import InputError
from bitcliff.run.train_config import PairConfig, TeacherConfig
from bitcliff.run.training_data import load_network, open_splits


def teacher(**changes: object) -> TeacherConfig:
    return TeacherConfig.model_validate({"model": "zoo:digits", "data": "digits"} | changes)


def test_parts_have_no_example_in_common() -> None:
    config = teacher()
    splits = open_splits(config, load_network(config, 0))
    ids = [set(part.ids) for part in (splits.training, splits.validation, splits.test)]
    assert [len(part) for part in ids] == [1149, 288, 360]
    assert len(set.union(*ids)) == 1797


def test_which_examples_choose_the_epoch_does_not_hang_on_the_runs_seed() -> None:
    one, other = (
        open_splits(config, load_network(config, 0))
        for config in (teacher(seeds=[0]), teacher(seeds=[7]))
    )
    assert one.validation.ids == other.validation.ids
    config = teacher(split_seed=1)
    assert open_splits(config, load_network(config, 0)).validation.ids != one.validation.ids


def test_data_without_a_test_split_needs_another(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("one", "two"):
        pictures = rng.random((60, 1, 8, 8), dtype=np.float32)
        np.savez(tmp_path / f"{name}.npz", x=pictures, y=np.arange(60) % 10)
    config = teacher(data=str(tmp_path / "one.npz"))
    with pytest.raises(InputError, match=r"has no test split of its own.*name other data"):
        open_splits(config, load_network(config, 0))
    config = teacher(data=str(tmp_path / "one.npz"), test=str(tmp_path / "two.npz"))
    splits = open_splits(config, load_network(config, 0))
    assert (len(splits.training) + len(splits.validation), len(splits.test)) == (60, 60)


def test_a_pairs_network_must_be_whole_but_a_teacher_may_get_a_new_head(tmp_path: Path) -> None:
    torch.manual_seed(0)
    module = load_network(
        teacher(model="timm:resnet18", initial="random", num_classes=10), 0
    ).module
    file = tmp_path / "w.safetensors"
    safetensors.torch.save_file(module.state_dict(), file)
    fields = {"model": "timm:resnet18", "data": "d", "weights": file, "num_classes": 4}
    with pytest.raises(InputError, match="does not fit timm:resnet18"):
        load_network(PairConfig.model_validate(fields), 0)
    found = load_network(TeacherConfig.model_validate(fields), 0).module.state_dict()
    assert found["fc.weight"].shape == (4, 512)
    assert torch.equal(found["conv1.weight"], module.state_dict()["conv1.weight"])


def test_what_is_random_in_a_new_network_follows_from_the_seed() -> None:
    config = teacher()
    networks = [load_network(config, seed).module.state_dict() for seed in (3, 3, 4)]
    assert torch.equal(networks[0]["fc.weight"], networks[1]["fc.weight"])
    assert not torch.equal(networks[0]["fc.weight"], networks[2]["fc.weight"])
    assert load_model("zoo:digits").module is not None
