"""Sounds in files, as a network of a Hugging Face folder hears them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
import transformers
from scipy.signal import resample_poly

from bitcliff.adapters import load_examples, load_model
from bitcliff.errors import InputError
from bitcliff.points.forward import logits_of, output_of, take, unpadded
from bitcliff.tasks import task_of
from bitcliff.types.subject import MASK, Sounds, Subject, Texts
from tests.adapters.subjects import a_subject, damaged
from tests.sound_models import (
    RATE,
    TONES,
    classifier,
    save_model,
    save_tones,
    speller,
    tone,
)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sounds")
    for name, model in (("plain", classifier(False)), ("masked", classifier(True))):
        save_model(model, folder / name)
    save_model(speller(), folder / "spells")
    save_tones(folder / "tones", 8)
    return folder


@pytest.fixture(scope="module")
def plain(folders: Path) -> Subject:
    return load_model(f"hf:{folders / 'plain'}")


def write(path: Path, samples: Any, rate: int = RATE) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate, subtype="FLOAT" if path.suffix == ".wav" else None)
    return str(path)


def a_tone(seconds: float = 0.1, rate: int = RATE, seed: int = 0) -> Any:
    return tone(["middle"], seconds, np.random.default_rng(seed), rate)


def test_folders_are_classes_and_lengths_are_batches(folders: Path, plain: Subject) -> None:
    examples = load_examples(str(folders / "tones"), subject=plain)
    assert len(examples) == 24
    assert examples.labels is not None
    assert plain.class_names == tuple(TONES)
    for one, label in zip(examples.ids, examples.labels.tolist(), strict=True):
        assert one.startswith(f"{list(TONES)[label]}/")
    assert examples.preprocessing == (
        "sound at 4000 Hz, by Wav2Vec2FeatureExtractor; resampled from 8000 to 4000 Hz: 6 of 24; "
        "mixed to mono by the mean: 6 of 24"
    )
    assert isinstance(examples.inputs, Sounds)
    lengths = examples.inputs.lengths.tolist()
    assert lengths == sorted(lengths)
    assert set(lengths) == {400, 440, 480}
    assert list(examples.inputs.given) == ["input_values"]


@pytest.mark.parametrize("kind", ["plain", "masked", "spells"])
def test_outcomes_are_those_of_transformers_alone_and_in_a_batch(folders: Path, kind: str) -> None:
    """Held against the folder's own extractor and model, each sound by itself, to the bit."""
    subject = load_model(f"hf:{folders / kind}")
    source = folders / "flat"
    if not source.exists():
        save_tones(source, 4, of=3)
    examples = load_examples(str(source), subject=subject)
    auto: Any = transformers.AutoFeatureExtractor
    extractor = auto.from_pretrained(folders / kind)
    own = {"plain": classifier(False), "masked": classifier(True), "spells": speller()}[kind]
    assert isinstance(examples.inputs, Texts)
    assert isinstance(examples.inputs, Sounds) == (kind != "masked")
    lengths = examples.inputs.lengths
    for row, one in enumerate(examples.ids):
        samples, rate = soundfile.read(source / one, dtype="float32", always_2d=True)
        if rate != RATE:  # which is held against another resampler elsewhere
            continue
        given = extractor(samples.mean(1), sampling_rate=RATE, return_tensors="pt")
        others = [place for place in (lengths == lengths[row]).nonzero()[:, 0] if place != row]
        batches = ([row], [row, *others], [row] * (1 + len(others)))
        with torch.no_grad():
            theirs = own(**given).logits
            alone, beside, with_itself = (
                output_of(subject.module, unpadded(take(examples.inputs, torch.tensor(rows))))
                for rows in batches
            )
        assert torch.equal(alone, theirs)
        # Kernels round otherwise for another size of batch, but not for other companions.
        assert torch.equal(beside[0], with_itself[0])
        torch.testing.assert_close(beside[:1], theirs, rtol=0, atol=1e-5)


def test_another_rate_is_resampled_and_channels_are_averaged(
    plain: Subject, tmp_path: Path
) -> None:
    left, right = a_tone(0.5, 12000, 1), a_tone(0.5, 12000, 2)
    write(tmp_path / "a.wav", np.stack([left, right], 1), 12000)
    write(tmp_path / "b.flac", a_tone(0.5))
    examples = load_examples(str(tmp_path), subject=plain)
    heard = examples.inputs["input_values"][0]  # type: ignore[index]
    theirs = resample_poly((left + right) / 2, 1, 3)
    theirs = (theirs - theirs.mean()) / theirs.std()
    assert len(heard) == len(theirs) == 2000
    inner = slice(100, -100)
    assert np.abs(heard.numpy() - theirs)[inner].max() < 0.03


def test_a_long_sound_is_cut_and_that_is_said(plain: Subject, tmp_path: Path) -> None:
    write(tmp_path / "long.wav", a_tone(31.0, 8000), 8000)
    write(tmp_path / "short.wav", a_tone(0.1))
    examples = load_examples(str(tmp_path), subject=plain)
    assert examples.preprocessing.endswith(
        "resampled from 8000 to 4000 Hz: 1 of 2; cut to 30 s: 1 of 2"
    )
    assert isinstance(examples.inputs, Sounds)
    assert examples.inputs.lengths.tolist() == [400, 30 * RATE]


def test_an_extractor_of_one_length_needs_no_mask(tmp_path: Path) -> None:
    make: Any = transformers.ASTConfig
    config = make(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        max_length=64, num_mel_bins=16, patch_size=16, num_labels=3, architectures=["AST"],
    )  # fmt: skip
    transformers.ASTForAudioClassification(config).save_pretrained(tmp_path / "ast")
    extractor: Any = transformers.ASTFeatureExtractor
    own = extractor(max_length=64, num_mel_bins=16)
    own.save_pretrained(tmp_path / "ast")
    for number, seconds in enumerate((0.2, 0.4, 0.9)):
        write(tmp_path / "data" / f"{number}.wav", a_tone(seconds, 16000, number), 16000)
    subject = load_model(f"hf:{tmp_path / 'ast'}")
    examples = load_examples(str(tmp_path / "data"), subject=subject)
    assert isinstance(examples.inputs, dict)
    assert not isinstance(examples.inputs, Texts)
    assert examples.inputs["input_values"].shape == (3, 64, 16)
    assert examples.preprocessing.endswith("cut to 0.655 s: 1 of 3")
    for row in range(3):  # also the one that was cut
        samples, rate = soundfile.read(tmp_path / "data" / f"{row}.wav", dtype="float32")
        theirs = own(samples, sampling_rate=rate, return_tensors="pt")["input_values"]
        assert torch.equal(examples.inputs["input_values"][[row]], theirs)


def test_whisper_is_given_what_its_texts_begin_with(tmp_path: Path) -> None:
    make: Any = transformers.WhisperConfig
    config = make(
        vocab_size=50, d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=16, decoder_ffn_dim=16, num_mel_bins=8,
        max_source_positions=50, max_target_positions=16, decoder_start_token_id=7,
        pad_token_id=0, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    model: Any = transformers.WhisperForConditionalGeneration(config)
    generation: Any = transformers.GenerationConfig
    model.generation_config = generation(
        decoder_start_token_id=7, forced_decoder_ids=[[1, 9], [2, None]]
    )
    model.save_pretrained(tmp_path / "whisper")
    extractor: Any = transformers.WhisperFeatureExtractor
    extractor(feature_size=8, chunk_length=1).save_pretrained(tmp_path / "whisper")
    for number, seconds in enumerate((0.3, 1.5)):
        write(tmp_path / "data" / f"{number}.wav", a_tone(seconds, 16000, number), 16000)
    subject = load_model(f"hf:{tmp_path / 'whisper'}")
    examples = load_examples(str(tmp_path / "data"), subject=subject)
    assert isinstance(examples.inputs, dict)
    assert examples.inputs["decoder_input_ids"].tolist() == [[7, 9], [7, 9]]
    assert examples.inputs["input_features"].shape == (2, 8, 100)
    assert examples.preprocessing.endswith("cut to 1 s: 1 of 2")
    with torch.no_grad():
        theirs = model.eval()(**examples.inputs).logits[:, -1]
    assert torch.equal(logits_of(subject.module, examples.inputs), theirs)


def test_a_table_of_what_is_said(folders: Path, tmp_path: Path) -> None:
    """Of a network that spells: its own vocabulary names the letters."""
    save_model(speller(), tmp_path / "spells")
    vocabulary = {"|": 0, "<pad>": 1, "a": 2, "b": 3, "c": 4}
    (tmp_path / "vocab.json").write_text(str(vocabulary).replace("'", '"'))
    make: Any = transformers.Wav2Vec2CTCTokenizer
    tokens = make(str(tmp_path / "vocab.json"), unk_token="c", bos_token=None, eos_token=None)
    tokens.save_pretrained(tmp_path / "spells")
    subject = load_model(f"hf:{tmp_path / 'spells'}")
    assert subject.class_names == (" ", "<pad>", "a", "b", "c")
    assert task_of(subject.module).name == "ctc:1"
    noise = np.random.default_rng(3)
    said = ["abc", "cab", "bac", "cba"]
    rows = ["path,label"]
    for number, word in enumerate(said):
        names = [list(TONES)["abc".index(letter)] for letter in word]
        write(tmp_path / f"{number}.wav", tone(names, 0.12 + 0.01 * (number % 2), noise))
        rows.append(f"{number}.wav,{word}")
    (tmp_path / "said.csv").write_text("\n".join(rows) + "\n")
    examples = load_examples(str(tmp_path / "said.csv"), subject=subject)
    right = 0
    for row in range(len(said)):
        one = take(examples.inputs, torch.tensor([row]))
        right += int(logits_of(subject.module, one).argmax(1) == 0)
    assert right >= 3


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.zeros(0), "an empty sound; leave it out"),
        (np.zeros(71), r"0\.0177 s of sound, where the model takes no less than 0\.018 s"),
        (np.full(400, np.nan), "holds NaN or infinity"),
    ],
)
def test_sounds_that_cannot_be_used(
    plain: Subject, tmp_path: Path, samples: Any, message: str
) -> None:
    write(tmp_path / "a.wav", a_tone())
    write(tmp_path / "b.wav", samples)
    with pytest.raises(InputError, match=rf"b\.wav: {message}"):
        load_examples(str(tmp_path), subject=plain)


def test_damaged_files_are_refused_or_heard(plain: Subject, tmp_path: Path) -> None:
    write(tmp_path / "a.wav", a_tone())
    whole = Path(write(tmp_path / "b.flac", a_tone())).read_bytes()
    told = []
    for data in damaged(whole, flips=20, cuts=8):
        (tmp_path / "b.flac").write_bytes(data)
        try:
            load_examples(str(tmp_path), subject=plain)
        except InputError as error:
            told.append(str(error))
    assert len(told) > 8
    assert not any("\n" in text for text in told)


@pytest.mark.parametrize(
    ("data", "model", "message"),
    [
        ("tones", "images", "tones: sound, but py:a:subject takes no sound files; a model that"),
        ("said.csv", "images", r"said\.csv: sound, but py:a:subject takes no sound files"),
        ("pictures", "plain", "pictures: images, but hf:.* takes sound"),
        ("nothing", "plain", "nothing: holds no sounds; give one subfolder of sounds for each"),
        ("texts", "plain", r"holds no sounds but 1 files \*\.txt; other inputs go into arrays"),
        ("texts/a.txt", "plain", r"a\.txt: text, but hf:.* does not take text"),
        ("beside", "plain", "1 sounds lie beside the class folders"),
        ("tones", "spells", "its labels are classes, of which --task ctc:1 knows nothing"),
        ("said.csv", "plain", r"said\.csv, row 2: no such file"),
    ],
)
def test_data_and_models_that_do_not_go_together(
    folders: Path, tmp_path: Path, data: str, model: str, message: str
) -> None:
    (tmp_path / "tones").symlink_to(folders / "tones")
    (tmp_path / "said.csv").write_text("path,label\nx.wav,low\n")
    for name in ("pictures", "nothing", "texts"):
        (tmp_path / name).mkdir()
    (tmp_path / "pictures" / "a.png").write_bytes(b"")
    (tmp_path / "texts" / "a.txt").write_text("a text\n")
    write(tmp_path / "beside" / "a.wav", a_tone())
    write(tmp_path / "beside" / "low" / "b.wav", a_tone())
    subject = a_subject() if model == "images" else load_model(f"hf:{folders / model}")
    with pytest.raises(InputError, match=message):
        load_examples(str(tmp_path / data), subject=subject)


def test_a_folder_without_an_extractor(folders: Path, tmp_path: Path) -> None:
    classifier(False).save_pretrained(tmp_path / "bare")
    with pytest.raises(InputError, match=r"preprocessor_config\.json: transformers cannot use it"):
        load_model(f"hf:{tmp_path / 'bare'}")


def test_masks_of_what_is_heard_are_those_of_its_own_length(folders: Path) -> None:
    subject = load_model(f"hf:{folders / 'masked'}")
    inputs = load_examples(str(folders / "tones"), subject=subject).inputs
    assert isinstance(inputs, Texts)
    assert MASK in inputs.given
    assert inputs[MASK].sum(1).tolist() == inputs.lengths.tolist()
