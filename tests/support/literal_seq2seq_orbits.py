"""The equations of `EquiForSeq2SeqLM` as they stand: loops over elements, whole prefixes, no cache, no batch."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

import torch

from hf_equi import TokenPairAction

END = 2


_KNOWN: WeakKeyDictionary[Any, dict[Any, torch.Tensor]] = WeakKeyDictionary()


def score(base: Any, source: torch.Tensor, prefix: torch.Tensor) -> torch.Tensor:
    """The base's log-probabilities after each token of one prefix, `(T, V)`; many tests ask for the same."""
    if torch.is_grad_enabled() or base.training:
        return _score(base, source, prefix)
    weights = tuple(parameter._version for parameter in base.parameters())
    known, key = _KNOWN.setdefault(base, {}), (weights, *source.tolist(), None, *prefix.tolist())
    if key not in known:
        known[key] = _score(base, source, prefix)
    return known[key]


def _score(base: Any, source: torch.Tensor, prefix: torch.Tensor) -> torch.Tensor:
    return base(input_ids=source[None], decoder_input_ids=prefix[None]).logits[0].log_softmax(-1)


def members(base: Any, action: TokenPairAction, source: torch.Tensor, prefix: torch.Tensor) -> torch.Tensor:
    """`g⁻¹ log p_M(gy | gx)` for each g, `(G, T, V)`."""
    tables = zip(action.source.permutations, action.target.permutations, strict=True)
    return torch.stack([score(base, own[source], other[prefix])[:, other] for own, other in tables])


def mean(scores: torch.Tensor, average: str, weights: torch.Tensor | None = None) -> torch.Tensor:
    """The weighted mean over members, `(G, T, V)` to `(T, V)`, renormalised; weights add up to 1."""
    weights = scores.new_full((len(scores),), 1 / len(scores)) if weights is None else weights
    weights = weights.to(scores.dtype)[:, None, None]
    total = (weights * scores).sum(0) if average == "logits" else (weights * scores.exp()).sum(0).log()
    return total.log_softmax(-1)


def lambda_weights(model: Any, source: torch.Tensor) -> torch.Tensor:
    """λ of each member over their sum, `(G,)`."""
    pooled = [
        model.base.get_encoder()(input_ids=own[source][None])["last_hidden_state"][0].mean(0)
        for own in model.action.source.permutations
    ]
    raw = torch.stack([model.lambda_network.layers(row) for row in pooled]).squeeze(-1)
    weights = torch.log(1 + raw.exp())
    return weights / weights.sum()


def loss_of_step(name: str, scores: torch.Tensor) -> float:
    """The proxy loss of one step, `(V,)`."""
    values = scores.double().tolist()
    if name == "max_probability":
        return -float(scores.double().exp().max())
    if name == "entropy":
        return -sum(value * float(torch.tensor(value, dtype=torch.float64).exp()) for value in values)
    return -sum(value * value for value in values) / float(torch.tensor(2.0, dtype=torch.float64).log())


def loss_of(name: str, steps: list[torch.Tensor]) -> float:
    """Of a text: the mean over its steps; the published entropy is their sum."""
    total = sum(loss_of_step(name, step) for step in steps)
    return total if name == "published_entropy" else total / len(steps)


@torch.no_grad()
def forward(model: Any, source: torch.Tensor, prefix: torch.Tensor) -> torch.Tensor:
    """What `model.forward` gives for one text, `(T, V)`."""
    scores = members(model.base, model.action, source, prefix)
    if model.config.method == "equizero":
        return scores[choose(model, source, prefix)[0]]
    weights = lambda_weights(model, source) if model.config.method == "lambda" else None
    return mean(scores, model.config.average, weights)


@torch.no_grad()
def choose(model: Any, source: torch.Tensor, prefix: torch.Tensor) -> tuple[int, float]:
    """The element of the least loss, and by how much."""
    scores = members(model.base, model.action, source, prefix)
    return pick(model, [list(member) for member in scores])


def begin(model: Any, prompt: tuple[int, ...]) -> torch.Tensor:
    """The start token and what is there of the target."""
    return torch.tensor([model.generation_config.decoder_start_token_id, *prompt])


def ban_end(row: torch.Tensor, banned: bool) -> torch.Tensor:
    """The scores without the end token, where it may not come yet."""
    return row.index_fill(-1, torch.tensor([END]), -torch.inf) if banned else row


@torch.no_grad()
def synchronised(
    model: Any, source: torch.Tensor, steps: int, prompt: tuple[int, ...] = (), least: int = 0
) -> list[int]:
    """Greedy decoding with the combined scores of each step; at least so many steps."""
    prefix = begin(model, prompt)
    for step in range(steps):
        token = ban_end(forward(model, source, prefix)[-1], step < least).argmax()
        prefix = torch.cat([prefix, token[None]])
        if int(token) == END:
            break
    return prefix[1 + len(prompt) :].tolist()


@torch.no_grad()
def drafts(
    model: Any, source: torch.Tensor, steps: int, prompt: tuple[int, ...] = (), least: int = 0
) -> list[tuple[list[int], list[torch.Tensor]]]:
    """Each member alone and greedy to its own end: its tokens and scores, pulled back."""
    action, found = model.action, []
    for own, other in zip(action.source.permutations, action.target.permutations, strict=True):
        prefix = begin(model, prompt)
        tokens, scores = [], []
        for step in range(steps):
            row = score(model.base, own[source], other[prefix])[-1][other]
            tokens.append(int(ban_end(row, step < least).argmax()))
            scores.append(row)
            prefix = torch.cat([prefix, torch.tensor(tokens[-1:])])
            if tokens[-1] == END:
                break
        found.append((tokens, scores))
    return found


def fill(scores: list[torch.Tensor], length: int) -> torch.Tensor:
    """The scores of one text, `(length, V)`: zeros behind its end."""
    return torch.stack(scores + [torch.zeros_like(scores[0])] * (length - len(scores)))


@torch.no_grad()
def combine(
    model: Any, source: torch.Tensor, members: list[list[torch.Tensor]], length: int, least: int = 0
) -> torch.Tensor:
    """The mean of whole outputs, `(length, V)`."""
    whole = torch.stack([fill(member, length) for member in members])
    whole[:, :least] = ban_end(whole[:, :least], True).log_softmax(-1)
    weights = lambda_weights(model, source) if model.config.method == "lambda" else None
    return mean(whole, model.config.average, weights)


def independent(
    model: Any, source: torch.Tensor, steps: int, prompt: tuple[int, ...] = (), least: int = 0
) -> list[int]:
    """Each member alone, the mean, the best token of each place up to the first end."""
    alone = [scores for _, scores in drafts(model, source, steps, prompt, least)]
    tokens = combine(model, source, alone, max(map(len, alone)), least).argmax(-1).tolist()
    return tokens[: tokens.index(END) + 1] if END in tokens else tokens


def pick(model: Any, members: list[list[torch.Tensor]]) -> tuple[int, float]:
    """The member whose text has the least loss, and by how much."""
    losses = torch.tensor([loss_of(model.config.loss, scores) for scores in members])
    order = losses.argsort()
    return int(order[0]), float(losses[order[1]] - losses[order[0]])


def equizero(
    model: Any, source: torch.Tensor, steps: int, prompt: tuple[int, ...] = (), least: int = 0
) -> tuple[list[int], int, float]:
    """The draft of the least loss, its element, and by how much."""
    found = drafts(model, source, steps, prompt, least)
    element, margin = pick(model, [scores for _, scores in found])
    return found[element][0], element, margin


def greedy(model: Any, source: torch.Tensor, steps: int, prompt: tuple[int, ...] = (), least: int = 0) -> list[int]:
    """What `model.generate` writes for one source."""
    if model.config.method == "equizero":
        return equizero(model, source, steps, prompt, least)[0]
    decode = independent if model.config.decoding == "independent" else synchronised
    return decode(model, source, steps, prompt, least)


def roll_out(model: Any, source: torch.Tensor, length: int, labelled: int) -> torch.Tensor:
    """The scores of a sentence that reads what it says itself, `(length, V)`; equizero goes by labelled places."""
    if model.config.decoding == "independent":
        alone = [scores for _, scores in drafts(model, source, length)]
        if model.config.method == "equizero":
            return fill(alone[pick(model, [scores[:labelled] for scores in alone])[0]], length)
        return combine(model, source, alone, length)
    prefix, rows = begin(model, ()), []
    for _ in range(length):
        rows.append(forward(model, source, prefix)[-1])
        prefix = torch.cat([prefix, rows[-1].argmax()[None]])
    return torch.stack(rows)
