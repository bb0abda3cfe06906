"""Show the effect of equizero on a model that learns in seconds, without data."""

from __future__ import annotations

import time
from itertools import product

import torch
from scan_data import ACTIONS, COMMANDS, GROUPS, SPECIAL, make_tokenizer
from transformers import set_seed

from hf_equi import RecurrentSeq2Seq, RecurrentSeq2SeqConfig, symmetrize

VERBS = {"jump": "I_JUMP", "run": "I_RUN", "walk": "I_WALK", "look": "I_LOOK"}
TIMES = {"": 1, " twice": 2, " thrice": 3}
ASKED = "jump twice"


def commands() -> dict[str, str]:
    """Return short SCAN commands and their actions. "jump" occurs only alone, as in the split add_jump."""
    phrases = {f"{verb}{often}": [VERBS[verb]] * count for verb in VERBS for often, count in TIMES.items()}
    known = {phrase: actions for phrase, actions in phrases.items() if "jump" not in phrase or phrase == "jump"}
    others = {phrase: actions for phrase, actions in known.items() if phrase != "jump"}
    pairs = {f"{a} and {b}": others[a] + others[b] for a, b in product(others, repeat=2)}
    return {command: " ".join(actions) for command, actions in {**known, **pairs}.items()}


def show() -> None:
    """Train, ask, and print both answers."""
    begin = time.perf_counter()
    set_seed(0)
    source, target = make_tokenizer(COMMANDS), make_tokenizer(ACTIONS)
    pairs = commands()
    inputs = source(list(pairs), return_tensors="pt", padding=True, return_token_type_ids=False)
    wanted = target(list(pairs.values()), return_tensors="pt", padding=True)
    labels = wanted["input_ids"].masked_fill(wanted["attention_mask"] == 0, -100)
    sizes = {"vocab_size": len(SPECIAL) + len(COMMANDS), "decoder_vocab_size": len(SPECIAL) + len(ACTIONS)}
    base = RecurrentSeq2Seq(RecurrentSeq2SeqConfig(**sizes, teacher_forcing_ratio=0.5)).train()
    optimizer = torch.optim.Adam(base.parameters(), lr=1e-2)
    for step in range(60):
        loss = base(**inputs, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 20 == 19:
            print(f"step {step + 1}: loss {loss.item():.4f}")
    base.eval()
    tokenizers = {"tokenizer": source, "target_tokenizer": target}
    models = {"base": base, "equizero": symmetrize(base, GROUPS["add_jump"], "equizero", **tokenizers)}
    asked = source([ASKED], return_tensors="pt", return_token_type_ids=False)
    for name, model in models.items():
        answer = target.decode(model.generate(**asked, max_new_tokens=10)[0], skip_special_tokens=True)
        print(f'{name:8} "{ASKED}" -> {answer}')
    print(f"{time.perf_counter() - begin:.0f} s")
