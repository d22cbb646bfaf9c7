"""Detectors' own post-processing, and what Bitcliff reads of the same networks."""

import copy
import importlib
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch import Tensor, nn

from bitcliff.adapters import ModelOptions, load_examples, load_model
from bitcliff.adapters.detectors import keep_candidates
from bitcliff.adapters.preprocessing import in_words
from bitcliff.errors import InputError
from bitcliff.points import discover
from bitcliff.points.forward import logits_of, output_of
from bitcliff.tasks import task_of
from bitcliff.tasks.detection import Detection, boxes_and_scores
from tests.adapters.image_files import an_image

transformers: Any = importlib.import_module("transformers")

Settings = dict[str, Any]

SMALL: Settings = {"d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "num_queries": 12}
SMALL |= {"encoder_attention_heads": 2, "decoder_attention_heads": 2}
SMALL |= {"encoder_ffn_dim": 16, "decoder_ffn_dim": 16, "num_labels": 3}


def backbone() -> Any:
    return transformers.ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic",
        out_features=["stage2"],
    )  # fmt: skip


def yolos() -> Any:
    return transformers.YolosConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        image_size=[64, 48], patch_size=16, num_detection_tokens=4, num_labels=3,
    )  # fmt: skip


def detr(kind: str) -> Any:
    own = {} if kind == "Detr" else {"auxiliary_loss": False}
    return getattr(transformers, f"{kind}Config")(
        use_timm_backbone=False, use_pretrained_backbone=False, backbone=None,
        backbone_config=backbone(), **SMALL, **own,
    )  # fmt: skip


KINDS = {
    "Yolos": yolos,
    "Detr": lambda: detr("Detr"),
    "ConditionalDetr": lambda: detr("ConditionalDetr"),
}


def saved(kind: str, folder: Path) -> Any:
    """A network with scores all over, in float."""
    torch.manual_seed(0)
    model = getattr(transformers, f"{kind}ForObjectDetection")(KINDS[kind]()).eval()  # type: ignore[no-untyped-call]
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.startswith("class_labels_classifier"):
                parameter.add_(2 * torch.randn_like(parameter))
    model.save_pretrained(folder)
    processor = getattr(transformers, f"{kind}ImageProcessor")
    processor(size={"shortest_edge": 64, "longest_edge": 100}).save_pretrained(folder)
    return model


@torch.no_grad()
@pytest.mark.parametrize("kind", list(KINDS))
def test_candidates_are_those_of_the_processors_own_choice(kind: str, tmp_path: Path) -> None:
    model = saved(kind, tmp_path)
    subject = load_model(f"hf:{tmp_path}")
    assert task_of(subject.module).name == "detection:0.5"
    x = torch.randn(2, 3, 64, 48, generator=torch.Generator().manual_seed(1))
    output = output_of(subject.module, x)
    boxes, scores = boxes_and_scores(output)
    processor = getattr(transformers, f"{kind}ImageProcessor")()
    theirs = processor.post_process_object_detection(
        model(x), threshold=0.5, target_sizes=[(64, 48)] * 2
    )
    for mine, own, found in zip(boxes, scores, theirs, strict=True):
        assert same(mine, own, 0.5, found) > 0


def same(
    boxes: Tensor, scores: Tensor, at: float, theirs: dict[str, Tensor], first: int = 0
) -> int:
    """How many boxes a library tells; ours above the threshold are checked to be these."""
    place, label = (scores > at).nonzero().T
    rows = torch.cat([boxes[place], label[:, None] + first, scores[place, label][:, None]], 1)
    expected = torch.cat([theirs["boxes"], theirs["labels"][:, None], theirs["scores"][:, None]], 1)
    assert len(rows) == len(expected)
    apart = (rows[:, None] - expected).abs().amax(2)  # equal scores come in any order
    assert not len(rows) or float(torch.cat([apart.amin(0), apart.amin(1)]).max()) < 1e-3
    return len(rows)


def test_a_folder_of_images_through_a_detector(tmp_path: Path) -> None:
    saved("Yolos", tmp_path / "net")
    images = tmp_path / "images"
    images.mkdir()
    for number in range(3):
        an_image(seed=number).save(images / f"{number}.png")
    subject = load_model(f"hf:{tmp_path / 'net'}")
    assert subject.preprocessing is not None
    assert "64 x 64 px whatever its proportions" in in_words(subject.preprocessing)
    examples = load_examples(str(images), subject=subject)
    assert isinstance(examples.inputs, Tensor)
    assert logits_of(subject.module, examples.inputs).argmax(1).tolist() == [0, 0, 0]
    points = {point.name for point in discover(subject.module, examples.inputs).seen}
    assert {"class_labels_classifier.layers.0", "bbox_predictor.layers.2"} <= points


ONE_STAGE: dict[str, Settings] = {
    "ssdlite320_mobilenet_v3_large": {},
    "retinanet_resnet50_fpn_v2": {"min_size": 96, "max_size": 160},
    "fcos_resnet50_fpn": {"min_size": 96, "max_size": 160},
}


@pytest.mark.parametrize("name", list(ONE_STAGE))
def test_what_a_one_stage_detector_chooses_is_among_its_candidates(name: str) -> None:
    torch.manual_seed(0)
    model: Any = torchvision.models.get_model(
        name, weights=None, weights_backbone=None, num_classes=4, topk_candidates=10**6,
        detections_per_img=10**6, nms_thresh=1.0, **ONE_STAGE[name],
    ).eval()  # fmt: skip
    with torch.no_grad():
        for parameter in model.head.parameters():
            if parameter.ndim > 1:
                parameter.add_(torch.randn_like(parameter) * 0.01)
        for module in model.modules():  # as if trained, or nothing reaches the heads
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = 1.0
                module.train()
        model(list(torch.rand(4, 3, 110, 150)))
    model.eval()
    changed = copy.deepcopy(model)
    keep_candidates(changed)
    changed = copy.deepcopy(changed)  # as folding and runtimes do
    x = torch.rand(2, 3, 110, 150)
    with torch.no_grad():
        boxes, scores = boxes_and_scores(changed(x))
        model.score_thresh = float(scores.flatten().sort().values[-300])
        theirs = model(list(x))
    first = 1 if "ssd" in name else 0
    for mine, own, found in zip(boxes, scores, theirs, strict=True):
        assert same(mine, own, model.score_thresh, found, first) > 50


def test_a_detector_of_torchvision_from_its_name(tmp_path: Path) -> None:
    torch.manual_seed(0)
    name = "ssdlite320_mobilenet_v3_large"
    model: nn.Module = torchvision.models.get_model(
        name, weights=None, weights_backbone=None, num_classes=3
    )
    save_file(model.state_dict(), tmp_path / "w.safetensors")
    subject = load_model(
        f"torchvision:{name}", weights=tmp_path / "w.safetensors",
        options=ModelOptions(num_classes=3, image_size=64),
    )  # fmt: skip
    assert subject.preprocessing is not None
    assert subject.preprocessing.size == (64, 64)
    assert task_of(subject.module).name == "detection:0.5"
    x = torch.rand(3, 3, 64, 64)
    assert logits_of(subject.module, x).argmax(1).tolist() == [0, 0, 0]
    plan = discover(subject.module, x)
    assert len(plan) > 60
    assert not plan.missed
    assert "head.regression_head.module_list.5.1" in {point.name for point in plan.points}


def test_a_detector_of_two_stages_is_refused_by_name() -> None:
    with pytest.raises(InputError, match=r"fasterrcnn_resnet50_fpn: .*one stage can be") as caught:
        load_model("torchvision:fasterrcnn_resnet50_fpn")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("auxiliary", [False, True])
def test_a_segmenter_of_torchvision(tmp_path: Path, auxiliary: bool) -> None:
    torch.manual_seed(0)
    name = "deeplabv3_mobilenet_v3_large" if auxiliary else "lraspp_mobilenet_v3_large"
    settings: Settings = {"aux_loss": True} if auxiliary else {}
    model: nn.Module = torchvision.models.get_model(
        name, weights=None, weights_backbone=None, num_classes=4, **settings
    ).eval()
    save_file(model.state_dict(), tmp_path / "w.safetensors")
    subject = load_model(f"torchvision:{name}", weights=tmp_path / "w.safetensors")
    assert task_of(subject.module).name == "positions:0.01"
    assert subject.preprocessing is not None
    assert subject.preprocessing.size == (520, 520)
    x = torch.randn(2, 3, 64, 64)
    assert torch.equal(output_of(subject.module, x), model(x)["out"])
    assert logits_of(subject.module, x).argmax(1).tolist() == [0, 0]


def test_another_threshold_is_told() -> None:
    subject = load_model(
        "torchvision:ssdlite320_mobilenet_v3_large",
        options=ModelOptions(task="detection:0.3", initial="random"),
    )
    assert task_of(subject.module).name == Detection(0.3).name
