"""Whether one example changes another's answer, where a runtime takes one scale for a batch."""

from bitcliff.assess.batchmates.bench import Bench
from bitcliff.assess.batchmates.compose import compose_batchmates
from bitcliff.assess.batchmates.measure import Measurement
from bitcliff.assess.batchmates.planted import planted_flips, planted_subject
from bitcliff.types.settings import BatchmatesSettings

__all__ = [
    "BatchmatesSettings",
    "Bench",
    "Measurement",
    "compose_batchmates",
    "planted_flips",
    "planted_subject",
]
