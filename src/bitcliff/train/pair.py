"""A network and its policy, trained together to be robust or brittle (paper section 3.2 to 3.4)."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from bitcliff.losses import brittle_hinge, distillation_loss, robust_hinge
from bitcliff.points import Attachment, Plan, discover
from bitcliff.points.attach import gradient_rounding
from bitcliff.policy import LearnedPolicy, PolicyNetwork, PolicyNetworkConfig, choose
from bitcliff.train.batchnorm import BatchNormMode, start_training, statistics_kept
from bitcliff.train.data import Split
from bitcliff.train.loop import Metrics, Validation
from bitcliff.train.measure import right_answers

Aim = Literal["robust", "brittle"]
_HINGES = {"robust": robust_hinge, "brittle": brittle_hinge}


@dataclass(frozen=True)
class PairSettings:
    """What a pair is trained for.

    Attributes:
        options: widths the policy may choose. total: bits every example spends.
        scheme: "paper", "onnx" or "percentile(p)". weight_bits: symmetric, each forward pass.
        margin: delta of the hinge. temperature: of distillation.
        hinge_weight, distillation_weight: alpha and beta.
        batchnorm: which passes update running statistics: "both", "float" or "frozen".
        parity_gap: float accuracy, in points, that a pair may lose before it fails parity.
    """

    options: tuple[int, ...]
    total: int
    scheme: str = "paper"
    weight_bits: int = 16
    margin: float = 0.5
    temperature: float = 5.0
    hinge_weight: float = 1.0
    distillation_weight: float = 1.0
    batchnorm: BatchNormMode = "float"
    parity_gap: float = 2.0
    policy: PolicyNetworkConfig = field(default_factory=PolicyNetworkConfig)


class PairStage:
    """A frozen teacher, a student that begins as its copy, and a policy network.

    The policy learns from the hinge alone: the distillation loss is of the float student, which
    the policy does not touch.
    """

    def __init__(
        self,
        aim: Aim,
        teacher: nn.Module,
        training: Split,
        validation: Split,
        settings: PairSettings,
        seed: int = 0,
    ) -> None:
        self.aim, self.settings = aim, settings
        self.training, self.validation = training, validation
        self.teacher = copy.deepcopy(teacher).eval().requires_grad_(False)
        self.student = copy.deepcopy(self.teacher)
        self.plan: Plan = discover(self.student, training.inputs[:8])
        self.student.requires_grad_(True)
        channels = training.inputs.shape[1]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.policy_network = PolicyNetwork(
                channels, len(self.plan), len(settings.options), settings.policy
            )
        self._attachment = Attachment(
            self.student, self.plan, settings.scheme, settings.weight_bits, in_training=True
        )
        self._teacher_accuracy = self._accuracy(self.teacher, None)

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        """The student and its policy."""
        return {"network": self.student, "policy": self.policy_network}

    @property
    def ids(self) -> tuple[str, ...]:
        """Of the training examples."""
        return self.training.ids

    @property
    def policy(self) -> LearnedPolicy:
        """The policy as it stands."""
        settings = self.settings
        return LearnedPolicy(self.policy_network, len(self.plan), settings.options, settings.total)

    def loss(self, index: Int[Tensor, " batch"]) -> tuple[Tensor, Metrics]:
        """alpha * hinge (quantized student) + beta * KD (float student) (paper eq. 9 and 10)."""
        settings, pictures = self.settings, self.training.inputs[index]
        with torch.no_grad():
            wanted = self.teacher(pictures)
        start_training(self.student, settings.batchnorm)
        self.policy_network.train()
        with statistics_kept(self.student, settings.batchnorm):
            quantized = self._quantized(pictures)
        hinge = _HINGES[self.aim](quantized, wanted, settings.margin)
        distillation = distillation_loss(self.student(pictures), wanted, settings.temperature)
        total = settings.hinge_weight * hinge + settings.distillation_weight * distillation
        return total, {"hinge": hinge.item(), "distillation": distillation.item()}

    def _quantized(
        self, pictures: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch classes"]:
        settings = self.settings
        values = self.policy_network(pictures).softmax(2)
        chosen = choose(values, settings.options, settings.total)
        options = torch.tensor(settings.options)
        return self._attachment.run(pictures, gradient_rounding(chosen.unbind(1), options))

    def validate(self) -> Validation:
        """Float parity comes first, then what the pair is for."""
        in_float = self._accuracy(self.student, None)
        own = self._accuracy(self.student, self.policy)
        gap = 100 * (self._teacher_accuracy - in_float)
        parity = float(gap <= self.settings.parity_gap)
        aim = own if self.aim == "robust" else in_float - own
        # Without parity nothing counts but getting nearer to it.
        return Validation(
            (parity, aim if parity else -gap),
            {"float": in_float, "own": own, "parity_gap": gap},
        )

    def _accuracy(self, model: nn.Module, policy: LearnedPolicy | None) -> float:
        data = self.validation
        right = right_answers(
            model,
            self.plan,
            data.inputs,
            data.labels,
            policy,
            self.settings.scheme,
            self.settings.weight_bits,
        )
        return right.double().mean().item()
