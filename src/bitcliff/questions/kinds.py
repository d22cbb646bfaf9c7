"""How a record reads the answer to each question: torch-free, in the order in which they build on
one another."""

from collections.abc import Mapping

from bitcliff.questions.activations import statistics as activations
from bitcliff.questions.corruptions import statistics as corruptions
from bitcliff.questions.difference import statistics as difference
from bitcliff.questions.distributions import statistics as distributions
from bitcliff.questions.indicators import statistics as indicators
from bitcliff.questions.inputs import statistics as inputs
from bitcliff.questions.layers import statistics as layers
from bitcliff.questions.least_widths import statistics as least_widths
from bitcliff.questions.lengths import statistics as lengths
from bitcliff.questions.mitigations import statistics as mitigations
from bitcliff.questions.runtimes import statistics as runtimes
from bitcliff.questions.variants import statistics as variants
from bitcliff.questions.verification import statistics as verification
from bitcliff.record import AnswerKind

KINDS: Mapping[str, AnswerKind] = {
    "runtimes": runtimes.KIND,
    "difference": difference.KIND,
    "least_widths": least_widths.KIND,
    "verification": verification.KIND,
    "layers": layers.KIND,
    "activations": activations.KIND,
    "inputs": inputs.KIND,
    "distributions": distributions.KIND,
    "corruptions": corruptions.KIND,
    "lengths": lengths.KIND,
    "indicators": indicators.KIND,
    "mitigations": mitigations.KIND,
    "variants": variants.KIND,
}
