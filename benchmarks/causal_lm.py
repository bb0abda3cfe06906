"""Time EquiLM against plain transformers, as ratios.

    python benchmarks/causal_lm.py --output docs/benchmarks.md

The model has GPT-2-small's configuration (124M parameters) and random weights. Every ratio comes from one run in which
all sides take turns.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import memory
import torch
from command import Benchmark
from timing import Claim, Measure, timed
from transformers import GenerationMixin
from workload import ALL_FACTORS, GENDER, Workload

from hf_equi import EquiLM

DESCRIPTION = """\
The model has GPT-2-small's configuration (124M parameters, 50257 tokens) and random weights. Unless a row says
otherwise, 10 tokens are sampled after each prompt of a batch of 8 prompts of 8 tokens. The group of order 2 exchanges
words of gender. The group of order 12 is gender × race × sexuality. *plain* is `generate` of the unwrapped model with
the same settings. On 16 or 96 rows it continues all members of the same orbits. A step on 16 rows does twice the
arithmetic of one on 8, but reads the weights as often, so it takes less than twice the time. How much less depends on
the number of cores, and the bound of that row was set for two. The *published decoding* takes one prompt at a time and
calls the model on the whole text, without a cache, for every token and every group element. The longer the texts, the
more the library gains over it. A model with random weights hardly ever samples words of the group, so the prompts
decide how many members an orbit has. The rows about memory compare peaks of resident memory, less what the process
held before the work (program and weights). Each is measured in a new process.
"""
PUBLISHED = 15
"""How many times as fast as the published decoding the library has to be."""
NAMES = (
    "orbit-2",
    "rows-8",
    "gender-alone",
    "unmoved",
    "orbit-12",
    "prefill-one",
    "prefill-batch",
    "mixture",
    "canonical",
    "published",
    "memory-score-1",
    "memory-score-4",
    "memory-generate-1",
)


def equitune_claims(workload: Workload) -> Iterator[Claim]:
    """EquiLM with |G| = 2 and 12 against the plain model."""
    two, twelve = workload.symmetrize(GENDER), workload.symmetrize(ALL_FACTORS)
    gender, unmoved, moved = workload.ids("gender"), workload.ids("none"), workload.ids("all")
    new, count = workload.new_tokens, workload.prompts

    def plain(ids: torch.Tensor) -> dict[str, Measure]:
        return {f"plain on {len(ids)} rows": generates(workload.base, ids, new)}

    ours = generates(two, gender, new)
    yield Claim("orbit-2", f"order 2, {count} prompts, vs as many rows", ours, plain(orbit(two, gender)), 1.05)
    yield Claim("rows-8", f"order 2, {count} prompts, vs half as many rows", ours, plain(gender), 1.20)
    text, same = "order 12, prompts with a gender word alone", {"order 2": ours}
    yield Claim("gender-alone", text, generates(twelve, gender, new), same, 1.10)
    text = "order 12, prompts without moved words"
    yield Claim("unmoved", text, generates(twelve, unmoved, new), plain(unmoved), 1.10)
    text = "order 12, prompts moved by all factors"
    yield Claim("orbit-12", text, generates(twelve, moved, new), plain(orbit(twelve, moved)), 1.10)


def prefill_claims(workload: Workload) -> Iterator[Claim]:
    """One new token after long prompts whose only moved word is the last."""
    two = workload.symmetrize(GENDER)
    for prompts in (1, workload.prompts):
        ids = workload.ids("last", workload.prefill_tokens, prompts)
        number = "a prompt" if prompts == 1 else f"{prompts} prompts"
        yield Claim(
            "prefill-one" if prompts == 1 else "prefill-batch",
            f"order 2, prefill of {number} of {workload.prefill_tokens} tokens, the last one moved",
            generates(two, ids, 1),
            {"plain on the prompts alone": generates(workload.base, ids, 1)},
            1.15,
        )


def one_row_claims(workload: Workload) -> Iterator[Claim]:
    """The methods that decode one member of the orbit."""
    ids = workload.ids("gender")
    plain = {f"plain on {workload.prompts} rows": generates(workload.base, ids, workload.new_tokens)}
    for method in ("mixture", "canonical"):
        ours = generates(workload.symmetrize(GENDER, method), ids, workload.new_tokens)
        yield Claim(method, f"order 2, `{method}`", ours, plain, 1.05)


def published_claims(workload: Workload) -> Iterator[Claim]:
    """EquiLM against the decoding of the published code."""
    lm, ids, new = workload.symmetrize(GENDER), workload.ids("gender"), 2 * workload.new_tokens
    yield Claim(
        "published",
        f"order 2, {workload.prompts} prompts, {new} tokens, vs decoding without a cache",
        generates(lm, ids, new),
        {"the published decoding": timed(lambda: published_decoding(lm, ids, new))},
        PUBLISHED,
        speedup=True,
    )


def memory_claims(workload: Workload, smoke: bool) -> Iterator[Claim]:
    """`orbit_chunk_size` against whole orbits."""
    if not memory.is_available():
        print(
            "Peak memory is left out, because it is read from /proc, which this system does not have.", file=sys.stderr
        )
        return

    def peak(task: str, chunk: int | None) -> Measure:
        return lambda: memory.peak(task, chunk, smoke, torch.get_num_threads())

    shape = f"{workload.prompts} × {workload.scored_tokens} tokens moved by all factors"
    for task, chunk in (("generate", 1),) if smoke else (("score", 1), ("score", 4), ("generate", 1)):
        text = f"order 12, peak memory of `{'forward' if task == 'score' else 'generate'}`, {shape}"
        yield Claim(
            f"memory-{task}-{chunk}",
            f"{text}, `orbit_chunk_size={chunk}`",
            peak(task, chunk),
            {"no chunks": peak(task, None)},
            1,
            unit="MiB",
        )


def generates(model: GenerationMixin, ids: torch.Tensor, new_tokens: int) -> Measure:
    """Measure the seconds of sampling. A text of another length would make the ratio meaningless."""

    def run() -> None:
        mask = torch.ones_like(ids)
        texts = model.generate(ids, attention_mask=mask, do_sample=True, max_new_tokens=new_tokens)
        if texts.shape != (len(ids), ids.shape[1] + new_tokens):
            raise RuntimeError(f"generate returned texts of shape {tuple(texts.shape)}, not {new_tokens} new tokens")

    return timed(run)


def orbit(lm: EquiLM, ids: torch.Tensor) -> torch.Tensor:
    """Return all members of the orbits, as rows for the plain model."""
    return lm.action.orbit(ids).flatten(0, 1)


def published_decoding(lm: EquiLM, ids: torch.Tensor, new_tokens: int) -> torch.Tensor:
    """Decode equi-tuning as in its first publications: for each prompt, token and element, read the whole text.

    The symmetrised model gives the logits of all places, and the last are used. The published code also rebuilds its
    tables in Python, sorts the vocabulary and prints for every token. That is left out here.
    """
    action, base = lm.action, lm.unwrap()
    texts = []
    for prompt in ids:
        text = prompt[None]
        for _ in range(new_tokens):
            scores = [
                action.pull_back(g, base(input_ids=action.apply(g, text), use_cache=False).logits)
                for g in range(action.group.order)
            ]
            law = torch.stack(scores).mean(0)[:, -1].softmax(-1)
            text = torch.cat([text, law.multinomial(1)], dim=1)
        texts.append(text)
    return torch.cat(texts)


def claims(workload: Workload, smoke: bool) -> list[Claim]:
    """Return all claims, in the order of the table."""
    groups = (equitune_claims, prefill_claims, one_row_claims, published_claims)
    return [claim for group in groups for claim in group(workload)] + list(memory_claims(workload, smoke))


def main() -> None:
    """Measure and write the page."""
    benchmark = Benchmark(
        "Causal language models", DESCRIPTION, "Time EquiLM against plain transformers, as ratios.", NAMES, claims
    )
    benchmark.run()


if __name__ == "__main__":
    main()
