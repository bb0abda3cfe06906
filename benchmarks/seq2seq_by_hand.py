"""Ways to decode SCAN with the members of orbits by hand: the published loop, and one with all members in a batch."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from seq2seq_workload import Sentences, orbit, pad

from hf_equi import EquiForSeq2SeqLM
from hf_equi.bases.compat import cache_of, cached
from hf_equi.networks.recurrent_seq2seq import RecurrentSeq2Seq

sys.path.append(str(Path(__file__).parents[1] / "examples"))
from scan_data import END, MAX_ACTIONS, PAD, START

__all__ = ["chosen_by_hand", "published_loop", "synchronised_by_hand", "synchronised_loop"]


@torch.no_grad()
def published_loop(lm: EquiForSeq2SeqLM, sentences: Sentences) -> torch.Tensor:
    """Decode equizero as in its first publication: a sentence at a time, with a separate call for each group element.

    The source is encoded once for each element, the decoder is called for each token up to the end, and the surest
    answer is moved back. The published code also moves tokens by matrix products, and prints. That is left out here.
    """
    texts = []
    for ids, mask in zip(sentences.ids, sentences.mask.bool(), strict=True):
        drafts = [greedy(lm.unwrap(), lm.action.source.apply(g, ids[None, mask])) for g in range(lm.group.order)]
        surest = max(range(len(drafts)), key=lambda g: drafts[g][1])
        texts.append(lm.action.target.invert(surest, torch.tensor([drafts[surest][0]])))
    return pad(texts, PAD)


def greedy(base: RecurrentSeq2Seq, source: torch.Tensor) -> tuple[list[int], float]:
    """Return the greedy answer to a sentence `(1, length)`, with its start token, and its mean highest probability."""
    encoded, cache = base.encoder(source), None
    tokens, surety = [START], 0.0
    while len(tokens) <= MAX_ACTIONS and tokens[-1] != END:
        last = torch.tensor([tokens[-1:]])
        out = base(encoder_outputs=encoded, decoder_input_ids=last, use_cache=True, **cached(cache))
        cache = cache_of(out)
        best = out.logits[0, -1].softmax(-1).max(-1)
        tokens.append(int(best.indices))
        surety += float(best.values)
    return tokens, surety / (len(tokens) - 1)


@torch.no_grad()
def synchronised_loop(lm: EquiForSeq2SeqLM, sentences: Sentences) -> torch.Tensor:
    """Decode equitune as the published loop does: each element and token takes a call, and the mean decides."""
    base, action = lm.unwrap(), lm.action
    texts = []
    for ids, mask in zip(sentences.ids, sentences.mask.bool(), strict=True):
        encoded = [base.encoder(action.source.apply(g, ids[None, mask])) for g in range(lm.group.order)]
        caches, tokens = [None] * lm.group.order, [START]
        while len(tokens) <= MAX_ACTIONS and tokens[-1] != END:
            total = 0
            for g, table in enumerate(action.target.permutations):
                last = table[tokens[-1]].view(1, 1)
                out = base(encoder_outputs=encoded[g], decoder_input_ids=last, use_cache=True, **cached(caches[g]))
                caches[g] = cache_of(out)
                total = total + out.logits[0, -1].log_softmax(-1)[table]
            tokens.append(int(total.argmax()))
        texts.append(torch.tensor([tokens]))
    return pad(texts, PAD)


@torch.no_grad()
def chosen_by_hand(lm: EquiForSeq2SeqLM, sentences: Sentences, most: int = MAX_ACTIONS) -> torch.Tensor:
    """Decode equizero with all members of a batch of sentences as rows, and move the surest answers back.

    At most `most` tokens are decoded.
    """
    order, rows = lm.group.order, orbit(lm, sentences)
    encoded, mask, cache = lm.unwrap().encoder(rows.ids, rows.mask), padding(rows), None
    last = torch.full_like(rows.ids[:, :1], START)
    texts, ended = [last], torch.zeros_like(last[:, 0], dtype=torch.bool)
    surety, tokens = torch.zeros(len(last)), torch.zeros(len(last))
    while len(texts) <= most and not bool(ended.all()):
        out = lm.unwrap()(encoder_outputs=encoded, decoder_input_ids=last, use_cache=True, **mask, **cached(cache))
        cache = cache_of(out)
        best = out.logits[:, -1].softmax(-1).max(-1)
        surety += best.values.masked_fill(ended, 0)
        tokens += ~ended
        last = best.indices.masked_fill(ended, PAD)[:, None]
        texts.append(last)
        ended = ended | (last[:, 0] == END)
    surest = (surety / tokens).view(-1, order).argmax(1)
    chosen = torch.arange(len(surest)) * order + surest
    return lm.action.target.invert(surest, torch.cat(texts, 1)[chosen])


@torch.no_grad()
def synchronised_by_hand(lm: EquiForSeq2SeqLM, sentences: Sentences) -> torch.Tensor:
    """Decode equitune with all members of a batch of sentences as rows: the mean of their logits decides."""
    order, rows = lm.group.order, orbit(lm, sentences)
    encoded, mask, cache = lm.unwrap().encoder(rows.ids, rows.mask), padding(rows), None
    frame = lm.action.target.permutations.repeat(len(sentences.ids), 1)  # (rows, vocabulary)
    last = torch.full_like(sentences.ids[:, :1], START)
    texts, ended = [last], torch.zeros_like(last[:, 0], dtype=torch.bool)
    while len(texts) <= MAX_ACTIONS and not bool(ended.all()):
        read = frame.gather(1, last.repeat_interleave(order, 0))
        out = lm.unwrap()(encoder_outputs=encoded, decoder_input_ids=read, use_cache=True, **mask, **cached(cache))
        cache = cache_of(out)
        scores = out.logits[:, -1].log_softmax(-1).gather(1, frame).view(len(last), order, -1).mean(1)
        last = scores.argmax(1).masked_fill(ended, PAD)[:, None]
        texts.append(last)
        ended = ended | (last[:, 0] == END)
    return torch.cat(texts, 1)


def padding(rows: Sentences) -> dict[str, torch.Tensor]:
    """Return the mask of the sources, unless it hides nothing."""
    return {} if bool(rows.mask.all()) else {"attention_mask": rows.mask}
