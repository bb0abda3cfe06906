"""Time the search of EquizeroLM and the audit, as ratios.

    python benchmarks/equizero.py --output docs/benchmarks_equizero.md

GPT-2-small's configuration (124M parameters) with random weights, and a scorer of BERT's architecture (6 layers, width
768), random too. Every ratio comes from one run in which the two sides take turns.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from causal_lm import generates, orbit
from command import Benchmark
from timing import Claim, timed
from workload import GENDER, Workload

DESCRIPTION = """\
GPT-2-small's configuration (124M parameters, 50257 tokens) and a scorer of BERT's architecture (6 layers, width 768),
both with random weights; 8 prompts of 8 tokens, two members each, drafts of 5 tokens, 20 sampled tokens. No search can
take less than it takes to generate the same tokens for all members, plain `generate` on 16 rows, and to score the 16
texts of each of the four rounds once: that is the lower bound, and both are measured on the same rows and texts.
"""
BEAM_LENGTH = 5
NAMES = ("search", "search-alone")


def claims(workload: Workload, smoke: bool) -> list[Claim]:
    """All of them, in the order of the table."""
    return list(search_claims(workload, smoke))


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
        f"EquizeroLM, order 2, vs its lower bound: plain on {count} rows and one scorer pass a round on {count} texts",
        generates(lm, ids, new),
        lambda: plain() + rounds(),
        1.20,
    )
    free = workload.symmetrize(GENDER, "equizero", scorer=lambda texts: torch.zeros(len(texts)), beam_length=length)
    yield Claim(
        "search-alone",
        f"the same with a scorer that costs nothing, vs plain on {count} rows",
        generates(free, ids, new),
        plain,
        None,
    )


def main() -> None:
    """Measure and write the page."""
    summary = "Time the search of EquizeroLM and the audit, as ratios."
    Benchmark("Benchmarks of EquizeroLM and of the audit", DESCRIPTION, summary, NAMES, claims).run()


if __name__ == "__main__":
    main()
