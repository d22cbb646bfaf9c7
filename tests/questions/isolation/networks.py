"""Measurements in ONNX Runtime that several tests share."""

import functools

from bitcliff.adapters import load_examples, load_model
from bitcliff.adapters.runtimes import load_runtime
from bitcliff.export import float_onnx
from bitcliff.questions.isolation.bench import Bench
from bitcliff.questions.isolation.observe import Measurement
from bitcliff.types.runtime_choice import OrtOptions
from bitcliff.types.settings import IsolationSettings
from bitcliff.types.subject import AllInputs, Subject

QUICK = IsolationSettings(batch=6, draws=3, candidates=6, effort=8)


def benches(subject: Subject, inputs: AllInputs) -> tuple[Bench, Bench]:
    """The runtime and its network in float."""

    def make_onnx() -> bytes:
        return float_onnx(subject.module, inputs)

    # Signed weights saturate on some processors and not on others.
    runtime = load_runtime("ort-dynamic", subject, make_onnx, OrtOptions(weights="uint8"))
    return Bench(runtime), Bench(runtime).in_float()


@functools.cache
def brittle(settings: IsolationSettings = QUICK) -> Measurement:
    """The brittle network on 14 digits."""
    subject = load_model("brittle-digits")
    examples = load_examples("digits", subject=subject, limit=14)
    found = Measurement(subject, examples, settings, *benches(subject, examples.inputs))
    return found.prepared()
