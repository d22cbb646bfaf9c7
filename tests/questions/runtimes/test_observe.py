"""Runtimes in an assessment: measured, judged, recorded, and compared with the simulation."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from bitcliff.adapters import load_model
from bitcliff.adapters.assembly import make_subject
from bitcliff.adapters.runtimes import load_runtime
from bitcliff.audit import Audit
from bitcliff.errors import InputError
from bitcliff.export import float_onnx
from bitcliff.questions.runtimes.observe import observe_runtimes
from bitcliff.questions.runtimes.record import (
    KEY,
    RuntimeFigures,
    RuntimeObserved,
    Runtimes,
    RuntimesObserved,
)
from bitcliff.questions.runtimes.statistics import KIND
from bitcliff.record import Record, with_answer
from bitcliff.types.runtime import Runtime
from bitcliff.types.runtime_choice import OrtOptions
from bitcliff.types.subject import Examples, Subject, examples_sha256
from bitcliff.verdict import judge
from tests.contract.subjects import SETTINGS
from tests.small_networks import DigitsCNN, chain

N = 24


def examples(inputs: torch.Tensor, labels: torch.Tensor | None) -> Examples:
    ids = tuple(map(str, range(len(inputs))))
    return Examples("mine", inputs, labels, ids, len(inputs), examples_sha256(inputs, labels))


@pytest.fixture(scope="module")
def audit() -> Audit:
    """Examples of very different size, so that one scale for all of them loses the small."""
    network = chain(0, points=4, width=10)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(N, 4, generator=generator)
    x[::2] *= 300
    subject = make_subject("chain", network, None, None)
    runtime = load_runtime("torch-dynamic", subject, bytes)
    return Audit(subject, examples(x, network(x).argmax(1)), settings=SETTINGS, runtimes=[runtime])


@pytest.fixture(scope="module")
def record(audit: Audit) -> Record:
    return assessed(audit)


def assessed(audit: Audit) -> Record:
    told = list[str]()
    found = observe_runtimes(audit.prepared, lambda name, _done, _whole: told.append(name))
    assert told == [f"{one.name} against the simulation" for one in audit.prepared.runtimes]
    return with_answer(audit.assess(command="by hand"), KEY, found, KIND)


def the_one(record: Record) -> tuple[RuntimeObserved, RuntimeFigures]:
    observed, figures = record.observed_by(KEY, RuntimesObserved), record.answer(KEY, Runtimes)
    assert observed is not None
    assert figures is not None
    return observed.runtimes[0], figures.runtimes[0]


def test_each_runtime_is_measured_by_itself_and_in_batches(audit: Audit, record: Record) -> None:
    runtime, inputs = audit.prepared.runtimes[0], audit.prepared.examples.inputs
    assert isinstance(inputs, torch.Tensor)
    alone = torch.cat([runtime.run(one) for one in inputs.split(1)]).argmax(1).tolist()
    batch = torch.cat([runtime.run(one) for one in inputs.split(N)]).argmax(1).tolist()
    found = {
        name: [row.outcomes[name].prediction for row in record.examples]
        for name in ("torch-dynamic", "torch-dynamic-batch")
    }
    assert found == {"torch-dynamic": alone, "torch-dynamic-batch": batch}
    assert alone != batch
    results = {policy.name: policy for policy in record.policies if policy.runtime}
    assert {policy.runtime for policy in results.values()} == {"torch-dynamic"}
    assert results["torch-dynamic-batch"].effort.forward_passes == N
    assert results["torch-dynamic-batch"].flips.all.k > 0
    assert all(row.outcomes["torch-dynamic"].bits is None for row in record.examples)


def test_a_flip_by_a_runtime_is_at_risk_and_is_judged(record: Record) -> None:
    flipped = {
        row.id
        for row in record.examples
        if row.outcomes["torch-dynamic-batch"].prediction != row.float_prediction
    }
    assert flipped
    assert flipped <= set(record.at_risk)
    verdict = judge(record, 2.0)
    assert {"torch-dynamic", "torch-dynamic-batch"} <= {j.policy for j in verdict.judgements}
    sentence = judge(record, 2.0, "torch-dynamic-batch").sentence
    assert f"in torch-dynamic-batch ({the_one(record)[0].version})" in sentence


def test_the_ablation_goes_from_the_simulation_to_the_runtime_one_change_at_a_time(
    record: Record,
) -> None:
    rungs = {rung.name: rung for rung in the_one(record)[1].rungs}
    # Weights have 8 bits and one scale already.
    assert list(rungs) == ["simulation", "layers", "activations", "runtime", "batch"]
    assert rungs["simulation"].changed is None
    batch = next(p for p in record.policies if p.name == "torch-dynamic-batch")
    assert rungs["batch"].from_float == batch.flips.all
    assert rungs["runtime"].from_runtime.k == 0
    assert rungs["runtime"].margin_gap == 0
    assert rungs["batch"].changed == rungs["batch"].from_runtime
    # Every simulation is far nearer than batches are. Which is nearest hangs on the processor,
    # whose integer sums the runtime takes.
    gaps = [rungs[name].margin_gap or 0.0 for name in ("simulation", "layers", "activations")]
    assert 0 < max(gaps) < 0.1 * (rungs["batch"].margin_gap or 0.0)


def test_it_says_what_was_quantized_and_how_long_it_takes(record: Record) -> None:
    runtime, _ = the_one(record)
    assert (runtime.quantized, runtime.in_float) == ({"Linear": 5}, {})
    speed = runtime.speed
    assert speed.batch_size == N
    assert speed.simulation is not None
    for seconds in (speed.quantized, speed.in_float, speed.simulation):
        assert 0 < seconds.low <= seconds.median <= seconds.high


class Own(torch.nn.Conv2d):
    """A convolution under another name: in a runtime, a convolution like any other."""


@pytest.mark.parametrize(
    ("kind", "between"),
    [
        (torch.nn.Conv2d, torch.nn.Identity),
        (Own, torch.nn.Identity),
        (torch.nn.Conv2d, torch.nn.Tanh),
    ],
)
def test_folding_is_a_rung_where_it_can_be_done(
    kind: type[torch.nn.Conv2d], between: type[torch.nn.Module]
) -> None:
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        kind(1, 4, 3, bias=False),
        between(),
        torch.nn.BatchNorm2d(4),
        torch.nn.ReLU(),
        torch.nn.Flatten(),
        torch.nn.Linear(144, 3),
    )
    network(10 * torch.randn(64, 1, 8, 8))
    subject = make_subject("folding", network, None, None)
    x = torch.randn(8, 1, 8, 8)
    runtime = load_runtime("ort-dynamic", subject, lambda: float_onnx(network, x))
    record = assessed(Audit(subject, examples(x, None), settings=SETTINGS, runtimes=[runtime]))
    rungs = {rung.name: rung for rung in the_one(record)[1].rungs}
    if between is torch.nn.Tanh:
        assert "folded" not in rungs
        why = "folded: 1 of 1 batch normalisations could not be folded"
        assert the_one(record)[0].left_out == [why]
    else:
        assert "folded" in rungs
        assert the_one(record)[0].left_out == []
    assert network.training is False
    assert isinstance(network[2], torch.nn.BatchNorm2d)


class Padded(torch.nn.Module):
    """Tokens one by one, then their mean. Of each example one row, as of padding, is far larger
    than the rest, and the second layer makes nothing of what it is large in."""

    def __init__(self) -> None:
        super().__init__()
        sizes = ((6, 16), (16, 16), (16, 4))
        self.first, self.second, self.head = (torch.nn.Linear(*size, bias=False) for size in sizes)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.normal_()
            self.first.weight[:8, 0] = 0.0
            self.first.weight[8:, 1:] = 0.0
            self.second.weight[:, 8:] = 0.0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.second(self.first(x).relu()).relu()
        return self.head(x.mean(1))  # type: ignore[no-any-return]


def padded(runtime: str) -> tuple[Audit, Record]:
    torch.manual_seed(0)
    network, x = Padded().eval(), torch.randn(2 * N, 7, 6) + 2 * torch.randn(2 * N, 1, 6)
    x[..., 0] = 0.0
    x[:, 3] = torch.tensor([1e4, 0, 0, 0, 0, 0])
    subject = make_subject("padded", network, None, None)
    loaded = load_runtime(runtime, subject, lambda: float_onnx(network, x))
    audit = Audit(subject, examples(x, None), settings=SETTINGS, runtimes=[loaded])
    return audit, assessed(audit)


def test_one_scale_for_all_rows_is_told_apart() -> None:
    """By hand: 8 bits at each layer's input, one scale for each row of it, zero in the range."""
    audit, record = padded("torch-dynamic")
    observed, figures = the_one(record)
    rungs = {one.name: one for one in (*figures.rungs, *figures.instead)}
    assert "rows" not in rungs
    assert rungs["activations"].from_float.k > 5
    assert rungs["activations-per-row"].from_float.k < rungs["activations"].from_float.k // 2
    network, inputs = audit.prepared.subject.module, audit.prepared.examples.inputs
    assert isinstance(network, Padded)
    assert isinstance(inputs, torch.Tensor)

    def rounded(layer: torch.nn.Linear, x: torch.Tensor) -> torch.Tensor:
        low, high = x.amin(-1, keepdim=True).clamp(max=0), x.amax(-1, keepdim=True).clamp(min=0)
        step = (high - low) / 127  # the runtime leaves 7 bits
        zero = torch.round(-low / step)
        x = ((torch.round(x / step) + zero).clamp(0, 127) - zero) * step
        scale = layer.weight.abs().max() / 127
        weight = torch.round(layer.weight / scale) * scale
        return torch.nn.functional.linear(x.nan_to_num(), weight)

    with torch.no_grad():
        tokens = rounded(network.second, rounded(network.first, inputs).relu()).relu()
        expected = rounded(network.head, tokens.mean(1)).argmax(1)
    by_row = next(one for one in observed.instead if one.name == "activations-per-row")
    assert (by_row.prediction == expected.numpy()).mean() > 0.95  # ties may fall otherwise


def test_a_runtime_with_a_scale_for_each_row_is_simulated_so() -> None:
    pytest.importorskip("torchao")
    _, record = padded("torchao-dynamic")
    rungs = {one.name: one for one in the_one(record)[1].rungs}
    assert [*rungs][-3:] == ["rows", "runtime", "batch"]
    assert rungs["rows"].from_runtime.k < rungs["layers"].from_runtime.k // 2
    assert "activations-per-row" not in {one.name for one in the_one(record)[1].instead}


def test_nan_of_a_runtime_is_a_numeric_failure() -> None:
    subject = make_subject("cnn", DigitsCNN().eval(), None, None)
    x = torch.randn(4, 1, 8, 8)

    def broken(inputs: object) -> torch.Tensor:
        assert isinstance(inputs, torch.Tensor)
        return torch.full((len(inputs), 10), float("nan"))

    runtime = Runtime("odd", "odd 1", "gives NaN", broken, broken, quantized={"Conv": 3})
    record = Audit(subject, examples(x, None), settings=SETTINGS, runtimes=[runtime]).assess()
    found = next(policy for policy in record.policies if policy.name == "odd")
    assert (found.numeric_failures.k, found.agreement.n) == (4, 0)
    assert judge(record, 2.0, "odd").status == "inconclusive"


def saturates_here() -> bool:
    flags = set(Path("/proc/cpuinfo").read_text().split())
    return "avx2" in flags and flags.isdisjoint({"avx512_vnni", "avx_vnni"})


def planted(folder: Path) -> tuple[Subject, bytes, torch.Tensor, torch.Tensor]:
    """Right in float and by exact sums.

    Odd classes have positive weights side by side, whose pairs saturate, and lone negative ones;
    even classes the other way round.
    """
    random, d, classes, n = np.random.default_rng(0), 64, 10, 100
    second, prototypes = np.zeros((d, classes)), np.full((classes, d), 0.6)
    for c in range(classes):
        pairs = random.permutation(d // 2)
        near, lone = pairs[:8], 2 * pairs[8:24] + random.integers(0, 2, 16)
        near = np.concatenate([2 * near, 2 * near + 1])
        sign = 1 if c % 2 else -1
        second[near, c], second[lone, c] = 0.2 * sign, -0.2 * sign
        prototypes[c, near if c % 2 else lone] = 1.0
    y = random.integers(0, classes, n)
    x = np.clip(prototypes[y] + 0.05 * random.standard_normal((n, d)), 0, 1.2)
    first = np.eye(d) + 0.01 * random.standard_normal((d, d))
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "first"], ["h"]),
            helper.make_node("Relu", ["h"], ["r"]),
            helper.make_node("MatMul", ["r", "second"], ["y"]),
        ],
        "planted",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", d])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", classes])],
        [
            numpy_helper.from_array(weight.astype(np.float32), name)
            for name, weight in (("first", first), ("second", second))
        ],
    )
    opset = [helper.make_opsetid("", 17)]
    data = helper.make_model(graph, opset_imports=opset, ir_version=9).SerializeToString()
    (folder / "planted.onnx").write_bytes(data)
    subject = replace(load_model(str(folder / "planted.onnx")), black_box=True)
    return subject, data, torch.from_numpy(x).float(), torch.from_numpy(y)


@pytest.mark.parametrize("flags", [["avx2"], ["avx2", "avx512_vnni"]])
def test_decisions_of_other_processors_are_forecast(
    flags: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As if on either processor, which gives what this one gives with its sums exact or not."""
    subject, data, x, y = planted(tmp_path)
    runtime = load_runtime("ort-dynamic", subject, lambda: data)
    assert runtime.sums is not None
    saturates = flags == ["avx2"]
    here = runtime.sums.saturating() if saturates else runtime.sums.exact()
    monkeypatch.setattr("bitcliff.questions.runtimes.observe.cpu_flags", lambda: flags)
    sums = replace(runtime.sums, compared=lambda: (here, here))
    runtimes = [replace(runtime, run=here, sums=runtime.sums if saturates_here() else sums)]
    record = assessed(Audit(subject, examples(x, y), settings=SETTINGS, runtimes=runtimes))
    observed, figures = the_one(record)
    there, found = observed.other_processor, figures.other_processor
    assert there is not None
    assert found is not None
    assert there.saturates is not saturates
    assert (there.checked, there.alike) == ((64, 64) if saturates else (0, 0))
    assert observed.may_saturate is saturates
    right = [found.right_here, found.right_there]
    exact, saturating = reversed(right) if saturates else right
    assert exact is not None
    assert saturating is not None
    assert (exact.k, exact.n) == (100, 100)
    assert 20 < saturating.k < 60
    assert found.changed.k == len(found.examples) == 100 - saturating.k


def test_what_cannot_be_forecast_is_told_and_a_reduced_range_needs_no_forecast(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuses() -> Any:
        raise InputError("only products by one matrix")

    subject, data, x, _ = planted(tmp_path)
    safe, unsafe = (
        load_runtime("ort-dynamic", subject, lambda: data, options=OrtOptions(reduce_range=reduced))
        for reduced in (True, False)
    )
    assert safe.sums is None
    assert unsafe.sums is not None
    runtimes = [
        safe,
        replace(unsafe, sums=replace(unsafe.sums, saturating=refuses, compared=refuses)),
    ]
    monkeypatch.setattr("bitcliff.questions.runtimes.observe.cpu_flags", lambda: ["avx512_vnni"])
    prepared = Audit(subject, examples(x[:4], None), settings=SETTINGS, runtimes=runtimes).prepared
    found = observe_runtimes(prepared, None).runtimes
    assert [one.other_processor for one in found] == [None, None]
    assert found[0].not_forecast == []
    assert found[1].not_forecast == ["x86 processors without VNNI: only products by one matrix"]
    monkeypatch.setattr("bitcliff.questions.runtimes.observe.cpu_flags", lambda: ["avx2"])
    there = observe_runtimes(prepared, None).runtimes[1].other_processor
    assert there is not None
    assert (there.checked, there.alike) == (0, 0)
