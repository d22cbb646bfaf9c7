"""What a configuration asks to train on is found, or refused in one line before anything begins."""

import sys
from typing import Any

import pytest
import torch

from bitcliff.errors import InputError, MissingExtra
from bitcliff.run.hardware import find_hardware
from bitcliff.run.train_config import TeacherConfig
from bitcliff.train.hardware import ALONE, Hardware

no_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")


def config(**changes: Any) -> TeacherConfig:
    return TeacherConfig.model_validate({"model": "m", "data": "d"} | changes)


def test_by_default_training_is_one_process_on_the_cpu_in_float32() -> None:
    assert find_hardware(config()) == ALONE
    assert find_hardware(config(precision="bf16")) == Hardware(bf16=True)


@no_gpu
def test_auto_is_the_cpu_where_there_is_no_gpu() -> None:
    assert find_hardware(config(device="auto")) == ALONE


@no_gpu
def test_a_gpu_that_is_not_there_is_refused() -> None:
    with pytest.raises(InputError, match="device: cuda: torch finds no GPU here; use cpu or auto"):
        find_hardware(config(device="cuda"))


def test_the_first_of_several_processes_is_the_one_that_was_started() -> None:
    assert find_hardware(config(devices=2)) == Hardware(rank=0, size=2)


def test_another_is_told_its_rank_by_who_started_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_RANK", "2")
    found = find_hardware(config(devices=3))
    assert (found.rank, found.first) == (2, False)


def test_each_device_needs_an_example() -> None:
    with pytest.raises(InputError, match="devices: 9: at most batch_size 8"):
        find_hardware(config(devices=9, batch_size=8))


def test_a_missing_package_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lightning_fabric", None)
    with pytest.raises(MissingExtra, match=r"devices: 2 needs .*'bitcliff\[parallel\]'"):
        find_hardware(config(devices=2))
