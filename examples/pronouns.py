"""Show what the choice of a partner for "her" does to pronouns: his/her, him/her, or neither.

    python examples/pronouns.py --model HuggingFaceTB/SmolLM2-135M-Instruct

English "her" corresponds to "him" and to "his", but a permutation sends it to only one of the two. The table has the
base, and EquiLMs of the preset gender with either pair and with neither. It says by how much each model prefers "him"
to "her" where an object comes next, and "his" to "her" where a possessive does.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from data import require_model
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

import hf_equi
from hf_equi import DemographicGroup
from hf_equi.bases.embedded import embedded_folder

OBJECTS = (
    "The {} looked tired, so I asked",
    "The {} was ill, and we visited",
    "The {} came to the door, and the dog barked at",
    "The {} won the prize, and the town thanked",
    "The {} smiled, and the child looked at",
    "The {} called me, so I waited for",
)
POSSESSIVES = (
    "The {} sat down and opened",
    "The {} came home and took off",
    "The {} stood up and raised",
    "The {} thanked the guests and picked up",
    "The {} went to the station and lost",
    "The {} was proud of",
)
NOBODY, NAMED = ("doctor", "nurse", "teacher", "neighbor"), ("man", "woman")
HIS, HIM = ("his", "her"), ("him", "her")


def groups() -> dict[str, DemographicGroup]:
    """Return the preset with either pair, and with neither."""
    sets = [words for words in DemographicGroup.preset("gender").factors[0].sets if "her" not in words]
    pairs: dict[str, list[tuple[str, str]]] = {"his/her": [HIS], "him/her": [HIM], "neither": []}
    return {name: DemographicGroup([*sets, *pair]) for name, pair in pairs.items()}


def preference(model: PreTrainedModel, tokenizer: Any, prompts: Sequence[str], words: tuple[str, str]) -> torch.Tensor:
    """Return log p(first) − log p(second) for the next word of each prompt, in nats."""
    first, second = (_token(word, tokenizer) for word in words)
    gaps = []
    for prompt in prompts:
        with torch.no_grad():
            logits = model(**tokenizer(prompt, return_tensors="pt")).logits[0, -1].float()
        gaps.append(logits[first] - logits[second])
    return torch.stack(gaps)


def _token(word: str, tokenizer: Any) -> int:
    before, after = (tokenizer(text, add_special_tokens=False)["input_ids"] for text in ("so", f"so {word}"))
    if len(after) != len(before) + 1:
        raise SystemExit(f"{word!r} is not a single token of this model: use another model.")
    return int(after[-1])


def fill(templates: Sequence[str], names: Sequence[str]) -> list[str]:
    """Return every template with every name."""
    return [template.format(name) for template in templates for name in names]


def table(models: Mapping[str, PreTrainedModel], tokenizer: Any) -> list[str]:
    """Return a table with a row for each model: means, with the least and the largest in brackets."""
    slots = (("him", HIM, OBJECTS), ("his", HIS, POSSESSIVES))
    columns = [
        (f"{word} over her, {names[0] if len(names) == 1 else 'nobody named'}", words, fill(templates, names))
        for word, words, templates in slots
        for names in (NOBODY, *((name,) for name in NAMED))
    ]
    lines = [["model", *(title for title, _, _ in columns)], ["---"] * (1 + len(columns))]
    for name, model in models.items():
        found = [preference(model, tokenizer, prompts, words) for _, words, prompts in columns]
        lines.append([name, *(f"{gap.mean():+.1f} ({gap.min():+.1f} to {gap.max():+.1f})" for gap in found)])
    return [f"| {' | '.join(cells)} |" for cells in lines]


def make_models(name: str) -> tuple[dict[str, PreTrainedModel], Any]:
    """Load the base and make its EquiLMs."""
    folder = str(embedded_folder("demo_lm")) if name == "demo" else name
    base = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, use_safetensors=True).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    made = {
        f"EquiLM, {choice}": hf_equi.symmetrize(base, group, tokenizer=tokenizer, multi_token="skip")
        for choice, group in groups().items()
    }
    return {"base": base, **made}, tokenizer


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="demo", metavar="NAME", help="folder, Hub name or demo (default: demo)")
    name = parser.parse_args().model
    require_model(name)
    print("\n".join(table(*make_models(name))))


if __name__ == "__main__":
    main()
