from bitcliff.errors import nearest


def test_nearest_names_what_may_have_been_meant() -> None:
    assert nearest("resnet19", ["resnet18", "vgg11"]) == "; did you mean resnet18?"
    assert nearest("zzz", ["resnet18"]) == ""
