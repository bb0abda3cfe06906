"""The next tokens of a base and of its EquiLM after every member of an orbit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from hf_equi.bases.offloading import input_device
from hf_equi.fairness.completions import Member
from hf_equi.models.causal_lm import EquiLM

__all__ = ["NextWord", "next_words"]


@dataclass(frozen=True)
class NextWord:
    """A token, and for each member of an orbit the probability of its image.

    Args:
        text: The token; if it moves, all its images, in the order of the members.
        base: The probability for each member under the base model.
        equi: The same under the EquiLM, or `None` if the distribution of its texts is not tractable.
    """

    text: str
    base: tuple[float, ...]
    equi: tuple[float, ...] | None


@torch.no_grad()
def next_words(lm: EquiLM, members: Sequence[Member], count: int) -> tuple[NextWord, ...]:
    r"""Return the most probable tokens after a prompt, by either model and for any member.

    $$ p(g v \mid g x) $$

    is compared over g: an equivariant model gives all members of a row the same probability.

    Args:
        lm: The EquiLM, with its base and its tokenizer.
        members: The members g x of the orbit of x, x first.
        count: How many tokens.

    Returns:
        The tokens, the most probable first. If there is one member, the images of each token follow it.

    Cost: one forward of each model.
    """
    elements = [lm.group.names.index(member.elements[0]) for member in members]
    images = lm.action.permutations[elements]  # (members, vocab)
    ids = torch.tensor([member.tokens for member in members], device=input_device(lm.base))
    models = [lm.base] if lm.method.searches else [lm.base, lm]
    shares = torch.stack([_shares(model, ids).gather(-1, images) for model in models])  # (models, members, vocab)
    most = shares.amax((0, 1)).topk(min(count, shares.shape[-1])).indices.tolist()
    if len(members) == 1:  # each word is beside its counterparts, because no bar shows them
        counterparts = lm.action.permutations[:, most].T.tolist()
        most = list(dict.fromkeys(one for word, all_ in zip(most, counterparts, strict=True) for one in (word, *all_)))
    table = shares[..., most].tolist()
    return tuple(
        NextWord(
            text=_text(lm.tokenizer, images[:, token].tolist()),
            base=tuple(row[place] for row in table[0]),
            equi=None if lm.method.searches else tuple(row[place] for row in table[1]),
        )
        for place, token in enumerate(most)
    )


def _shares(model: Any, ids: torch.Tensor) -> torch.Tensor:
    """Return the probabilities of the next token, `(members, vocab)`."""
    logits: torch.Tensor = model(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False).logits[:, -1]
    return logits.float().softmax(-1)


def _text(tokenizer: Any, tokens: Sequence[int]) -> str:
    return " / ".join(dict.fromkeys(_token(tokenizer, token) for token in tokens))


def _token(tokenizer: Any, token: int) -> str:
    """Return a readable token: without its space, or with a name if it is only white space."""
    text: str = tokenizer.decode([token])
    if "\ufffd" in text:  # bytes of a split character
        return str(tokenizer.convert_ids_to_tokens(token))
    return text.strip() or ("new line" if "\n" in text else "space" if text else f"token {token}")
