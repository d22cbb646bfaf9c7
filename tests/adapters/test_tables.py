from pathlib import Path

import pytest
import torch

from bitcliff.adapters import load_examples
from bitcliff.errors import InputError
from bitcliff.points.find_task import judge_by
from bitcliff.tasks import task_of
from bitcliff.tasks.against_float import AgainstFloat
from tests.adapters.image_files import save_image
from tests.adapters.subjects import a_subject


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("p/a.png", "p/b.png", "c, d.png"):
        save_image(tmp_path / name)
    return tmp_path


def table(folder: Path, text: str | bytes) -> str:
    path = folder / "data.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return str(path)


def test_paths_are_relative_to_the_table(folder: Path) -> None:
    spec = table(folder, '\ufeffpath,label,note\np/a.png,2,x\n"c, d.png", 0,\np/a.png,1,\n')
    examples = load_examples(spec, subject=a_subject(3))
    assert examples.labels is not None
    assert examples.labels.tolist() == [2, 0, 1]
    assert examples.ids == ("p/a.png (row 2)", "c, d.png", "p/a.png (row 4)")


def test_labels_may_be_class_names(folder: Path) -> None:
    spec = table(folder, "label,path\ndog,p/a.png\ncat,p/b.png\n")
    examples = load_examples(spec, subject=a_subject(3, class_names=("cat", "cow", "dog")))
    assert examples.labels is not None
    assert examples.labels.tolist() == [2, 0]


def test_paths_alone_are_unlabelled(folder: Path) -> None:
    examples = load_examples(table(folder, "path\np/a.png\np/b.png\n"), subject=a_subject())
    assert examples.labels is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "its first row must name the columns"),
        ("file,label\np/a.png,1\n", "its first row must name the columns"),
        ("path;label\np/a.png;1\n", "separated by commas"),
        ("path,label\n", "holds no examples"),
        ("path,label\np/a.png,0\np/none.png,1\n", r"row 3: no such file: .*none\.png"),
        ("path,label\np/a.png,0\np/b.png\n", "row 3: label is empty"),
        ("path,label\n,0\n", "row 2: path is empty"),
        ("path,label\np/a.png,0\np/b.png,-1\n", "-1 is no class index"),
        ("path,label\np/a.png,0\np/b.png,3\n", r"label 3 of p/b\.png is out of range"),
        ("path,label\np/a.png,1\np/b.png,1\n", "all examples are of one class"),
        ("path,with,label\np/a.png,p/b.png,same\n", r"has pairs \(with\): say .* verification:"),
        ("path,label\np\0,1\np/b.png,1\n", "zero byte|not readable"),
        (b"path,label\n\xff\xfe,1\n", "not readable as CSV in UTF-8"),
        ('path,label\n"' + "x" * 200_000 + '",1\n', "not readable as CSV"),
    ],
)
def test_tables_that_cannot_be_used(folder: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        load_examples(table(folder, text), subject=a_subject(3))
    assert "data.csv" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_pairs_are_labelled_by_whether_they_are_the_same(folder: Path) -> None:
    subject = a_subject(4)
    judge_by(subject.module, "verification:0.9999")
    spec = table(folder, 'path,with,label\np/a.png,p/a.png,same\np/b.png,"c, d.png",different\n')
    examples = load_examples(spec, subject=subject)
    task = task_of(subject.module)
    assert isinstance(task, AgainstFloat)
    told = task.told(examples.inputs)
    assert told is not None
    (first, second) = told
    own = subject.module(examples.inputs)
    torch.testing.assert_close(first, torch.cat([own[0], torch.ones(1)]).double())
    assert second[-1] == 0
    assert not torch.allclose(second[:-1].float(), own[1])
    for text, said in (
        ("path,label\np/a.png,same\n", "path, with and label, separated by commas; it lacks with"),
        ("path,with,label\np/a.png,no.png,same\n", "row 2: no such file"),
        ("path,with,label\np/a.png,p/b.png,maybe\n", "row 2: label 'maybe'; must be same or"),
    ):
        with pytest.raises(InputError, match=said):
            load_examples(table(folder, text), subject=subject)
