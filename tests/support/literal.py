"""The equations, written as they stand: a loop over texts and elements, whole texts, no cache, no sharing."""

from __future__ import annotations

import torch

from hf_equi import TokenAction


def members(base, action: TokenAction, ids: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
    """`g⁻¹ log p_M(gx)` of one text for each g, `(group, tokens, vocab)`; `mask` of one text."""
    rows = []
    for g in range(action.group.order):
        moved = action.permutations[g][ids]
        kwargs = {} if mask is None else {"attention_mask": mask[None], "position_ids": positions(mask[None])}
        with torch.no_grad():
            scores = base(input_ids=moved[None], **kwargs).logits[0].log_softmax(-1)
        rows.append(scores[:, action.permutations[g]])
    return torch.stack(rows)


def positions(mask: torch.Tensor) -> torch.Tensor:
    """As `generate` counts them."""
    return (mask.long().cumsum(-1) - 1).clamp(min=0)


def equitune(base, action: TokenAction, ids: torch.Tensor, average: str = "logits") -> torch.Tensor:
    """EquiLM of one text, `(tokens, vocab)`."""
    scores = members(base, action, ids)
    combined = scores.mean(0) if average == "logits" else scores.exp().mean(0).log()
    if action.general is not None:
        combined = torch.where(action.general, scores[0], combined)
    return combined.log_softmax(-1)


def greedy(base, action: TokenAction, prompt: torch.Tensor, steps: int, banned: int = 0) -> list[int]:
    """Greedy decoding of one prompt with EquiLM, without the token `banned` (end of text)."""
    ids = prompt
    for _ in range(steps):
        scores = equitune(base, action, ids)[-1]
        scores[banned] = -torch.inf
        ids = torch.cat([ids, scores.argmax()[None]])
    return ids[len(prompt) :].tolist()
