import pytest

from bitcliff.adapters.imagenet_classes import imagenet_names, imagenet_wordnet_ids
from bitcliff.adapters.labels import map_labels
from bitcliff.errors import InputError


def test_integers_are_indices_even_with_zeros_in_front() -> None:
    mapped = map_labels(["007", "12", "3"], ("a", "b"), lambda: 2, "dir")
    assert mapped.index == {"007": 7, "12": 12, "3": 3}


def test_names_are_matched_whatever_their_case_and_joints() -> None:
    names = ("great white shark", "tench, Tinca tinca", "T-shirt/top")
    mapped = map_labels(["Great_White-shark", "TENCH", "t_shirt/top"], names, lambda: 3, "dir")
    assert mapped.index == {"Great_White-shark": 0, "TENCH": 1, "t_shirt/top": 2}
    assert mapped.class_names == names


def test_some_names_that_match_and_some_that_do_not_are_refused() -> None:
    with pytest.raises(InputError, match="dir: not among the model's class names: hors; did you"):
        map_labels(["cat", "dog", "hors"], ("dog", "cat", "horse"), lambda: 3, "dir")


def test_a_name_of_two_classes_is_refused() -> None:
    names = ("crane, a bird", "tench", "crane, a machine")
    with pytest.raises(InputError, match=r"'crane' names 2 of the model's classes \(0, 2\)"):
        map_labels(["crane", "tench"], names, lambda: 3, "dir")


def test_wordnet_ids_are_imagenets() -> None:
    ids = imagenet_wordnet_ids()
    assert ids is not None
    # Imagenette's classes and their ImageNet indices, as its authors publish them.
    imagenette = {
        "n01440764": 0, "n02102040": 217, "n02979186": 482, "n03000684": 491, "n03028079": 497,
        "n03394916": 566, "n03417042": 569, "n03425413": 571, "n03445777": 574, "n03888257": 701,
    }  # fmt: skip
    mapped = map_labels(list(imagenette), imagenet_names(), lambda: 1000, "dir")
    assert mapped.index == imagenette
    with pytest.raises(InputError, match="not among ImageNet's 1000 WordNet ids: n99999999"):
        map_labels(["n01440764", "n99999999"], None, lambda: 1000, "dir")


def test_as_many_names_as_outputs_are_numbered_in_sorted_order() -> None:
    mapped = map_labels(["b", "c", "a"], None, lambda: 3, "dir")
    assert mapped.index == {"a": 0, "b": 1, "c": 2}
    assert mapped.class_names == ("a", "b", "c")


def test_names_that_match_nothing_are_refused() -> None:
    with pytest.raises(InputError, match=r"2 classes \(a, b\) match neither .* nor its 3 outputs"):
        map_labels(["a", "b"], ("x", "y", "z"), lambda: 3, "dir")


def test_what_is_told_decides() -> None:
    told = {"cat": 1, "dog": 0}
    mapped = map_labels(["cat"], ("cat", "dog"), lambda: 2, "dir", told)
    assert (mapped.index, mapped.class_names) == (told, ("dog", "cat"))
    # Of more outputs than are named, the others have no names.
    assert map_labels(["cat"], None, lambda: 3, "dir", told).class_names is None
    with pytest.raises(
        InputError, match="dir: --label-map does not say what dogg is; did you mean"
    ):
        map_labels(["cat", "dogg"], None, lambda: 2, "dir", told)


def test_names_that_nothing_tells_are_asked_for() -> None:
    with pytest.raises(InputError, match="--label-map a2=0,a10=1"):
        map_labels(["a10", "a2"], ("x", "y", "z"), lambda: 3, "dir")
