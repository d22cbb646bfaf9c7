"""The paper's three students, from timm: each trains, is quantized, stops and goes on."""

import json
from pathlib import Path

import pytest
import safetensors.torch
import torch

from bitcliff.run.train_config import PairConfig, TeacherConfig
from bitcliff.run.train_job import TrainListener, run_pair, run_teacher
from bitcliff.train.loop import Stopped

# How many points each has; None: as many as discovery finds.
STUDENTS = {"resnet18": 20, "mobilenetv4_conv_medium": None, "regnetx_016": None}
SHARED = {"data": "digits", "image_size": 32, "batch_size": 128, "epochs": 1, "validation": 0.3}


def listener(stop_after: int = 10**9) -> TrainListener:
    steps = iter(range(1, 10**9))
    return TrainListener(
        on_note=lambda _: None,
        on_step=lambda *_: None,
        should_stop=lambda: next(steps) >= stop_after,
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", list(STUDENTS))
def test_a_students_pair_trains_and_resumes_to_the_same_bits(name: str, tmp_path: Path) -> None:
    teacher = TeacherConfig.model_validate(
        {**SHARED, "model": f"timm:{name}", "initial": "random", "num_classes": 10}
    )
    run_teacher(teacher, tmp_path / "teacher", False, listener())
    config = PairConfig.model_validate(
        {
            **SHARED,
            "model": f"timm:{name}",
            "weights": tmp_path / "teacher" / "seed-0" / "network.safetensors",
            "batchnorm": "frozen",
            "optimiser": {"lr": 0.01},
            "save_every": 3,
        }
    )
    result = run_pair(config, tmp_path / "whole", False, listener())
    if STUDENTS[name]:
        assert result["points"] == STUDENTS[name]
    assert result["points"] >= 20
    assert result["total_bits"] == round(5.5 * result["points"])
    assert len(result["results"][0]["cells"]) == 12
    with pytest.raises(Stopped):
        run_pair(config, tmp_path / "parts", False, listener(stop_after=4))
    run_pair(config, tmp_path / "parts", True, listener())
    for aim in ("robust", "brittle"):
        for file in ("network.safetensors", "policy.safetensors"):
            whole, parts = (
                safetensors.torch.load_file(tmp_path / run / "seed-0" / aim / file)
                for run in ("whole", "parts")
            )
            assert all(torch.equal(parts[key], value) for key, value in whole.items())
    again = json.loads((tmp_path / "parts" / "result.json").read_text())
    assert again["results"] == json.loads(json.dumps(result["results"]))
