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

    is compared over g: an equivariant model gives all members of a row the same probability. If words of several
    tokens move, the tokens that begin one are left out, and so are those that become one: the probability of the next
    token is not that of the word.

    Args:
        lm: The EquiLM, with its base and its tokenizer.
        members: The members g x of the orbit of x, x first.
        count: How many tokens.

    Returns:
        The tokens, the most probable first. If there is one member, the images of each token follow it.

    Cost: one forward of each model.
    """
    elements = [lm.group.names.index(member.elements[0]) for member in members]
    alone = lm.action.alone
    tables = lm.action.permutations[:, : lm.action.vocab_size].where(alone, torch.arange(len(alone)).to(alone.device))
    images = tables[elements]  # (members, vocab)
    models = [lm.base] if lm.method.searches else [lm.base, lm]
    said = (_shares(model, members, input_device(lm.base)) for model in models)
    shares = torch.stack([each.gather(-1, images) for each in said])  # (models, members, vocab)
    most = shares.amax((0, 1)).where(alone, 0.0).topk(min(count, int(alone.sum()))).indices.tolist()
    if len(members) == 1:  # each word is beside its counterparts, because no bar shows them
        counterparts = tables[:, most].T.tolist()
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


def _shares(model: Any, members: Sequence[Member], device: torch.device) -> torch.Tensor:
    """Return the probabilities of the next token, `(members, vocab)`."""
    sizes = torch.tensor([len(member.tokens) for member in members])
    width = int(sizes.max())  # padding on the right, so that no model family needs to correct positions
    ids = torch.tensor([[*member.tokens, *[0] * (width - len(member.tokens))] for member in members])
    mask = (torch.arange(width) < sizes[:, None]).long()
    logits = model(input_ids=ids.to(device), attention_mask=mask.to(device), use_cache=False).logits
    said: torch.Tensor = logits[torch.arange(len(sizes)), sizes - 1]
    return said.float().softmax(-1)


def _text(tokenizer: Any, tokens: Sequence[int]) -> str:
    return " / ".join(dict.fromkeys(_token(tokenizer, token) for token in tokens))


def _token(tokenizer: Any, token: int) -> str:
    """Return a readable token: without its space, or with a name if it is only white space."""
    text: str = tokenizer.decode([token])
    if "\ufffd" in text:  # bytes of a split character
        return str(tokenizer.convert_ids_to_tokens(token))
    return text.strip() or ("new line" if "\n" in text else "space" if text else f"token {token}")
