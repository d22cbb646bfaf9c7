from bitcliff.adapters.wording import listed, one_line, shortened


def test_an_error_of_many_lines_becomes_one_without_escapes() -> None:
    assert one_line(ValueError("a\n\n  b\t\x1b[1mc")) == "ValueError: a b [1mc"
    assert one_line(KeyError()) == "KeyError"
    assert len(one_line(ValueError("x" * 10_000))) < 300


def test_listed_counts_what_it_leaves_out() -> None:
    assert listed("abcde") == "a, b, c and 2 more"
    assert listed("ab") == "a, b"


def test_what_a_server_says_is_cut_before_it_is_read() -> None:
    assert shortened("a\n\n  b\x1b[1mc") == "a b [1mc"
    assert shortened("") == ""
    assert len(shortened("x " * 10_000_000)) < 300
