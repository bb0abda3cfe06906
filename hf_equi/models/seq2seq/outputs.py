"""Whole outputs of the members of an orbit: how to choose among them, and how to combine them."""

from __future__ import annotations

import copy
from typing import Any

import torch
from transformers import GenerationConfig, LogitsProcessor
from transformers.utils import ModelOutput

from hf_equi.actions import TrivialAction
from hf_equi.bases.compat import CACHE
from hf_equi.bases.orbit_reader import fold_rows
from hf_equi.generation.coupled_sampling import CoupledNoise, Prompts
from hf_equi.generation.plain_greedy import STRATEGY_ALONE
from hf_equi.groups import FiniteGroup
from hf_equi.symmetrizers import Combine, Mean, Method, Orbit

__all__ = ["ForcedTexts", "WholeOutputs", "as_greedy", "silenced", "take_rows", "write_to"]

_STRATEGY = {"do_sample": False, "num_beams": 1, "num_return_sequences": 1, "return_dict_in_generate": False}
_UNREAD = (*STRATEGY_ALONE, "output_scores", "output_logits")
"""Outputs of drafts that nobody reads."""


class WholeOutputs:
    """Outputs that the members of an orbit have written separately, combined place by place.

    A member that has ended does not contribute to the places after its end.

    Args:
        group: The group whose members they are.
        orbit: The members, one row each.
        method: How scores are combined.
        ends: The tokens that end a text.
        pad: The token after an end.
    """

    def __init__(
        self, group: FiniteGroup, orbit: Orbit, method: Method, ends: tuple[int, ...], pad: int | None
    ) -> None:
        self.group = group
        self.orbit = orbit
        self.method = method
        self.ends = torch.tensor(ends, dtype=torch.long, device=orbit.rank.device)
        self.pad = pad if pad is not None else int(self.ends[0]) if len(self.ends) else 0

    def inside(self, texts: torch.Tensor) -> torch.Tensor:
        """Return which places are part of each text, its end included: `(..., T)` ids to `(..., T)` bool."""
        ends = torch.isin(texts, self.ends)
        return ends.cumsum(-1) - ends.long() == 0

    def combine(
        self, inside: torch.Tensor, scores: torch.Tensor, samples: int, log_weights: torch.Tensor | None
    ) -> torch.Tensor:
        """Combine the scores of all members.

        Args:
            inside: `(R * samples, T)` bool, the places that are part of what each member wrote.
            scores: `(R * samples, T, V)` its log-probabilities there, in the user's frame.
            samples: The number of texts of each member.
            log_weights: `(B, K)` the members' weights, or `None` for equal weights.

        Returns:
            `(B * samples, T, V)`.
        """
        inside, scores = (each.view(-1, samples, *each.shape[1:]) for each in (inside, scores))
        scores = silenced(self.orbit, inside, scores, self.method.combine.empty)
        combined = self._fold(self.method.combine, scores, log_weights)
        empty = (combined == -torch.inf).all(-1, keepdim=True)
        # If no token is left to all members, after top-k for example, a token that is left to some members is used.
        if bool(empty.any()):
            combined = combined.where(~empty, self._fold(Mean("probabilities"), scores, log_weights))
        return combined.flatten(0, 1)

    def _fold(self, combine: Combine, scores: torch.Tensor, log_weights: torch.Tensor | None) -> torch.Tensor:
        """Return the members' scores `(R, samples, T, V)`, combined to `(B, samples, T, V)`."""
        still = TrivialAction(self.group, scores.device)
        return fold_rows(self.orbit, still, combine, scores, log_weights)[0]

    def live(self, inside: torch.Tensor, samples: int) -> torch.Tensor:
        """Return where some member has not ended yet: `(R * samples, T)` to `(B * samples, T)`."""
        return _some_member(self.orbit, inside.view(-1, samples, inside.shape[1])).flatten(0, 1)

    def write(self, scores: torch.Tensor, live: torch.Tensor, prompts: Prompts) -> torch.Tensor:
        """Return the best token of each place up to the first end; the noise breaks ties.

        Args:
            scores: `(B * samples, T, V)` the result of `combine`.
            live: `(B * samples, T)` the result of `live`: a text ends at the latest where all members have ended.
            prompts: What the noise depends on.

        Returns:
            `(B * samples, longest)`, padded.
        """
        noise = CoupledNoise(prompts, "greedy")
        tokens = torch.stack([noise.choose(scores[:, place], place).argmax(-1) for place in range(scores.shape[1])], 1)
        inside = live & self.inside(tokens)
        return tokens.masked_fill(~inside, self.pad)[:, : int(inside.sum(1).max())]


def silenced(orbit: Orbit, inside: torch.Tensor, scores: torch.Tensor, empty: float) -> torch.Tensor:
    """Silence members that were written separately at the places after their ends.

    A member that says nothing has zeros in a mean of logits and −inf in a mean of probabilities. Some member must
    still speak at each place.

    Args:
        orbit: The members.
        inside: `(R, ..., T)` bool, the places that are part of what each member wrote.
        scores: `(R, ..., T, V)` its log-probabilities there.
        empty: The value that says nothing (`Combine.empty`).
    """
    speaks = _some_member(orbit, inside)[orbit.batch_of_row]
    return scores.where(inside.unsqueeze(-1), torch.where(speaks, empty, 0.0).unsqueeze(-1).to(scores.dtype))


def _some_member(orbit: Orbit, inside: torch.Tensor) -> torch.Tensor:
    """Return where some member of each orbit is inside its text: `(R, ..., T)` to `(B, ..., T)`."""
    rows = inside.long()
    return rows.new_zeros(len(orbit.counts), *rows.shape[1:]).index_add(0, orbit.batch_of_row, rows) > 0


class ForcedTexts(LogitsProcessor):
    """Writes texts that already exist, and notes the scores from which each token was chosen.

    Args:
        texts: `(rows, T)` the texts to write.
        start: The number of tokens before the first decoded one.
    """

    runs_last = True

    def __init__(self, texts: torch.Tensor, start: int) -> None:
        self.texts = texts
        self.start = start
        self.noted: list[torch.Tensor] = []

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.Tensor:
        """Note `(rows, V)` scores, and leave one token."""
        self.noted.append(scores)
        token = self.texts[:, self.start + len(self.noted) - 1, None]
        return torch.full_like(scores, -torch.inf).scatter_(-1, token, 0.0)

    def scores(self) -> torch.Tensor:
        """The log-probabilities of all places, `(rows, T, V)`."""
        return torch.stack(self.noted, 1).log_softmax(-1)


def as_greedy(config: GenerationConfig, kwargs: dict[str, Any]) -> tuple[GenerationConfig, dict[str, Any]]:
    """Return the settings of a call with greedy decoding instead of its strategy."""
    config = copy.deepcopy(config)
    for name in _UNREAD:
        setattr(config, name, None)
    for name, value in _STRATEGY.items():
        setattr(config, name, value)
    rest = {name: value for name, value in kwargs.items() if name not in (*_UNREAD, *_STRATEGY)}
    # All settings go into the config: `generate` objects to a config together with separate settings.
    return config, config.update(**rest)


def take_rows(out: Any, rows: torch.Tensor, length: int) -> Any:
    """Return some texts of an output of `generate`, cut to a length.

    Args:
        out: Token ids `(R, T)`, or a `ModelOutput` with `sequences`.
        rows: `(B,)` the rows to take.
        length: The number of tokens of the longest of them.
    """
    if isinstance(out, torch.Tensor):
        return out[rows, :length]
    steps = length - (out.sequences.shape[1] - len(out.scores)) if out.get("scores") is not None else None
    taken = {name: _take(value, rows, steps) for name, value in out.items() if name != CACHE}
    return type(out)(**{**taken, "sequences": out.sequences[rows, :length]})


def _take(value: Any, rows: torch.Tensor, steps: int | None) -> Any:
    """Return the rows of a tensor, or of each tensor of a tuple with one tensor for each step."""
    if isinstance(value, ModelOutput):
        return type(value)(**{name: _take(part, rows, None) for name, part in value.items()})
    if isinstance(value, tuple):
        return tuple(_take(part, rows, None) for part in value[:steps])
    return value[rows] if isinstance(value, torch.Tensor) else value


def write_to(streamer: Any, out: Any, start: int) -> None:
    """Pass a finished text to a streamer, as `generate` does while it writes."""
    sequences = out if isinstance(out, torch.Tensor) else out.sequences
    streamer.put(sequences[:, :start].cpu())
    for place in range(start, sequences.shape[1]):
        streamer.put(sequences[:, place].cpu())
    streamer.end()
