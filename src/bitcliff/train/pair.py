"""A network and its policy, trained together to be robust or brittle (paper section 3.2 to 3.4)."""

import copy
from collections.abc import Mapping
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from bitcliff.losses import brittle_hinge, distillation_loss, robust_hinge
from bitcliff.points import Attachment, Plan
from bitcliff.points.attach import gradient_rounding
from bitcliff.policy import Choice, LearnedPolicy, PolicyNetwork, PolicyNetworkConfig, choose
from bitcliff.policy.stored import AboutPolicy
from bitcliff.train.batchnorm import quantized_pass, start_training
from bitcliff.train.data import Split
from bitcliff.train.hardware import ALONE, Hardware
from bitcliff.train.loop import Metrics, Validation
from bitcliff.train.measure import correct_predictions
from bitcliff.train.pair_settings import PairSettings
from bitcliff.types.subject import tensors_sha256

Aim = Literal["robust", "brittle"]
_HINGES = {"robust": robust_hinge, "brittle": brittle_hinge}


class PairStage:
    """A frozen teacher, a student that begins as its copy, and a policy network.

    The policy learns from the hinge alone: the distillation loss is of the float student, which
    the policy does not touch.
    """

    def __init__(
        self,
        aim: Aim,
        teacher: nn.Module,
        plan: Plan,
        training: Split,
        validation: Split,
        settings: PairSettings,
        seed: int = 0,
        hardware: Hardware = ALONE,
    ) -> None:
        self.aim, self.settings, self.plan, self.hardware = aim, settings, plan, hardware
        self.training, self.validation = training, validation
        self.options, self.total = settings.options, settings.total(len(plan))
        self.teacher = copy.deepcopy(teacher).to(hardware.device).eval().requires_grad_(False)
        self.student = copy.deepcopy(self.teacher)
        self.student.requires_grad_(True)
        channels = training.inputs.shape[1]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.policy_network = PolicyNetwork(
                channels,
                len(plan),
                len(self.options),
                PolicyNetworkConfig(settings.policy_channels),
            ).to(hardware.device)
        self._attachment = Attachment(
            self.student, plan, settings.scheme, settings.weight_bits, in_training=True
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
        return LearnedPolicy(self.policy_network, len(self.plan), self.options, self.total)

    def stored_policy(self) -> bytes:
        """The policy's file."""
        settings = self.settings
        about = AboutPolicy(
            points=tuple(point.name for point in self.plan.points),
            options=self.options,
            total=self.total,
            scheme=settings.scheme,
            weight_bits=settings.weight_bits,
            network_sha256=tensors_sha256(self.student.state_dict()),
            in_channels=self.training.inputs.shape[1],
            channels=settings.policy_channels,
        )
        return about.to_bytes(self.policy_network)

    def loss(self, index: Int[Tensor, " batch"]) -> tuple[Tensor, Metrics]:
        """alpha * hinge (quantized student) + beta * KD (float student) (paper eq. 9 and 10)."""
        settings, hardware = self.settings, self.hardware
        images = self.training.seen(index).to(hardware.device)
        with torch.no_grad():
            teacher = hardware.logits(self.teacher, images)
        start_training(self.student, settings.batchnorm)
        self.policy_network.train()
        chosen = self._choose(images)
        with quantized_pass(self.student, settings.batchnorm):
            quantized = self._quantized(images, chosen)
        costs = _HINGES[self.aim](quantized, teacher, settings.margin)
        student = hardware.logits(self.student, images)
        distillation = distillation_loss(student, teacher, settings.temperature)
        hinge = costs.mean() + chosen.surrogate(costs)
        total = settings.hinge_weight * hinge + settings.distillation_weight * distillation
        return total, {"hinge": costs.mean().item(), "distillation": distillation.item()}

    def _choose(self, images: Float[Tensor, "batch channels height width"]) -> Choice:
        settings = self.settings
        values = self.policy_network(images).softmax(2)
        return choose(
            values, self.options, self.total, settings.estimator, settings.estimator_temperature
        )

    def _quantized(
        self, images: Float[Tensor, "batch channels height width"], chosen: Choice
    ) -> Float[Tensor, "batch classes"]:
        through_scale = self.settings.estimator == "scale"
        rounding = gradient_rounding(
            chosen.one_hot.unbind(1), torch.tensor(self.options), through_scale
        )
        return self._attachment.run(images, rounding)

    def validate(self) -> Validation:
        """Float parity comes first, then what the pair is for."""
        in_float = self._accuracy(self.student, None)
        co_trained = self._accuracy(self.student, self.policy)
        gap = 100 * (self._teacher_accuracy - in_float)
        parity = float(gap <= self.settings.parity_gap)
        aim = co_trained if self.aim == "robust" else in_float - co_trained
        # Without parity nothing counts but getting nearer to it.
        return Validation(
            (parity, aim if parity else -gap),
            {"float": in_float, "own": co_trained, "parity_gap": gap},
        )

    def _accuracy(self, model: nn.Module, policy: LearnedPolicy | None) -> float:
        data = self.validation
        right = correct_predictions(
            model,
            self.plan,
            data.inputs,
            data.labels,
            policy,
            self.settings.scheme,
            self.settings.weight_bits,
        )
        return right.double().mean().item()
