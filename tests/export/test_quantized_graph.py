"""A quantized network as a file gives in ONNX Runtime what the simulation gives."""

from collections.abc import Callable
from typing import Any

import onnx
import onnxruntime as ort
import pytest
import torch
from timm.models.swin_transformer import SwinTransformer
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from bitcliff.adapters import load_examples, load_model
from bitcliff.errors import InputError
from bitcliff.export import drop_observed, quantized_model, serialized, to_onnx
from bitcliff.export.quantized_graph import DOMAIN
from bitcliff.points import Attachment, Selection, discover
from bitcliff.points.attach import rounding_to
from bitcliff.policy import Batch
from bitcliff.policy.stored import read_policy
from bitcliff.types.subject import Examples
from bitcliff.zoo.shipped import SHIPPED


def attached(model: nn.Module, inputs: Tensor, in_float: str, scheme: str) -> Attachment:
    plan = discover(model, inputs, Selection(in_float=(in_float,)))
    return Attachment(model, plan, scheme, 16, per_channel=True)


def running(model: Any) -> Any:
    return ort.InferenceSession(serialized(model), providers=["CPUExecutionProvider"])


def test_decisions_are_the_simulations_alone_and_in_a_batch() -> None:
    subject = load_model("robust-digits")
    inputs = load_examples("digits", subject=subject, limit=24, seed=0).inputs
    assert isinstance(inputs, Tensor)
    check_decisions(attached(subject.module, inputs, "stages.0.conv1", "onnx"), inputs)


def test_so_they_are_where_each_length_of_row_has_a_rounding_of_its_own(
    cnn: nn.Module, held_out: Examples
) -> None:
    assert isinstance(held_out.inputs, Tensor)
    inputs = held_out.inputs[:24]
    model = check_decisions(attached(cnn, inputs, "hidden", "percentile(99)"), inputs)
    assert len({function.name for function in model.functions if function.domain == DOMAIN}) >= 3


def check_decisions(attachment: Attachment, inputs: Tensor) -> Any:
    bits = torch.randint(3, 11, (24, len(attachment.plan)), generator=torch.Generator())
    with torch.no_grad():
        expected = attachment.run(inputs, rounding_to(bits))
    model = quantized_model(attachment, inputs, observed=True, metadata={"bits": "an input"})
    onnx.checker.check_model(serialized(model), full_check=True)
    assert [(one.key, one.value) for one in model.metadata_props] == [("bits", "an input")]
    observed = running(model).run(None, {"input": inputs.numpy(), "bits": bits.numpy()})
    assert len(observed) == 1 + 2 * len(attachment.plan)
    drop_observed(model)
    session = running(model)
    (scores,) = session.run(None, {"input": inputs.numpy(), "bits": bits.numpy()})
    assert (scores == observed[0]).all()
    assert scores.argmax(1).tolist() == expected.argmax(1).tolist()
    for index in range(3):
        one = slice(index, index + 1)
        (alone,) = session.run(None, {"input": inputs[one].numpy(), "bits": bits[one].numpy()})
        assert (alone == scores[one]).all()
    return model


def small_swin() -> nn.Module:
    """Two stages with windows of 4 by 4, shifted in every other layer."""
    return SwinTransformer(
        img_size=64, window_size=4, embed_dim=24, depths=(2, 2), num_heads=(2, 4), num_classes=10
    )


def small_vit() -> nn.Module:
    """Two layers of fused attention."""
    return VisionTransformer(
        img_size=64, patch_size=16, embed_dim=32, depth=2, num_heads=2, num_classes=10
    )


@pytest.mark.slow
@pytest.mark.parametrize("make", [small_swin, small_vit])
def test_transformers_of_images_decide_alike(make: Callable[[], nn.Module]) -> None:
    torch.manual_seed(0)
    model, x = make().eval().requires_grad_(False), torch.randn(8, 3, 64, 64)
    attachment = Attachment(model, discover(model, x), "onnx", 16)
    bits = torch.randint(5, 11, (8, len(attachment.plan)))
    with torch.no_grad():
        expected = attachment.run(x, rounding_to(bits))
    session = running(quantized_model(attachment, x))
    (scores,) = session.run(None, {"input": x.numpy(), "bits": bits.numpy()})
    assert scores.argmax(1).tolist() == expected.argmax(1).tolist()
    (alone,) = session.run(None, {"input": x[:1].numpy(), "bits": bits[:1].numpy()})
    assert alone[0].argmax() == scores[0].argmax()


def test_an_input_cannot_be_named_as_the_bits_are() -> None:
    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(4, 3)

        def forward(self, bits: Tensor) -> Tensor:
            out: Tensor = self.head(bits)
            return out

    model, inputs = Named().eval(), {"bits": torch.randn(4, 4)}
    plan = discover(model, inputs, Selection(include_stem=True))
    with pytest.raises(InputError, match="its input 'bits' has the name of the bit-widths"):
        quantized_model(Attachment(model, plan), inputs)


def test_constant_bits_are_the_same_bits_as_an_input(cnn: nn.Module, held_out: Examples) -> None:
    assert isinstance(held_out.inputs, Tensor)
    inputs = held_out.inputs[:12]
    attachment = attached(cnn, inputs, "hidden", "onnx")
    bits = torch.randint(3, 11, (len(attachment.plan),), generator=torch.Generator())
    constant = running(quantized_model(attachment, inputs, bits))
    assert [given.name for given in constant.get_inputs()] == ["input"]
    asked = running(quantized_model(attachment, inputs))
    fed = {"input": inputs.numpy(), "bits": bits.expand(12, -1).numpy()}
    assert (constant.run(None, {"input": inputs.numpy()})[0] == asked.run(None, fed)[0]).all()


@pytest.mark.slow
def test_a_co_trained_policy_chooses_in_the_graph() -> None:
    subject = load_model("brittle-digits")
    inputs = load_examples("digits", subject=subject, limit=30, seed=0).inputs
    assert isinstance(inputs, Tensor)
    attachment = Attachment(subject.module, discover(subject.module, inputs, Selection()), "onnx")
    file = SHIPPED["brittle-digits"].policy
    assert file is not None
    policy = read_policy(file).policy
    expected = policy(Batch(inputs, torch.arange(30)))
    session = running(quantized_model(attachment, inputs, policy))
    scores, bits = session.run(["scores", "bits"], {"input": inputs.numpy()})
    assert bits.tolist() == expected.tolist()
    with torch.no_grad():
        ours = attachment.run(inputs, rounding_to(expected))
    assert scores.argmax(1).tolist() == ours.argmax(1).tolist()


class _Attention(nn.Module):
    """Keyword inputs, attention and a matrix product, as in a text model."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.attend = nn.Embedding(11, 8), nn.MultiheadAttention(8, 2, batch_first=True)
        self.head = nn.Linear(8, 3)

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        x = self.embed(tokens)
        x = x + self.attend(x, x, x, need_weights=False)[0]
        scores: Tensor = self.head((x * mask[:, :, None]).sum(1))
        return scores


def test_keyword_inputs_and_attention() -> None:
    torch.manual_seed(0)
    model = _Attention().eval().requires_grad_(False)
    fed = {"tokens": torch.randint(0, 11, (5, 6)), "mask": torch.rand(5, 6)}
    attachment = Attachment(model, discover(model, fed, Selection()), "paper")
    bits = torch.full((5, len(attachment.plan)), 6)
    session = running(quantized_model(attachment, fed))
    assert {given.name for given in session.get_inputs()} == {"tokens", "mask", "bits"}
    feed = {name: value.numpy() for name, value in {**fed, "bits": bits}.items()}
    with torch.no_grad():
        expected = attachment.run(fed, rounding_to(bits))
    torch.testing.assert_close(torch.from_numpy(session.run(None, feed)[0]), expected)


class _Reads(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.head(x)
        return y if y.sum().item() > -1e9 else -y


def test_what_cannot_be_traced_is_refused_in_one_line() -> None:
    model = _Reads().eval()
    inputs = torch.randn(3, 4)
    plan = discover(model, inputs, Selection(include_stem=True))
    with pytest.raises(InputError, match="cannot be written as ONNX") as error:
        quantized_model(Attachment(model, plan), inputs)
    assert "\n" not in str(error.value)


def test_a_file_beyond_what_the_format_holds_is_refused() -> None:
    class Huge:
        def ByteSize(self) -> int:  # noqa: N802  (protobuf's name)
            return 2**31

    with pytest.raises(InputError, match=r"2\.0 GB, and a file of that format holds 2 GB"):
        serialized(Huge())


def test_weights_beyond_what_the_format_holds_are_refused_before_tracing() -> None:
    # Tracing would refuse weights that are nowhere, in other words.
    huge = nn.Linear(2**15, 2**14, device="meta")
    with pytest.raises(InputError, match=r"2\.0 GB, and a file of that format holds 2 GB"):
        to_onnx(huge, {"x": torch.zeros(2, 4)})
