"""Time the search of EquizeroLM and the audit, as ratios.

    python benchmarks/equizero.py --output docs/benchmarks.md

The model has GPT-2-small's configuration (124M parameters), and the scorer BERT's architecture (6 layers, width 768).
Both have random weights. Every ratio comes from one run in which both sides take turns.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from causal_lm import generates, orbit
from command import Benchmark
from timing import Claim, Measure, timed
from transformers import PreTrainedModel
from workload import GENDER, Workload

from hf_equi.fairness import audit, fill

DESCRIPTION = """\
The model has GPT-2-small's configuration (124M parameters, 50257 tokens). The scorer has BERT's architecture (6
layers, width 768). Both have random weights. There are 8 prompts of 8 tokens with two members each, drafts of 5
tokens, and 10 sampled tokens. Any search has to generate the same tokens for all members, as plain `generate` does on
16 rows, and to score the 16 texts of each of the two rounds once. That is the lower bound. Both sides are measured on
the same rows and texts. Besides generating, the audit scores each text twice, takes its likelihood under the base and,
where there is one, its group gap, and sums up. The ratio of its rows says how many times as long that takes as plain
generation.
"""
BEAM_LENGTH = 5
AUDIT_SAMPLES = 5
NAMES = ("search", "search-alone", "audit-base", "audit-equizero")


def claims(workload: Workload, smoke: bool) -> list[Claim]:
    """Return all claims, in the order of the table."""
    return [*search_claims(workload, smoke), *audit_claims(workload, smoke)]


def search_claims(workload: Workload, smoke: bool) -> Iterator[Claim]:
    """The search against its lower bound."""
    length = 2 if smoke else BEAM_LENGTH
    seen: list[list[str]] = []

    def recorder(texts: list[str]) -> torch.Tensor:
        seen.append(texts)
        return workload.scorer(texts)

    ids, new = workload.ids("gender"), workload.new_tokens
    lm = workload.symmetrize(GENDER, "equizero", scorer=workload.scorer, beam_length=length)
    generates(workload.symmetrize(GENDER, "equizero", scorer=recorder, beam_length=length), ids, new)()
    plain = generates(workload.base, orbit(lm, ids), new)
    rounds = timed(lambda: [workload.scorer(texts) for texts in seen])
    count = lm.group.order * workload.prompts
    yield Claim(
        "search",
        f"EquizeroLM, order 2, {workload.prompts} prompts",
        generates(lm, ids, new),
        {f"plain on {count} rows, and one scorer pass a round on {count} texts": lambda: plain() + rounds()},
        1.20,
    )
    free = workload.symmetrize(GENDER, "equizero", scorer=lambda texts: torch.zeros(len(texts)), beam_length=length)
    text = "the same with a scorer that costs nothing"
    yield Claim("search-alone", text, generates(free, ids, new), {f"plain on {count} rows": plain}, None)


def audit_claims(workload: Workload, smoke: bool) -> Iterator[Claim]:
    """The audit against plain generation of as many texts. The audit also scores each text twice."""
    samples = 2 if smoke else AUDIT_SAMPLES
    templates = [
        f"w{10 * row} {{demographic}} " + " ".join(f"w{10 * row + place}" for place in range(6)) for row in range(2)
    ]
    prompts = [fill(template, name) for template in templates for name in GENDER.names]
    ids = workload.tokenizer(prompts, return_tensors="pt")["input_ids"].repeat_interleave(samples, 0)
    new = workload.new_tokens
    search = workload.symmetrize(GENDER, "equizero", scorer=workload.scorer)

    def audits(name: str, model: PreTrainedModel) -> Measure:
        how = {"max_new_tokens": new, "top_k": 50, "batch_size": 2 * samples, "resamples": 100, "progress": False}
        return timed(
            lambda: audit({name: model}, workload.tokenizer, GENDER, templates, workload.scorer, samples, **how)
        )

    half = len(ids) // 2  # the audit decodes one template at a time
    plain = timed(lambda: [generates(workload.base, part, new)() for part in (ids[:half], ids[half:])])
    for name, model in (("base", workload.base), ("equizero", search)):
        ours = audits(name, model)
        ours()  # so that imports and what is built once do not count
        text = f"an audit of {'the base' if name == 'base' else 'EquizeroLM'}, {len(ids)} texts"
        yield Claim(f"audit-{name}", text, ours, {"plain `generate` of as many in the same batches": plain}, None)


def main() -> None:
    """Measure and write the page."""
    summary = "Time the search of EquizeroLM and the audit, as ratios."
    Benchmark("EquizeroLM and the audit", DESCRIPTION, summary, NAMES, claims).run()


if __name__ == "__main__":
    main()
