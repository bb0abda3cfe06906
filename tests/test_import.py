"""Importing the package: what it loads, which names, and what the Auto classes know then, each in a fresh process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest
from children import python_with_torch

import hf_equi

SUBMODULES = (
    *("actions", "auto", "bases", "errors", "fairness", "generation", "groups", "hub", "models", "networks"),
    *("symmetrizers", "testing", "training"),
)


def python(code: str, program: str = "") -> str:
    """What `code` prints in a process of its own, where it must raise no warning and no error."""
    command = [program or python_with_torch(), "-W", "error", "-c", code]
    child = subprocess.run(command, capture_output=True, text=True, env=os.environ, check=False)
    assert child.returncode == 0, child.stderr
    return child.stdout.strip()


def test_import_loads_neither_torch_nor_transformers() -> None:
    code = "import sys, hf_equi; print({'torch', 'transformers', 'sympy'} & set(sys.modules))"
    assert python(code, sys.executable) == "set()"


def test_public_names_resolve_and_are_listed() -> None:
    missing = [name for name in hf_equi.__all__ if getattr(hf_equi, name, None) is None]
    assert not missing, ", ".join(missing)
    assert set(hf_equi.__all__) <= set(dir(hf_equi))


def test_submodules_need_no_import_of_their_own() -> None:
    found = {name: getattr(hf_equi, name).__name__ for name in SUBMODULES}
    assert found == {name: f"hf_equi.{name}" for name in SUBMODULES}
    assert set(SUBMODULES) <= set(dir(hf_equi))


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
        "from transformers import AutoModelForCausalLM, AutoConfig; import hf_equi",
        "from hf_equi import EquiLM; from transformers import AutoTokenizer, AutoConfig",
    ],
)
def test_auto_classes_know_the_model_type_in_every_order_of_imports(imports: str, checkpoint: str) -> None:
    printed = python(imports + "\n" + READ_CONFIG.format(path=checkpoint) + FIND_MODEL)
    assert printed.split() == ["EquiLMConfig", "EquiLM"]


def test_configs_made_by_hand_are_known_too_and_all_are_after_a_reload() -> None:
    code = """
import importlib, inspect, sys, hf_equi
from transformers.models.auto import modeling_auto as auto

causal = [hf_equi.EquiLMConfig(), hf_equi.EquizeroLMConfig()]
print(*(auto.MODEL_FOR_CAUSAL_LM_MAPPING[type(config)].__name__ for config in causal))
names = "EquiSeq2Seq", "RecurrentSeq2Seq", "GroupRecurrentSeq2Seq"
kinds = [type(getattr(hf_equi, name + "Config")()) for name in names]
print(*(auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING[kind].__name__ for kind in kinds))
images = [type(getattr(hf_equi, name + "Config")()) for name in ("EquiCLIP", "EquiSiglip", "EquiImageClassification")]
print(*(auto.MODEL_FOR_ZERO_SHOT_IMAGE_CLASSIFICATION_MAPPING[kind].__name__ for kind in images[:2]))
print(auto.MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING[images[2]].__name__)
module = sys.modules["transformers.models.auto.configuration_auto"]
print(type(module.__loader__).__name__, inspect.getsource(module).count("class AutoConfig"))
before, after = module.AutoConfig, importlib.reload(module).AutoConfig
print(type(before.for_model("equi_lm")).__name__, type(after.for_model("equi_clip")).__name__)
"""
    assert python(code).splitlines() == [
        "EquiLM EquizeroLM",
        "EquiForSeq2SeqLM RecurrentSeq2Seq GroupRecurrentSeq2Seq",
        "EquiCLIPModel EquiSiglipModel",
        "EquiForImageClassification",
        "SourceFileLoader 1",
        "EquiLMConfig EquiCLIPConfig",
    ]


FROM_AN_ARCHIVE = """
import importlib.metadata, sys

def distribution(name, find=importlib.metadata.distribution):
    if name == "hf_equi":
        raise importlib.metadata.PackageNotFoundError(name)
    return find(name)

importlib.metadata.distribution = distribution  # an archive brings no metadata
sys.path.insert(0, {archive!r})
import hf_equi
from transformers import AutoConfig, AutoModelForCausalLM

print(hf_equi.__file__, hf_equi.__version__)
group = hf_equi.DemographicGroup([["man", "woman"], ["he", "she"]])
lm = hf_equi.symmetrize("demo", group, "equizero", scorer=hf_equi.RegardScorer("demo"))
lm.save_pretrained({saved!r})
hf_equi.hub.write_card(lm, {saved!r})
print(AutoConfig.from_pretrained({saved!r}).hf_equi_version, type(AutoModelForCausalLM.from_pretrained({saved!r})))
print(lm.base.name_or_path, lm.generate(**lm.tokenizer("The man", return_tensors="pt"), max_new_tokens=2).shape[1])
"""


def test_all_works_from_an_archive(tmp_path: Path) -> None:
    """As PySpark ships packages (--py-files) and zipapp does: one loader for all modules, no folder, no metadata."""
    package = Path(hf_equi.__file__).parent
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for path in package.rglob("*"):
            if "__pycache__" not in path.parts:
                archive.write(path, path.relative_to(package.parent))
    code = FROM_AN_ARCHIVE.format(archive=str(tmp_path / "all.zip"), saved=str(tmp_path / "saved"))
    imported, loaded, unpacked = python(code).splitlines()
    assert imported == f"{tmp_path}/all.zip/hf_equi/__init__.py {hf_equi.__version__}"
    assert loaded == f"{hf_equi.__version__} <class 'hf_equi.models.causal_lm.modeling_equizero_lm.EquizeroLM'>"
    folder, length = unpacked.split()
    assert (Path(folder).exists(), length) == (False, "4")  # the demo lives as long as the process
    assert "## Equivariance error" in (tmp_path / "saved" / "README.md").read_text(encoding="utf-8")


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
