import pickle
from collections import OrderedDict
from fractions import Fraction

import pytest

from bitcliff.adapters.pickle_scan import scan_pickles


@pytest.mark.parametrize("protocol", range(6))
def test_names_are_found_in_every_protocol(protocol: int) -> None:
    data = pickle.dumps([Fraction(1, 2), Fraction(3)], protocol=protocol)
    scan = scan_pickles(data)
    assert "fractions.Fraction" in scan.foreign
    assert not scan.whole_module


def test_several_pickles_in_a_row_are_all_read() -> None:
    data = pickle.dumps(1, protocol=2) + pickle.dumps(Fraction(1, 2), protocol=2) + b"\xff\xfe raw"
    assert scan_pickles(data).foreign == ("fractions.Fraction",)


def test_harmless_names_and_garbage_give_nothing() -> None:
    assert scan_pickles(pickle.dumps(OrderedDict(a=1), protocol=2)).foreign == ()
    assert scan_pickles(b"\xff\x00garbage").foreign == ()
    assert scan_pickles(b"").foreign == ()
