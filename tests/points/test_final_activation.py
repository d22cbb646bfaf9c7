import numpy as np
import pytest
import torch
from scipy.special import logit
from torch import Tensor, nn

from bitcliff.points import Attachment, discover
from bitcliff.points.attach import Rounding
from bitcliff.points.final_activation import (
    FinalActivation,
    final_activation,
    final_of,
    to_logits,
)
from bitcliff.points.find_task import judge_by
from tests.small_networks import SoftmaxByHand, chain

Z = torch.tensor([[3.0, -2.0, 0.5], [0.1, 0.2, 8.0]])


class Ending(nn.Module):
    """A network and what is done to its logits last."""

    def __init__(self, body: nn.Module, end: nn.Module) -> None:
        super().__init__()
        self.body, self.end = body, end

    def forward(self, x: Tensor) -> Tensor:
        return self.end(self.body(x))  # type: ignore[no-any-return]


class Cubed(nn.Module):
    """A softmax whose result is worked on further."""

    def forward(self, z: Tensor) -> Tensor:
        p = z.softmax(1) ** 3
        return p / p.sum(1, keepdim=True)


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        (Z, "none"),
        (Z.softmax(1), "softmax"),
        (Z.softmax(1).half().float(), "softmax"),
        ((100 * Z).softmax(1), "softmax"),
        (Z.sigmoid(), "sigmoid"),
        (torch.cat([Z.softmax(1), torch.full((1, 3), torch.nan)]), "softmax"),
        (Z.log_softmax(1), "none"),
        (torch.full((2, 3), torch.nan), "none"),
    ],
)
def test_scores_tell_what_they_come_out_of(scores: Tensor, expected: str) -> None:
    assert final_activation(scores) == expected


def test_leads_over_float_come_out_of_nothing() -> None:
    """They may all lie in [0, 1], as a sigmoid's scores do."""
    network, leads = nn.Sequential(nn.Linear(3, 4)), torch.tensor([[0.3, 0.0], [0.9, 0.0]])
    assert final_of(network, leads) == "sigmoid"
    judge_by(network, "values:1")
    assert final_of(network, leads) == "none"


def test_logits_come_back_as_another_library_has_them() -> None:
    p = Z.double().sigmoid()
    np.testing.assert_allclose(to_logits(p, "sigmoid"), logit(p.numpy()), rtol=1e-6)
    found = to_logits(Z.double().softmax(1), "softmax")
    np.testing.assert_allclose(found - found[:, :1], Z.double() - Z[:, :1], atol=1e-12)


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_the_order_of_any_two_float32_is_kept(activation: FinalActivation) -> None:
    """Zero, the least that is normal, the greatest below 1, 1, and neighbours between."""
    one = np.float32(1)
    values = [np.float32(0), np.finfo(np.float32).tiny, np.float32(1e-30)]
    for middle in (1e-3, 0.3, 0.5, 0.9):
        values += [np.float32(middle), np.nextafter(np.float32(middle), one)]
    values += [np.nextafter(one, np.float32(0)), one]
    found = to_logits(torch.tensor(np.array(values))[None], activation)[0]
    assert torch.isfinite(found).all()
    assert (found.diff() > 0).all()


@pytest.mark.parametrize(
    ("end", "final"),
    [(nn.Softmax(1), "softmax"), (nn.Softmax(-1), "softmax"), (nn.Sigmoid(), "sigmoid")],
)
def test_what_a_last_activation_is_given_is_found(end: nn.Module, final: FinalActivation) -> None:
    body, x = chain(), torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    network = Ending(body, end).eval()
    attachment = Attachment(network, discover(network, x), weight_bits=None)
    attachment.final = final
    with torch.no_grad():
        scores = attachment.run(200 * x, Rounding(weights=False))
        assert (scores == 1).any()
        assert torch.equal(attachment.followable(scores), body(200 * x))
        # Of the next scores nothing is left over.
        assert torch.equal(attachment.followable(scores), to_logits(scores, final))


@pytest.mark.parametrize("end", [SoftmaxByHand(), Cubed()])
def test_what_cannot_be_reached_is_followed_by_logarithms(end: nn.Module) -> None:
    body, x = chain(), torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    network = Ending(body, end).eval()
    attachment = Attachment(network, discover(network, x), weight_bits=None)
    attachment.final = "softmax"
    with torch.no_grad():
        found = attachment.followable(attachment.run(x, Rounding(weights=False))).float()
        logits = body(x) * (3 if isinstance(end, Cubed) else 1)
        torch.testing.assert_close(found, logits.log_softmax(1), rtol=1e-4, atol=1e-5)
