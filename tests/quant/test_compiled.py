"""The compiled loops against PyTorch's operations, which define every bit."""

import inspect
import sys
from collections.abc import Callable
from pathlib import Path

import numba
import numpy as np
import pytest
import timm
import torch
from torch import Tensor

from bitcliff import compiled
from bitcliff.adapters.oracles import VALUES, values_of
from bitcliff.points import Attachment, discover
from bitcliff.points.attach import gradient_rounding, rounding_to
from bitcliff.quant import Scheme, choice_gradient, fake_quantize, loops, round_shipped
from bitcliff.quant import compiled as of_tensors
from bitcliff.types.presets import PRESETS
from tests.quant.rows_to_round import far_rows, ordinary_rows

NEVER = 1 << 62
LOOPS = "bitcliff.quant.loops"
ROWS = np.random.default_rng(0).normal(size=(2, 40)).astype(np.float32)
SCHEMES = ("paper", "onnx", "percentile(90)")


@pytest.fixture
def both(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Tensor]], list[Tensor]]:
    """Runs something in PyTorch alone, then with the loops, whatever its size."""

    def run(work: Callable[[], Tensor]) -> list[Tensor]:
        results = []
        for patience in (NEVER, -1):
            monkeypatch.setattr(compiled, "_PATIENCE", patience)
            results.append(work())
        return results

    return run


def assert_same(one: Tensor, other: Tensor) -> None:
    """To the last bit, the sign of zero included; of a NaN, that it is one."""
    assert torch.equal(one.isnan(), other.isnan())
    assert one.dtype == other.dtype
    width = torch.int64 if one.dtype == torch.float64 else torch.int32
    one, other = ((x.float() if x.element_size() == 2 else x).contiguous() for x in (one, other))
    there = ~one.isnan()
    assert torch.equal(one.view(width)[there], other.view(width)[there])


def broken_rows(size: int) -> Tensor:
    rows = torch.randn(8, size, generator=torch.Generator().manual_seed(0))
    rows[0, 3], rows[1, 5], rows[2, 1], rows[3, 2] = np.nan, -np.nan, np.inf, -np.inf
    rows[4], rows[5], rows[6], rows[7] = 0.0, -0.0, -2.5, np.nan
    return rows


def test_the_loops_are_compiled_here() -> None:
    """Else every test below would hold PyTorch against itself."""
    assert compiled._compiled(LOOPS) is not None
    for name in ("ends", "largest", "to_own_grid", "to_integers", "to_floats", "projected_errors"):
        assert hasattr(getattr(loops, name), "inspect_llvm"), name


@pytest.mark.parametrize("size", [9, 703, 5000])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_integers_of_each_example(
    both: Callable[[Callable[[], Tensor]], list[Tensor]], scheme: str, size: int
) -> None:
    kinds = (*ordinary_rows(1, size).values(), *far_rows(1, size).values())
    rows = torch.cat([torch.from_numpy(np.stack(kinds)), broken_rows(size)])
    for bits in range(2, 17):
        assert_same(*both(lambda: fake_quantize(rows, bits, scheme)))  # noqa: B023
    heard: list[list[int]] = []
    both(lambda: fake_quantize(rows, 8, scheme, lambda rows: heard.append(rows.tolist())))
    assert heard[0] == heard[1]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_any_layout_and_type(
    both: Callable[[Callable[[], Tensor]], list[Tensor]], scheme: str
) -> None:
    x = torch.randn(6, 5, 7, 4, generator=torch.Generator().manual_seed(2))
    bits = torch.tensor([2, 3, 5, 8, 12, 16])
    laid = (
        x,
        x.contiguous(memory_format=torch.channels_last),
        x.permute(1, 2, 3, 0).contiguous().permute(3, 0, 1, 2),
        x[:, 1:3],
        x[:, :1].expand(6, 5, 7, 4),
        torch.complex(x, x).conj().imag,
    )
    for one in (*laid, x.double(), x.half(), x.bfloat16()):
        given, loops = both(lambda: fake_quantize(one, bits, scheme))  # noqa: B023
        assert_same(given, loops)
        assert given.stride() == loops.stride()


@pytest.mark.parametrize("size", [1, 7, 511, 513, 3001, 40_000])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_errors_weighed_by_a_gradient(
    both: Callable[[Callable[[], Tensor]], list[Tensor]], scheme: str, size: int
) -> None:
    draw = torch.Generator().manual_seed(3)
    x, gradient = torch.randn(2, 11, size, generator=draw)
    x[3, 0] = float("inf")
    options = torch.arange(3, 11)
    assert_same(*both(lambda: choice_gradient(x, gradient, options, Scheme.parse(scheme))))


@pytest.mark.parametrize("name", [name for name, one in PRESETS.items() if one.activations])
def test_shipped_formats(both: Callable[[Callable[[], Tensor]], list[Tensor]], name: str) -> None:
    for kind in VALUES:
        for dtype in (torch.float32, torch.float16, torch.bfloat16):
            x = values_of(kind, 1 << 13, 256, dtype)
            assert_same(*both(lambda: round_shipped(x, name)))  # noqa: B023
    broken = torch.cat([broken_rows(256), 1e-38 * broken_rows(256)])
    assert_same(*both(lambda: round_shipped(broken, name)))


@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("network", ["mobilenetv3_small_050", "test_vit"])
def test_gradients_through_a_whole_network(
    both: Callable[[Callable[[], Tensor]], list[Tensor]],
    memory: torch.memory_format,
    network: str,
) -> None:
    """In inputs, weights and choices: a single layer once hid an error that a network had."""
    torch.manual_seed(0)
    model = timm.create_model(network, num_classes=10).eval().to(memory_format=memory)
    side = 160 if network == "test_vit" else 64
    images = torch.randn(4, 3, side, side).contiguous(memory_format=memory).requires_grad_()
    plan = discover(model, images.detach())
    options = torch.arange(3, 11)
    picked = torch.randint(len(options), (len(plan), 4))
    attachment = Attachment(model, plan, "onnx", in_training=True)

    def everything() -> Tensor:
        choices = [torch.eye(len(options))[one].requires_grad_() for one in picked]
        parts: list[Tensor] = []
        for given, rounding in (
            (choices, gradient_rounding(choices, options)),
            ([], rounding_to(options[picked.T])),
        ):
            scores = attachment.run(images, rounding)
            sources = [images, *given, *model.parameters()]
            found = torch.autograd.grad(scores.square().sum(), sources, allow_unused=True)
            parts += [scores.detach(), *(gradient for gradient in found if gradient is not None)]
        return torch.cat([part.flatten() for part in parts])

    assert_same(*both(everything))


def test_export_goes_on_in_operations_of_pytorch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "_PATIENCE", -1)

    class Rounded(torch.nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return round_shipped(x, "vllm-int8-token")

    x = torch.randn(3, 64)
    exported = torch.export.export(Rounded(), (x,), strict=False)
    assert_same(exported.module()(x), Rounded()(x))
    assert "aten.round" in str(exported.graph)


def test_without_numba_and_where_it_is_switched_off_pytorch_serves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    load = inspect.unwrap(compiled._compiled)
    monkeypatch.setattr("numba.config.DISABLE_JIT", True)
    assert load(LOOPS) is None
    monkeypatch.setitem(sys.modules, "numba", None)
    assert load(LOOPS) is None


def test_short_runs_do_not_load_it(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[None] = []
    monkeypatch.setattr(compiled, "_compiled", lambda _module: asked.append(None))
    monkeypatch.setattr(compiled, "_waited", 0)
    monkeypatch.setattr(compiled, "_PATIENCE", 3 * of_tensors._A_CALL)
    none, small, large = (torch.zeros(1, n) for n in (0, 1, of_tensors._A_CALL))
    for x, times in ((none, 0), (small, 0), (large, 0), (none, 0), (small, 1), (none, 1)):
        of_tensors.loops_for(x)
        assert len(asked) == times


def test_threads_share_rows_and_change_nothing(
    both: Callable[[Callable[[], Tensor]], list[Tensor]],
) -> None:
    x, g = torch.randn(2, 5, 30_000, generator=torch.Generator().manual_seed(0))
    options = torch.tensor([2, 4, 8])
    threads = torch.get_num_threads()
    try:
        for count in (2, 3, 7):
            torch.set_num_threads(count)
            assert_same(*both(lambda: fake_quantize(x, torch.tensor([2, 3, 5, 8, 16]), "onnx")))
            assert_same(*both(lambda: choice_gradient(x, g, options, Scheme.parse("onnx"))))
            assert_same(*both(lambda: round_shipped(x, "vllm-int8-token")))
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("harm", ["cut short", "no folder"])
def test_machine_code_that_cannot_be_kept_is_made_anew(
    harm: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "kept" if harm == "cut short" else Path("/proc/nowhere")
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(folder))
    found = []
    for _ in range(2):
        compiled._compiled.cache_clear()
        own = compiled._compiled(LOOPS)
        assert own is not None
        peaks = np.empty(2, np.float32)
        own.largest(ROWS.view(np.int32), peaks.view(np.int32))
        found.append(peaks.tolist())
        for file in folder.rglob("*.nb[ic]"):
            file.write_bytes(file.read_bytes()[:9])
    assert found == [np.abs(ROWS).max(1).tolist()] * 2
    assert harm == "no folder" or any(folder.rglob("*.nbc"))
    compiled._compiled.cache_clear()
