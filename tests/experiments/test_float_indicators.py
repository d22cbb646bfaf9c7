from pathlib import Path

import pytest
from experiments.float_indicators import groupings, line_of, measured, print_table, reference_of
from experiments.indicator_networks import Made, networks_of

from bitcliff.questions.indicators.statistics import ABOUT


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Made]]:
    """One epoch each: the way is tested, not the networks."""
    out = tmp_path_factory.mktemp("indicators")
    return out, networks_of(3, out, epochs=1)


def test_what_is_trained_is_kept(made: tuple[Path, list[Made]]) -> None:
    out, networks = made
    files = [one.folder / "network.safetensors" for one in networks]
    before = [(file.read_bytes(), file.stat().st_mtime_ns) for file in files]
    assert networks_of(3, out, epochs=1) == networks
    assert [(file.read_bytes(), file.stat().st_mtime_ns) for file in files] == before
    assert len({weights for weights, _ in before}) == 3
    assert [one.name for one in networks] == ["plain-3", "robust-3", "brittle-3"]


def test_each_is_measured_with_its_outcome(
    made: tuple[Path, list[Made]], capsys: pytest.CaptureFixture[str]
) -> None:
    networks = [measured(one) for one in made[1]]
    for one, found in zip(made[1], networks, strict=True):
        assert found.values.keys() == ABOUT.keys()
        assert None not in found.values.values()
        assert found.brittle == (one.drop >= 20)
        assert line_of(found).startswith(f"{one.name}: float {one.float_right} of 360")
    reference = reference_of(networks, 1)
    assert reference.networks == networks
    by_intent = groupings(networks)["Brittle by intent, against all others"]
    assert [one.brittle for one in by_intent] == [False, False, True]
    print_table(by_intent)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 + len(ABOUT)
    assert lines[2].startswith("| weight_kurtosis_max | ")


def test_a_drop_is_in_points() -> None:
    one = Made("brittle-0", "brittle", 0, Path(), 200, 180, 140, True)
    assert one.drop == pytest.approx(20)
    assert Made("plain-0", "plain", 0, Path(), 200, 180, None, True).drop == 0
