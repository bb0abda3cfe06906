"""The border with the releases of other packages: one name for a cache, and no private name that has gone."""

from __future__ import annotations

import ast
import copy
import inspect
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import pytest
import torch
from small_adapters import prompts, stirred
from small_models import GENDER, base_model, tokenizer
from small_networks import network
from small_seq2seq import TWO, targets, wrap
from small_seq2seq import encode as encode_pairs
from transformers import AutoModel, BambaConfig, GPT2Config, JambaConfig, MambaConfig, PreTrainedModel
from transformers.models.auto.auto_factory import _BaseAutoModelClass
from transformers.utils import generic

import hf_equi
from hf_equi.bases import compat
from hf_equi.bases.compat import (
    CACHE,
    LOADING,
    PRIVATE_NAMES,
    CachedOutput,
    accepts_cache,
    cache_of,
    cached,
    find_file,
    is_recurrent,
    named_arguments,
    renamed_cache,
    takes_cache,
)
from hf_equi.errors import ConfigurationError

pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")  # by peft

ROOT = Path(__file__).parents[2]
OLD = "past_key_values"
STRAY = re.compile(rf"{OLD}|cache_params")


def deprecated():
    """What transformers says of the older name, where it says anything."""
    return pytest.warns(FutureWarning, match=OLD) if CACHE != OLD else warnings.catch_warnings()


def texts():
    return {"input_ids": tokenizer()("the man met", return_tensors="pt")["input_ids"]}


def causal():
    return hf_equi.symmetrize(base_model("gpt2"), GENDER, tokenizer=tokenizer()), texts()


def prompted():
    from peft import get_peft_model

    model = stirred(get_peft_model(copy.deepcopy(base_model("llama")), prompts("prefix")))
    return hf_equi.symmetrize(model, GENDER, tokenizer=tokenizer()), texts()


def pairs():
    model = wrap("t5", TWO)
    return model, {**encode_pairs(model), "decoder_input_ids": targets(model)[:, :1]}


def recurrent():
    source = torch.tensor([[3, 4, 5]])
    return network(), {"input_ids": source, "decoder_input_ids": source[:, :1]}


MODELS = [causal, prompted, pairs, recurrent]


@pytest.mark.parametrize("make", MODELS)
@torch.no_grad()
def test_models_answer_to_both_names_as_those_of_transformers_do(make):
    model, first = make()
    out = model(**first, use_cache=True)
    assert out.cache is out[CACHE]
    assert isinstance(out.cache, compat.Cache)
    for name in ("cache", OLD):
        assert name in out
        assert out[name] is out.get(name) is getattr(out, name) is out.cache
    assert CACHE in out.keys()  # noqa: SIM118  which asks for the field, and not for either name
    token = {name: value[:, -1:] for name, value in first.items() if name in list(first)[-1:]}
    rest = {name: value for name, value in first.items() if name not in token}
    again = copy.deepcopy(out.cache)
    expected = model(**rest, **token, cache=out.cache).logits
    with deprecated():
        named = model(**rest, **token, **{OLD: again}).logits
    assert torch.equal(named, expected)
    assert CACHE in inspect.signature(model.forward).parameters
    assert CACHE in model.config.keys_to_ignore_at_inference


@pytest.fixture
def said(monkeypatch):
    """What transformers writes into its log of names that it has renamed, which it does once a process."""
    lines = []
    monkeypatch.setattr(generic.logger, "warning_once", lines.append)
    return lines


@pytest.mark.filterwarnings("error")
def test_no_other_way_of_decoding_calls_what_is_deprecated(said):
    base, more = base_model("gpt2"), {"max_new_tokens": 4, "do_sample": True, "pad_token_id": 0}
    processor = hf_equi.EquiLogitsProcessor(base, GENDER, tokenizer())
    base.generate(**texts(), **more, logits_processor=[processor])
    for action in ("tokens", "words"):
        settings = {"tokenizer": tokenizer(), "scorer": lambda texts: torch.arange(len(texts)), "action": action}
        hf_equi.symmetrize(base, GENDER, "equizero", **settings).generate(**texts(), **more, seed=1)
    wrap("t5", TWO, decoding="independent").generate(**encode_pairs(wrap("t5", TWO)), max_new_tokens=3)
    assert said == []


@pytest.mark.parametrize("make", MODELS)
def test_nothing_that_we_call_is_deprecated(make, said):
    model, first = make()
    first.pop("decoder_input_ids", None)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", f".*{OLD}")
        for settings in ({}, {"num_beams": 2}, {"do_sample": True}):
            model.generate(**first, max_new_tokens=3, pad_token_id=0, **settings)
    assert [line for line in said if OLD in line] == []


def test_a_method_with_a_cache_is_called_by_either_name():
    class Model:
        @accepts_cache()
        def forward(self, ids, cache=None):
            return ids, cache

        @accepts_cache(removed="6.0.0")
        def generate(self, **kwargs):
            return kwargs

    model = Model()
    assert model.forward(1, cache=2) == (1, 2)
    assert model.generate(cache=2) == {CACHE: 2}
    with deprecated():
        assert model.forward(1, **{OLD: 2}) == (1, 2)
    with deprecated():
        assert model.generate(**{OLD: 2}) == {CACHE: 2}
    if CACHE == OLD:
        assert model.forward(1, cache=2, **{OLD: None}) == model.forward(1, cache=None, **{OLD: 2}) == (1, 2)
        assert model.generate(cache=None, **{OLD: 2}) == {OLD: 2}
        with pytest.raises(ConfigurationError, match="two names of one argument"):
            model.forward(1, cache=2, **{OLD: 3})
    else:
        with pytest.warns(FutureWarning, match="Both `past_key_values` and `cache` are set"):
            assert model.forward(1, cache=2, **{OLD: 3}) == (1, 2)


def test_outputs_keep_their_order_and_can_be_written_to():
    @dataclass
    class Output(CachedOutput):
        extra: torch.Tensor | None = None

    out = Output(logits=torch.ones(1), extra=torch.zeros(1), **cached("a"))
    assert list(out) == ["logits", CACHE, "extra"]
    assert out.to_tuple()[1] == "a"
    out["cache"] = "b"
    assert out.cache == out[CACHE] == "b"
    out.cache = "c"
    assert out.cache == out[CACHE] == "c"
    assert "cache" not in Output(logits=torch.ones(1))
    assert cache_of(out) == "c"
    assert cache_of(object()) is None


def test_a_forward_of_code_from_the_hub_may_have_the_older_name():
    class Remote(PreTrainedModel):
        def forward(self, input_ids=None, past_key_values=None):
            return past_key_values

    class Plain(PreTrainedModel):
        def forward(self, input_ids=None):
            return input_ids

    assert takes_cache(Remote.forward)
    assert not takes_cache(Plain.forward)
    assert renamed_cache({"input_ids": 1, **cached("a")}, frozenset({"input_ids", OLD})) == {"input_ids": 1, OLD: "a"}
    assert renamed_cache({"cache": "a"}, frozenset({"input_ids", "cache"})) == {"cache": "a"}
    assert renamed_cache({"cache": "a"}, frozenset({"kwargs"})) == {CACHE: "a"}
    assert renamed_cache({"cache": "a", OLD: None}, frozenset({OLD})) == {OLD: "a"}
    assert cached("a", Remote.forward) == {OLD: "a"}
    assert cached("a", Plain.forward) == cached("a") == {CACHE: "a"}


def test_what_keeps_only_recurrent_states_is_known_by_its_config():
    sizes = {"num_hidden_layers": 2, "attn_layer_indices": [1]}
    assert is_recurrent(MambaConfig())
    assert not is_recurrent(BambaConfig(**sizes))
    assert is_recurrent(BambaConfig(**{**sizes, "attn_layer_indices": []}))
    assert not is_recurrent(JambaConfig())
    assert not is_recurrent(GPT2Config())
    assert not is_recurrent(network().config)
    odd = GPT2Config()
    odd.layer_types = ["of a release to come"] * odd.num_hidden_layers
    assert not is_recurrent(odd)


def test_arguments_of_generate_by_position():
    assert named_arguments((), {"seed": 1}) == {"seed": 1}
    assert list(named_arguments((1, 2, 3), {})) == ["stopping_criteria", "prefix_allowed_tokens_fn", "synced_gpus"]
    with pytest.raises(TypeError, match="arguments after logits_processor, but 30 were given"):
        named_arguments((None,) * 30, {})
    with pytest.raises(TypeError, match="multiple values for argument 'stopping_criteria'"):
        named_arguments((1,), {"stopping_criteria": 2})


def test_files_are_found_or_are_not_there(tmp_path):
    (tmp_path / "here.json").write_text("{}")
    assert find_file(tmp_path, "here.json") == str(tmp_path / "here.json")
    assert find_file(tmp_path, "there.json") is None
    assert find_file("no-such-owner/no-such-model", "config.json", unreachable=True) is None


def owner_of(name):
    """A module, a class, or a module for what stands in its functions."""
    try:
        return import_module(name)
    except ImportError:
        module, _, attribute = name.rpartition(".")
        return getattr(import_module(module), attribute)


@pytest.mark.parametrize("owner", PRIVATE_NAMES)
def test_private_names_that_we_lean_on_are_there(owner):
    """An override of what no longer exists would do nothing."""
    found = owner_of(owner)
    module = found if inspect.ismodule(found) else import_module(found.__module__)
    source = inspect.getsource(module)  # for arguments, and for attributes that only instances have
    there = [name for name in PRIVATE_NAMES[owner] if hasattr(found, name) or re.search(rf"\b{name}\b", source)]
    assert there == list(PRIVATE_NAMES[owner])


def test_all_that_from_pretrained_takes_is_known():
    takes = PreTrainedModel.from_pretrained.__func__
    source = inspect.getsource(takes) + inspect.getsource(_BaseAutoModelClass.from_pretrained.__func__)
    named = {*inspect.signature(takes).parameters, *re.findall(r'kwargs\.pop\("([a-z]\w+)"', source)}
    assert named - {"cls", "model_args", "kwargs", "pretrained_model_name_or_path"} <= LOADING


def ours() -> Iterator[type]:
    """All classes that build on those of other packages."""
    for path in sorted((ROOT / "hf_equi").rglob("*.py")):
        try:
            module = import_module(".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"))
        except ConfigurationError as error:  # it needs an extra
            if "pip install -e '.[" not in str(error):
                raise
            continue
        yield from (one for one in vars(module).values() if inspect.isclass(one) and one.__module__ == module.__name__)


def overridden() -> set[str]:
    """Private names that our classes define, where a class of transformers does, too."""
    found = set()
    for one in ours():
        own = [each for each in one.__mro__ if each.__module__.startswith("hf_equi.")]
        others = [each for each in one.__mro__ if each.__module__.startswith("transformers.")]
        names = {name for each in own for name in vars(each) if re.match(r"_[a-z]", name)}
        found |= {name for name in names if any(name in vars(each) for each in others)}
    return found


def read() -> set[str]:
    """Private names that are read of something else than `self`, asked for as strings, or given as keywords."""
    found = set()
    for path in (ROOT / "hf_equi").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and not (isinstance(node.value, ast.Name) and node.value.id == "self"):
                found.add(node.attr)
            elif isinstance(node, ast.Call) and ast.unparse(node.func) in {"getattr", "hasattr"}:
                found |= {arg.value for arg in node.args[1:2] if isinstance(arg, ast.Constant)}
            elif isinstance(node, ast.keyword | ast.alias):
                found.add(node.arg if isinstance(node, ast.keyword) else node.name)
    return {name for name in found if isinstance(name, str) and re.match(r"_[a-z]", name)}


def test_no_other_private_names_are_leant_on():
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "hf_equi").rglob("*.py")]
    own = {name for text in sources for name in re.findall(r"(?:def |self\.|^)(_[a-z]\w*)", text, re.MULTILINE)}
    listed = {name for names in PRIVATE_NAMES.values() for name in names}
    elsewhere = {"_abc_impl", "_exit", "_getframe", "_replace", "_version"}  # of Python, and of torch
    assert (overridden() | (read() - own)) - listed - elsewhere == set()


def test_no_other_file_spells_the_name_of_the_cache():
    own = {
        *(ROOT / "hf_equi" / "bases" / "compat.py", ROOT / "tests" / "support" / "small_adapters.py"),
        *(Path(__file__), Path(__file__).with_name("test_decoding.py")),
    }
    strays = []
    for folder in ("hf_equi", "tests", "benchmarks", "examples"):
        for path in sorted(set((ROOT / folder).rglob("*.py")) - own):
            lines = path.read_text(encoding="utf-8").splitlines()
            strays += [f"{path.name}:{n}" for n, line in enumerate(lines, 1) if STRAY.search(line)]
    assert strays == []


def test_auto_models_still_map_configs_to_models():
    assert type(base_model("gpt2")).__name__.startswith(AutoModel._model_mapping[GPT2Config].__name__[:4])
