"""`hf:DIR`: networks of images, texts and sounds from a local Hugging Face folder."""

import contextlib
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from bitcliff.adapters.assembly import make_subject
from bitcliff.adapters.detectors import join_queries
from bitcliff.adapters.huggingface_images import image_preprocessing
from bitcliff.adapters.huggingface_questions import join_ends
from bitcliff.adapters.huggingface_sounds import decoder_prompt, hearing_of
from bitcliff.adapters.json_files import read_json
from bitcliff.adapters.optional import quiet, require
from bitcliff.adapters.preprocessing import override
from bitcliff.adapters.sentences import is_sentence_encoder, longest_of, pool
from bitcliff.adapters.weights import Weights, read_weights
from bitcliff.adapters.wording import listed, one_line
from bitcliff.errors import InputError
from bitcliff.points.find_task import judge_by
from bitcliff.points.outputs import give_only
from bitcliff.types.options import ModelOptions
from bitcliff.types.subject import DECODED, Subject, Tokenizer, Tokens


@dataclass(frozen=True)
class _Kind:
    """Architectures that are loaded alike.

    Attributes:
        ending: of their names. auto: transformers' class for them. takes: what they are given.
            task: as `--task` has it. names_tokens: what they decide among are tokens.
    """

    ending: str
    auto: str
    takes: Literal["images", "texts", "sounds"]
    task: str = "classification"
    names_tokens: bool = False

    @property
    def boxes(self) -> bool:
        """Whether they detect objects."""
        return self.task == "detection"


_KINDS = (
    _Kind("ForImageClassification", "AutoModelForImageClassification", "images"),
    _Kind("ForSequenceClassification", "AutoModelForSequenceClassification", "texts"),
    _Kind("ForCausalLM", "AutoModelForCausalLM", "texts", "next-token", names_tokens=True),
    _Kind("LMHeadModel", "AutoModelForCausalLM", "texts", "next-token", names_tokens=True),
    _Kind("ForTokenClassification", "AutoModelForTokenClassification", "texts", "positions"),
    _Kind("ForQuestionAnswering", "AutoModelForQuestionAnswering", "texts", "span"),
    _Kind("ForMaskedLM", "AutoModelForMaskedLM", "texts", "positions"),
    _Kind(
        "ForSemanticSegmentation", "AutoModelForSemanticSegmentation", "images", "positions:0.01"
    ),
    _Kind("ForAudioClassification", "AutoModelForAudioClassification", "sounds"),
    # As most networks of sound call themselves that give one class.
    _Kind("ForSequenceClassification", "AutoModelForAudioClassification", "sounds"),
    _Kind("ForCTC", "AutoModelForCTC", "sounds", "ctc", names_tokens=True),
    _Kind(
        "ForConditionalGeneration",
        "AutoModelForSpeechSeq2Seq",
        "sounds",
        "next-token",
        names_tokens=True,
    ),
    _Kind(
        "ForConditionalGeneration",
        "AutoModelForSeq2SeqLM",
        "texts",
        "next-token",
        names_tokens=True,
    ),
    _Kind("ForObjectDetection", "AutoModelForObjectDetection", "images", "detection"),
)
# Of no task of their own: what a folder saved by sentence-transformers has in addition pools them.
_ENCODER = _Kind("Model", "AutoModel", "texts", "embedding")
_MOST_TOKENS = 512


def load_huggingface(name: str, weights: Weights | None, options: ModelOptions) -> Subject:
    """A model from config.json and model.safetensors in a local folder; no remote code.

    Raises:
        InputError: files missing, damaged or of another architecture; of another task.
    """
    spec, folder = f"hf:{name}", Path(name)
    config_file = folder / "config.json"
    settings = _json(config_file, spec)
    transformers = require("transformers", "hf", spec)
    if options.num_classes is not None:
        raise InputError(f"--num-classes does not apply to {spec}: its config.json decides")
    digest = None
    if weights is None:
        digest = _check_weights(folder, spec)
    with quiet(), _silent(transformers):
        config = _loaded(transformers.AutoConfig, folder, config_file)
        kind = _kind(settings, transformers, config, config_file)
        module = _module(transformers, kind.auto, folder, config, weights)
        # Tokens are named by a tokenizer alone; what a configuration names are classes.
        names = None if kind.names_tokens else _class_names(config)
        preprocessing, tokenizer, hearing, tokens = None, None, None, None
        told = folder / "tokenizer_config.json"
        if kind.takes == "texts" or (kind.names_tokens and told.exists()):
            tokens = _loaded(transformers.AutoTokenizer, folder, told)
            names = _token_names(tokens, config, kind.task) if kind.names_tokens else names
        if kind.takes == "texts":
            tokenizer = _tokenizer(tokens, config, decoder_prompt(module), longest_of(folder))
        elif kind.takes == "sounds":
            hearing = hearing_of(transformers, folder, module)
        else:
            own = image_preprocessing(
                transformers, folder, checked=options.image_size is None, whole=kind.boxes
            )
            preprocessing = override(own, options)
        if kind.boxes:
            join_queries(module)
        if kind.task == "next-token" and config.is_encoder_decoder and options.output is None:
            give_only(module, "logits")  # and not what was heard or read
        if kind is _ENCODER:
            pool(module, folder)
        if kind.task == "span":
            join_ends(module)
        judge_by(module, _task(kind, config))
    subject = make_subject(
        spec,
        module,
        preprocessing,
        weights,
        class_names=names,
        tokenizer=tokenizer,
        hearing=hearing,
        weights_sha256=digest,
    )
    if tokens is None or kind.task == "ctc":
        return subject
    # A letter may be several tokens, and a space part of the next one.
    return replace(subject, written=lambda row: str(tokens.decode(list(row))))


def _task(kind: _Kind, config: Any) -> str:
    """As `--task` has it."""
    if kind.task == "ctc":
        return f"ctc:{config.pad_token_id}"
    several = getattr(config, "problem_type", None) == "multi_label_classification"
    # Its outputs are log-odds, each of a label of its own.
    return "labels:0" if several and kind.task == "classification" else kind.task


def _json(file: Path, spec: str) -> dict[str, Any]:
    if not file.parent.is_dir():
        raise InputError(f"{spec}: no such folder; give a local folder with config.json")
    if not file.exists():
        raise InputError(f"{file}: no such file; a Hugging Face folder has one")
    content = read_json(file)
    if not isinstance(content, dict):
        raise InputError(f"{file}: must hold a JSON object")
    return content


def _check_weights(folder: Path, spec: str) -> str:
    """Reads every weights file once, so that damage and NaN are refused; gives their SHA-256."""
    single, index = folder / "model.safetensors", folder / "model.safetensors.index.json"
    if single.exists():
        return read_weights(single).sha256
    if not index.exists():
        raise InputError(
            f"{spec}: has no model.safetensors (other formats are not loaded); save the model "
            "with save_pretrained"
        )
    shards = _json(index, spec).get("weight_map")
    if not isinstance(shards, dict) or not all(isinstance(v, str) for v in shards.values()):
        raise InputError(f"{index}: has no weight_map from names to files")
    digest = hashlib.sha256()
    for shard in sorted(set(shards.values())):
        digest.update(read_weights(folder / Path(shard).name).sha256.encode())
    return digest.hexdigest()


def _loaded(auto: Any, folder: Path, file: Path) -> Any:
    try:
        return auto.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:
        raise InputError(f"{file}: transformers cannot use it ({one_line(error)})") from error


def _kind(settings: dict[str, Any], transformers: Any, config: Any, file: Path) -> _Kind:
    named = " ".join(map(str, settings.get("architectures") or ()))
    like = [kind for kind in _KINDS if kind.ending in named]
    # Networks of texts and of sounds end alike.
    mappings = [getattr(transformers, kind.auto)._model_mapping for kind in like]
    known = (kind for kind, own in zip(like, mappings, strict=True) if type(config) in own)
    found = next(known, None)
    if found is None and is_sentence_encoder(file.parent) and named.endswith(_ENCODER.ending):
        return _ENCODER
    if found is None:
        listed_kinds = ", ".join(dict.fromkeys(f"...{kind.ending}" for kind in _KINDS))
        raise InputError(
            f"{file}: its architectures are {named or 'not given'} ({config.model_type}); only "
            f"{listed_kinds} are supported, and ...Model as sentence-transformers saves them"
        )
    return found


def _module(
    transformers: Any, auto_name: str, folder: Path, config: Any, weights: Weights | None
) -> nn.Module:
    where = str(folder) if weights is None else str(weights.path)
    common = {
        "config": config,
        "trust_remote_code": False,
        "dtype": torch.float32,
        "output_loading_info": True,
    }
    auto = getattr(transformers, auto_name)
    try:
        if weights is None:
            module, info = auto.from_pretrained(
                folder, local_files_only=True, use_safetensors=True, **common
            )
        else:
            kind = auto._model_mapping[type(config)]
            del common["trust_remote_code"]
            module, info = kind.from_pretrained(None, state_dict=dict(weights.tensors), **common)
    except Exception as error:
        raise InputError(f"{where}: does not load as {auto_name} ({one_line(error)})") from error
    _check_loaded(info, where, type(module).__name__)
    module.config.return_dict = True
    module.config.use_cache = False  # each text is run once
    return module  # type: ignore[no-any-return]


def _check_loaded(info: Mapping[str, Any], where: str, kind: str) -> None:
    """transformers fills gaps with random weights and goes on; an assessment must not."""
    wrong = []
    for what in ("missing", "unexpected", "mismatched"):
        keys = sorted(str(k[0]) if isinstance(k, tuple) else str(k) for k in info[f"{what}_keys"])
        if keys:
            wrong.append(f"{len(keys)} keys {what} (first: {keys[0]})")
    if wrong or info.get("error_msgs"):
        reasons = wrong or [listed(info["error_msgs"], 1)]
        raise InputError(
            f"{where}: weights of another architecture than {kind}: {'; '.join(reasons)}"
        )


def _class_names(config: Any) -> tuple[str, ...] | None:
    names = [config.id2label.get(index) for index in range(config.num_labels)]
    if not all(isinstance(name, str) for name in names):
        return None
    # transformers makes these up where nobody named the classes.
    are_generic = all(name == f"LABEL_{index}" for index, name in enumerate(names))
    return None if are_generic else tuple(names)


def _token_names(tokenizer: Any, config: Any, task: str) -> tuple[str, ...]:
    """Of all outputs; of symbols that are spelled out, a space for what stands between words."""
    if task != "ctc":
        return tuple(map(tokenizer.decode, range(config.vocab_size)))
    between = getattr(tokenizer, "word_delimiter_token", None)
    names = map(tokenizer.convert_ids_to_tokens, range(config.vocab_size))
    return tuple(" " if name == between else name or "" for name in names)


def _tokenizer(tokenizer: Any, config: Any, begun: Tensor | None, own: int | None) -> Tokenizer:
    positions = getattr(config, "max_position_embeddings", None) or _MOST_TOKENS
    longest = min(tokenizer.model_max_length, positions, own or _MOST_TOKENS, _MOST_TOKENS)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token  # masked, whatever it is

    def tokenize(texts: list[str] | list[tuple[str, str]]) -> Tokens:
        lengths = tuple(map(len, tokenizer(texts, verbose=False)["input_ids"]))
        encoded = tokenizer(
            texts, padding=True, truncation=True, max_length=longest, return_tensors="pt"
        )
        inputs = dict(encoded)
        if begun is not None:
            inputs[DECODED] = begun.expand(len(texts), -1)
        return Tokens(inputs, lengths, longest)

    return tokenize


@contextlib.contextmanager
def _silent(transformers: Any) -> Iterator[None]:
    """No progress bars or advice of transformers' own: what matters is raised as an error."""
    logging = transformers.utils.logging
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
