"""What a base and its EquiLM would say next, to every member of an orbit."""

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
        text: The token; of one that moves all its images, in the order of the members.
        base: Of the base model, a probability for each member.
        equi: Of the EquiLM, or `None` where its texts have no tractable law.
    """

    text: str
    base: tuple[float, ...]
    equi: tuple[float, ...] | None


@torch.no_grad()
def next_words(lm: EquiLM, members: Sequence[Member], count: int) -> tuple[NextWord, ...]:
    r"""Return the tokens that are most probable after a prompt, in either model and for any member.

    $$ p(g v \mid g x) $$

    is compared over g: an equivariant model gives all members of a row one probability.

    Args:
        lm: The EquiLM, with its base and its tokenizer.
        members: The members g x of the orbit of x, itself first.
        count: How many tokens.

    Returns:
        The most probable first.

    Cost: one forward of each model.
    """
    elements = [lm.group.names.index(member.elements[0]) for member in members]
    images = lm.action.permutations[elements]  # (members, vocab)
    ids = torch.tensor([member.tokens for member in members], device=input_device(lm.base))
    models = [lm.base] if lm.method.searches else [lm.base, lm]
    shares = torch.stack([_shares(model, ids).gather(-1, images) for model in models])  # (models, members, vocab)
    most = shares.amax((0, 1)).topk(min(count, shares.shape[-1])).indices
    table = shares[..., most].tolist()
    return tuple(
        NextWord(
            text=_text(lm.tokenizer, images[:, token].tolist()),
            base=tuple(row[place] for row in table[0]),
            equi=None if lm.method.searches else tuple(row[place] for row in table[1]),
        )
        for place, token in enumerate(most.tolist())
    )


def _shares(model: Any, ids: torch.Tensor) -> torch.Tensor:
    """The probabilities of the next token, `(members, vocab)`."""
    logits: torch.Tensor = model(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False).logits[:, -1]
    return logits.float().softmax(-1)


def _text(tokenizer: Any, tokens: Sequence[int]) -> str:
    return " / ".join(dict.fromkeys(_token(tokenizer, token) for token in tokens))


def _token(tokenizer: Any, token: int) -> str:
    """A token as a reader knows it: without its space, and with a name where nothing else is left of it."""
    text: str = tokenizer.decode([token])
    if "\ufffd" in text:  # bytes of a character that is cut
        return str(tokenizer.convert_ids_to_tokens(token))
    return text.strip() or ("new line" if "\n" in text else "space" if text else f"token {token}")
