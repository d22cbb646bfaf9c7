import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from bitcliff.adapters import ModelOptions, load_examples, load_model, output_count
from bitcliff.adapters.images import to_input
from bitcliff.errors import InputError
from bitcliff.points.forward import logits_of, output_of
from bitcliff.tasks import task_of
from bitcliff.types.subject import in_parts
from tests.adapters.image_files import an_image
from tests.adapters.subjects import damaged

transformers: Any = importlib.import_module("transformers")

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "good", "bad", "film"]


def save_resnet(folder: Path, names: dict[int, str] | None = None, **processor: Any) -> Any:
    torch.manual_seed(0)
    named = (
        {} if names is None else {"id2label": names, "label2id": {v: k for k, v in names.items()}}
    )
    config = transformers.ResNetConfig(
        embedding_size=8,
        hidden_sizes=[8, 16],
        depths=[1, 1],
        layer_type="basic",
        num_labels=3,
        **named,
    )
    model = transformers.ResNetForImageClassification(config).eval()
    model.save_pretrained(folder)
    if processor:
        kind = processor.pop("kind", transformers.ConvNextImageProcessor)
        kind(**processor).save_pretrained(folder)
    return model


def save_bert(folder: Path) -> Any:
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(WORDS),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=12,
        num_labels=2,
        id2label={0: "NEGATIVE", 1: "POSITIVE"},
        label2id={"NEGATIVE": 0, "POSITIVE": 1},
    )
    model = transformers.BertForSequenceClassification(config).eval()
    model.save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(WORDS))
    transformers.BertTokenizer(str(folder / "vocab.txt")).save_pretrained(folder)
    return model


def test_an_image_classifier_loads_exactly(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = save_resnet(tmp_path, {0: "cat", 1: "cow", 2: "dog"})
    capsys.readouterr()
    subject = load_model(f"hf:{tmp_path}")
    x = torch.randn(2, 3, 64, 64)
    assert torch.equal(subject.module(x).logits, model(x).logits)
    assert subject.class_names == ("cat", "cow", "dog")
    assert subject.preprocessing is None
    assert output_count(subject, x) == 3
    assert tuple(capsys.readouterr()) == ("", "")


def test_made_up_class_names_are_none(tmp_path: Path) -> None:
    save_resnet(tmp_path)
    assert load_model(f"hf:{tmp_path}").class_names is None


def test_a_text_classifier_and_its_tokenizer(tmp_path: Path) -> None:
    model = save_bert(tmp_path)
    subject = load_model(f"hf:{tmp_path}")
    assert subject.tokenizer is not None
    found = subject.tokenizer(["A good film", "bad " * 50])
    assert (found.lengths, found.longest) == ((5, 52), 12)
    tokens = found.inputs
    assert tokens["input_ids"].shape == (2, 12)
    assert tokens["input_ids"][0].tolist() == [2, 5, 6, 8, 3] + [0] * 7
    assert torch.equal(subject.module(**tokens).logits, model(**tokens).logits)
    assert subject.class_names == ("NEGATIVE", "POSITIVE")
    assert output_count(subject, tokens) == 2


@pytest.mark.parametrize("ending", ["ForTokenClassification", "ForMaskedLM"])
def test_a_model_of_every_token(tmp_path: Path, ending: str) -> None:
    save_bert(tmp_path)
    config = transformers.AutoConfig.from_pretrained(tmp_path)
    config.num_labels = 3
    getattr(transformers, f"Bert{ending}")(config).save_pretrained(tmp_path)
    subject = load_model(f"hf:{tmp_path}")
    assert task_of(subject.module).name == "positions"
    (tmp_path / "texts.txt").write_text("a good film\nbad\n")
    examples = load_examples(str(tmp_path / "texts.txt"), subject=subject)
    assert logits_of(subject.module, next(in_parts(examples.inputs))).argmax(1).tolist() == [0, 0]


def test_a_model_of_every_pixel(tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = transformers.SegformerConfig(
        num_labels=3, hidden_sizes=[8, 8, 8, 8], depths=[1, 1, 1, 1], decoder_hidden_size=8,
        num_attention_heads=[1, 1, 1, 1],
    )  # fmt: skip
    model = transformers.SegformerForSemanticSegmentation(config).eval()
    model.save_pretrained(tmp_path)
    size = {"height": 64, "width": 64}
    transformers.SegformerImageProcessor(size=size).save_pretrained(tmp_path)
    subject = load_model(f"hf:{tmp_path}")
    assert task_of(subject.module).name == "positions:0.01"
    assert subject.preprocessing is not None
    images = tmp_path / "images"
    images.mkdir()
    for number in range(3):
        an_image(seed=number).save(images / f"{number}.png")
    examples = load_examples(str(images), subject=subject)
    assert isinstance(examples.inputs, torch.Tensor)
    assert output_of(subject.module, examples.inputs).shape == (3, 3, 16, 16)
    assert logits_of(subject.module, examples.inputs).argmax(1).tolist() == [0, 0, 0]


PROCESSORS: list[dict[str, Any]] = [
    {"size": {"shortest_edge": 96}, "crop_pct": 0.75},
    {"size": {"shortest_edge": 384}, "crop_pct": None},
    {"kind": transformers.ViTImageProcessor, "size": {"height": 64, "width": 80}},
    {"kind": transformers.ViTImageProcessor, "size": {"height": 64, "width": 64}, "resample": 3,
     "image_mean": [0.1, 0.2, 0.3], "image_std": [0.4, 0.5, 0.6]},
    {"kind": transformers.CLIPImageProcessor, "size": {"shortest_edge": 80},
     "crop_size": {"height": 64, "width": 64}},
    {"kind": transformers.BeitImageProcessor, "size": {"height": 80, "width": 80},
     "do_center_crop": True, "crop_size": {"height": 64, "width": 64}},
    {"kind": transformers.ViTImageProcessor, "do_rescale": False, "do_normalize": False},
]  # fmt: skip


@pytest.mark.parametrize("settings", PROCESSORS)
def test_preprocessing_agrees_with_the_folders_own(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    save_resnet(tmp_path, **settings)
    preprocessing = load_model(f"hf:{tmp_path}").preprocessing
    assert preprocessing is not None
    processor = transformers.AutoImageProcessor.from_pretrained(tmp_path)
    # Sizes at which the crop is not off centre by half a pixel, which they round the other way.
    for width, height in [(300, 210), (210, 333), (200, 200)]:
        image = an_image(width, height)
        theirs = processor(image, return_tensors="pt")["pixel_values"][0].float()
        ours = to_input(image, preprocessing, "a")
        # Their tensor resize and Pillow's differ by up to two grey levels at a pixel.
        step = preprocessing.scale / min(preprocessing.std)
        assert theirs.shape == ours.shape
        assert float((theirs - ours).abs().max()) <= 2.01 * step
        assert float((theirs - ours).abs().mean()) <= 0.3 * step


def test_a_processor_with_steps_of_its_own_is_refused(tmp_path: Path) -> None:
    save_resnet(
        tmp_path,
        kind=transformers.PerceiverImageProcessor,
        size={"height": 64, "width": 64},
        crop_size={"height": 128, "width": 128},
    )
    with pytest.raises(InputError, match=r"PerceiverImageProcessor.* FILE\.npz"):
        load_model(f"hf:{tmp_path}")
    subject = load_model(f"hf:{tmp_path}", options=ModelOptions(image_size=64))
    assert subject.preprocessing is not None


def test_a_broken_processor_file_is_named(tmp_path: Path) -> None:
    save_resnet(tmp_path)
    for text in ("{", "[]", '{"image_processor_type": "NoSuch"}'):
        (tmp_path / "preprocessor_config.json").write_text(text)
        with pytest.raises(
            InputError, match=r"preprocessor_config\.json: cannot be used"
        ) as caught:
            load_model(f"hf:{tmp_path}")
        assert "\n" not in str(caught.value)


def test_weights_of_the_users_own(tmp_path: Path) -> None:
    save_resnet(tmp_path / "model")
    state = load_file(tmp_path / "model" / "model.safetensors")
    state["classifier.1.bias"] += 5
    save_file(state, tmp_path / "w.safetensors")
    subject = load_model(f"hf:{tmp_path / 'model'}", weights=tmp_path / "w.safetensors")
    assert torch.equal(
        subject.module.get_parameter("classifier.1.bias"), state["classifier.1.bias"]
    )
    del state["classifier.1.bias"]
    save_file(state, tmp_path / "w.safetensors")
    with pytest.raises(
        InputError, match=r"w\.safetensors: weights of another architecture.*1 keys m"
    ):
        load_model(f"hf:{tmp_path / 'model'}", weights=tmp_path / "w.safetensors")


def test_gaps_in_the_weights_are_not_filled_at_random(tmp_path: Path) -> None:
    save_resnet(tmp_path)
    file = tmp_path / "model.safetensors"
    state = load_file(file)
    bias = state.pop("classifier.1.bias")
    save_file(state, file, {"format": "pt"})
    with pytest.raises(InputError, match=r"1 keys missing \(first: classifier\.1\.bias\)"):
        load_model(f"hf:{tmp_path}")
    save_file(state | {"classifier.1.bias": bias, "more": bias.clone()}, file, {"format": "pt"})
    with pytest.raises(InputError, match=r"1 keys unexpected \(first: more\)"):
        load_model(f"hf:{tmp_path}")
    save_file(state | {"classifier.1.bias": torch.zeros(9)}, file, {"format": "pt"})
    with pytest.raises(InputError, match=r"another architecture|does not load"):
        load_model(f"hf:{tmp_path}")
    save_file(state | {"classifier.1.bias": bias * np.nan}, file, {"format": "pt"})
    with pytest.raises(InputError, match=r"classifier\.1\.bias holds NaN"):
        load_model(f"hf:{tmp_path}")


def test_sharded_weights(tmp_path: Path) -> None:
    model = save_resnet(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    model.save_pretrained(tmp_path, max_shard_size="5KB")
    index = tmp_path / "model.safetensors.index.json"
    x = torch.randn(1, 3, 32, 32)
    assert torch.equal(load_model(f"hf:{tmp_path}").module(x).logits, model(x).logits)
    shard = sorted(tmp_path.glob("model-*.safetensors"))[0]
    shard.write_bytes(shard.read_bytes()[:-9])
    with pytest.raises(InputError, match=f"{shard.name}: truncated"):
        load_model(f"hf:{tmp_path}")
    index.write_text(json.dumps({"weight_map": {"a": "../../etc/passwd"}}))
    with pytest.raises(InputError, match="passwd: no such file"):
        load_model(f"hf:{tmp_path}")
    index.write_text("{}")
    with pytest.raises(InputError, match="has no weight_map"):
        load_model(f"hf:{tmp_path}")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("{", "not readable as JSON"),
        ("[]", "must hold a JSON object"),
        ("{}", "transformers cannot use it"),
        ('{"model_type": "no-such-thing"}', "transformers cannot use it"),
        ('{"model_type": "resnet"}', "its architectures are not given \\(resnet\\); only"),
        (
            '{"model_type": "bert", "architectures": ["BertForNextSentencePrediction"]}',
            "are BertForNextSentencePrediction \\(bert\\); only",
        ),
        ('{"model_type": "x", "auto_map": {"AutoConfig": "code.Config"}}', "cannot use it"),
    ],
)
def test_configurations_that_cannot_be_used(tmp_path: Path, config: str, message: str) -> None:
    save_resnet(tmp_path)
    (tmp_path / "config.json").write_text(config)
    (tmp_path / "code.py").write_text("import os; os.mkdir('ran')")
    with pytest.raises(InputError, match=rf"config\.json: .*{message}") as caught:
        load_model(f"hf:{tmp_path}")
    assert "\n" not in str(caught.value)


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        load_model(f"hf:{tmp_path / 'none'}")
    with pytest.raises(InputError, match=r"config\.json: no such file"):
        load_model(f"hf:{tmp_path}")
    save_resnet(tmp_path)
    (tmp_path / "model.safetensors").rename(tmp_path / "pytorch_model.bin")
    with pytest.raises(InputError, match=r"has no model\.safetensors"):
        load_model(f"hf:{tmp_path}")
    with pytest.raises(InputError, match="--num-classes does not apply"):
        load_model(f"hf:{tmp_path}", options=ModelOptions(num_classes=3))


def test_damaged_weights_are_refused_or_finite(tmp_path: Path) -> None:
    save_resnet(tmp_path)
    file = tmp_path / "model.safetensors"
    whole, refused = file.read_bytes(), 0
    for data in damaged(whole, flips=16, cuts=4):
        file.write_bytes(data)
        try:
            subject = load_model(f"hf:{tmp_path}")
        except InputError:
            refused += 1
            continue
        assert all(bool(p.isfinite().all()) for p in subject.module.parameters())
    assert refused >= 6


def test_half_precision_weights_become_float32(tmp_path: Path) -> None:
    save_resnet(tmp_path)
    state = {k: v.half() if v.is_floating_point() else v for k, v in
             load_file(tmp_path / "model.safetensors").items()}  # fmt: skip
    save_file(state, tmp_path / "model.safetensors", {"format": "pt"})
    module = load_model(f"hf:{tmp_path}").module
    assert {p.dtype for p in module.parameters()} == {torch.float32}


def test_a_model_that_answers_questions(tmp_path: Path) -> None:
    save_bert(tmp_path)
    config = transformers.AutoConfig.from_pretrained(tmp_path)
    model = transformers.BertForQuestionAnswering(config).eval()
    model.save_pretrained(tmp_path)
    subject = load_model(f"hf:{tmp_path}")
    assert task_of(subject.module).name == "span"
    file = tmp_path / "asked.jsonl"
    file.write_text(
        '{"question": "good", "text": "a film"}\n{"question": "a", "text": "bad film"}\n'
    )
    examples = load_examples(str(file), subject=subject)
    inputs = next(in_parts(examples.inputs))
    output = output_of(subject.module, inputs)
    assert not isinstance(inputs, torch.Tensor)
    theirs = model(**inputs)
    assert torch.equal(output[:, 0], theirs.start_logits)
    assert torch.equal(output[:, 1], theirs.end_logits)
    assert examples.texts == ("a film ⟵ good", "bad film ⟵ a")
    file.with_suffix(".txt").write_text("a film\nbad\n")
    with pytest.raises(InputError, match="texts without questions"):
        load_examples(str(file.with_suffix(".txt")), subject=subject)
    file.write_text('{"text": "a film"}\n{"text": "bad"}\n')
    with pytest.raises(InputError, match="line 1: must be an object with a question"):
        load_examples(str(file), subject=subject)


def test_several_labels_are_told_by_the_configuration(tmp_path: Path) -> None:
    save_bert(tmp_path)
    config = transformers.AutoConfig.from_pretrained(tmp_path)
    config.problem_type = "multi_label_classification"
    config.save_pretrained(tmp_path)
    assert task_of(load_model(f"hf:{tmp_path}").module).name == "labels:0"
