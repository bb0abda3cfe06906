"""Importing the package: how fast, which names, and what the Auto classes know afterwards, each in a fresh process."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import hf_equi

TIME_IMPORT = "import time; start = time.perf_counter(); import {module}; print(time.perf_counter() - start)"


def python(code: str) -> str:
    """What `code` prints in a process of its own, where it must raise no warning and no error."""
    child = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, env=os.environ, check=False
    )
    assert child.returncode == 0, child.stderr
    return child.stdout.strip()


@pytest.mark.slow
def test_import_is_no_slower_than_that_of_transformers() -> None:
    seconds: dict[str, list[float]] = {"transformers": [], "hf_equi": []}
    for _ in range(5):
        for module, times in seconds.items():
            times.append(float(python(TIME_IMPORT.format(module=module))))
    assert statistics.median(seconds["hf_equi"]) < 1.2 * statistics.median(seconds["transformers"])


def test_import_loads_neither_torch_nor_transformers() -> None:
    assert python("import sys, hf_equi; print({'torch', 'transformers', 'sympy'} & set(sys.modules))") == "set()"


@pytest.mark.parametrize("name", hf_equi.__all__)
def test_public_names_resolve_and_are_listed(name: str) -> None:
    assert getattr(hf_equi, name) is not None
    assert name in dir(hf_equi)


@pytest.mark.parametrize(
    "name",
    [
        "actions",
        "auto",
        "bases",
        "errors",
        "fairness",
        "generation",
        "groups",
        "hub",
        "models",
        "networks",
        "symmetrizers",
        "testing",
        "training",
    ],
)
def test_submodules_need_no_import_of_their_own(name: str) -> None:
    assert getattr(hf_equi, name).__name__ == f"hf_equi.{name}"
    assert name in dir(hf_equi)


def test_version_is_that_of_the_installed_package() -> None:
    assert hf_equi.__version__ == version("hf_equi")


def test_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(AttributeError, match=r"no attribute 'EquiML'; it has .*EquiLM"):
        _ = hf_equi.EquiML


READ_CONFIG = "config = AutoConfig.from_pretrained({path!r}); print(type(config).__name__)"
FIND_MODEL = """
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING
print(MODEL_FOR_CAUSAL_LM_MAPPING[type(config)].__name__)
"""


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A directory that holds the config of an EquiLM and a tokenizer, and no weights."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from transformers import AutoConfig, PreTrainedTokenizerFast

    path = str(tmp_path_factory.mktemp("equi_lm"))
    AutoConfig.for_model("equi_lm").save_pretrained(path)
    words = WordLevel({"<unk>": 0, "man": 1, "woman": 2}, unk_token="<unk>")
    PreTrainedTokenizerFast(tokenizer_object=Tokenizer(words), unk_token="<unk>").save_pretrained(path)
    return path


@pytest.mark.slow
@pytest.mark.parametrize(
    "imports",
    [
        "import hf_equi; from transformers import AutoConfig",
        "from transformers import AutoConfig; import hf_equi",
        "import hf_equi; from transformers import AutoModelForCausalLM, AutoConfig",
        "from transformers import AutoModelForCausalLM, AutoConfig; import hf_equi",
        "import hf_equi; from transformers import AutoTokenizer, AutoConfig",
        "from hf_equi import EquiLM; from transformers import AutoConfig",
    ],
)
def test_auto_classes_know_the_model_type_in_every_order_of_imports(imports: str, checkpoint: str) -> None:
    printed = python(imports + "\n" + READ_CONFIG.format(path=checkpoint) + FIND_MODEL)
    assert printed.split() == ["EquiLMConfig", "EquiLM"]


def test_configs_made_by_hand_are_known_too_and_what_was_imported_is_watched_no_more() -> None:
    code = """
import inspect, sys, hf_equi
from transformers.models.auto import modeling_auto as auto

def watched():
    return {finder.name for finder in sys.meta_path if type(finder).__module__.startswith("hf_equi")}

packages = {f"hf_equi.models.{name}" for name in ("causal_lm", "seq2seq", "clip", "image_classification")}
packages.add("hf_equi.networks.recurrent_seq2seq")
assert watched() == packages, watched()
causal = [hf_equi.EquiLMConfig(), hf_equi.EquizeroLMConfig()]
print(*(auto.MODEL_FOR_CAUSAL_LM_MAPPING[type(config)].__name__ for config in causal))
assert watched() == packages - {"hf_equi.models.causal_lm"}, watched()
names = "EquiSeq2Seq", "RecurrentSeq2Seq", "GroupRecurrentSeq2Seq"
kinds = [type(getattr(hf_equi, name + "Config")()) for name in names]
print(*(auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING[kind].__name__ for kind in kinds))
images = [type(getattr(hf_equi, name + "Config")()) for name in ("EquiCLIP", "EquiSiglip", "EquiImageClassification")]
print(*(auto.MODEL_FOR_ZERO_SHOT_IMAGE_CLASSIFICATION_MAPPING[kind].__name__ for kind in images[:2]))
print(auto.MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING[images[2]].__name__)
assert watched() == set(), watched()
print(inspect.getsource(sys.modules["transformers.models.auto.configuration_auto"]).count("class AutoConfig"))
"""
    assert python(code).splitlines() == [
        "EquiLM EquizeroLM",
        "EquiForSeq2SeqLM RecurrentSeq2Seq GroupRecurrentSeq2Seq",
        "EquiCLIPModel EquiSiglipModel",
        "EquiForImageClassification",
        "1",
    ]


def test_auto_classes_know_the_other_model_types(tmp_path: Path) -> None:
    types = ("equi_seq2seq", "recurrent_seq2seq", "group_recurrent_seq2seq")
    for model_type in types:
        (tmp_path / model_type).mkdir()
        (tmp_path / model_type / "config.json").write_text(json.dumps({"model_type": model_type}))
    code = f"""
import hf_equi
from transformers import AutoConfig, AutoModelForSeq2SeqLM
for model_type in {types}:
    config = AutoConfig.from_pretrained({str(tmp_path)!r} + "/" + model_type)
    print(type(config).__name__, AutoModelForSeq2SeqLM._model_mapping[type(config)].__name__)
"""
    assert python(code).splitlines() == [
        "EquiSeq2SeqConfig EquiForSeq2SeqLM",
        "RecurrentSeq2SeqConfig RecurrentSeq2Seq",
        "GroupRecurrentSeq2SeqConfig GroupRecurrentSeq2Seq",
    ]


@pytest.mark.slow
def test_auto_tokenizer_reads_the_directory_of_an_equilm(checkpoint: str) -> None:
    code = (
        f"import hf_equi\nfrom transformers import AutoTokenizer\nt = AutoTokenizer.from_pretrained({checkpoint!r})\n"
    )
    assert python(code + "print(t.convert_tokens_to_ids(['man', 'woman']))") == "[1, 2]"
