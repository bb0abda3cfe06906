r"""Coupled sampling: one source of noise for all members of an orbit.

A token is drawn by Gumbel-max,

$$ y_t = \arg\max_v \; s_t(v) + \gamma\big(s, k(x) x, i, t, k(x) v\big), $$

where s is the seed, i the number of the sample of this prompt, t the step, and k(x) the first element that takes the
prompt x to the smallest member of its orbit. The noise of a text is therefore the noise of its canonical prompt,
pulled back. It depends neither on the other texts in the batch nor on the number of processes. The texts of g x are
those of x moved by g (by g without its components that fix x, since those leave k(x) as it is).

γ is a hash of its arguments (a 64-bit SplitMix stream keyed by BLAKE2), so it is the same on all devices.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Sequence
from typing import Any

import torch
from transformers import LogitsProcessor

from hf_equi.actions import TokenAction, WordAction
from hf_equi.actions._splitmix import shift_right, splitmix
from hf_equi.checks import check_seed
from hf_equi.errors import ConfigurationError
from hf_equi.groups import DemographicGroup
from hf_equi.symmetrizers import Draws

__all__ = [
    "CUT",
    "CoupledDraws",
    "CoupledNoise",
    "NoiseKeys",
    "Prompts",
    "best_tokens",
    "check_scores",
    "draw_tokens",
    "uniform",
]

Uniform = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""The noise of some (row, token) pairs: two `(N,)` tensors of numbers to `(N,)` float64 in (0, 1)."""

# Beam search ranks tokens before it chooses one, so there a nudge breaks exact ties.
BEAM_NUDGE = 1e-5
"""The most nats added to the score of a moved token in beam search."""

CUT = -1
"""Separates the noise of a cut among tokens from the noise of the draw after it."""


class NoiseKeys:
    """What the noise depends on in the prompts of one call.

    Args:
        elements: `(B,)` k(x) of each prompt, the first element that takes it to the smallest member of its orbit.
        canonical: The smallest member of each prompt's orbit, in numbers.
        seed: The seed of the noise. `None` takes one from torch's global generator and gives each row noise of its
            own, which is what users of `generate` without a seed expect for equal prompts.

    Raises:
        ConfigurationError: If `seed` is not a seed.
    """

    length: int = 0
    """The number of tokens before the first drawn one."""

    def __init__(self, elements: torch.Tensor, canonical: Sequence[Sequence[int]], seed: int | None) -> None:
        check_seed(seed)
        self.count = len(elements)
        self.elements = elements
        # Without a seed, the row number gives equal prompts different noise.
        start = int(torch.randint(2**62, ())) if seed is None else seed
        origins = [(start, row if seed is None else -1) for row in range(self.count)]
        self.digests = [_digest(*origin, *numbers) for origin, numbers in zip(origins, canonical, strict=True)]

    @classmethod
    def of_texts(cls, action: WordAction, texts: Sequence[str], seed: int | None, device: torch.device) -> NoiseKeys:
        """Make the keys for a group that acts on words, from the prompts as texts."""
        elements = [action.canonical_element(text) for text in texts]
        canonical = [list(action.apply(g, text).encode()) for g, text in zip(elements, texts, strict=True)]
        return cls(torch.tensor(elements, dtype=torch.long, device=device), canonical, seed)

    def keys(self, rows: int, *numbers: int, sample: bool = True) -> torch.Tensor:
        """Return one key a row, `(rows,)`, made of its prompt, its sample's number (unless shared) and `numbers`."""
        return self.row_keys([numbers] * rows, sample)

    def row_keys(self, numbers: Sequence[Sequence[int]], sample: bool = True) -> torch.Tensor:
        """Return one key a row, `(rows,)`, as `keys` does, from numbers of its own."""
        each = len(numbers) // self.count
        keys = [
            struct.unpack("<q", _digest(row % each if sample else 0, *own, salt=self.digests[row // each])[:8])[0]
            for row, own in enumerate(numbers)
        ]
        return torch.tensor(keys, dtype=torch.long, device=self.elements.device)

    def row_elements(self, rows: int) -> torch.Tensor:
        """Return k(x) of each row, `(rows,)`."""
        return self.elements.repeat_interleave(rows // self.count)

    def counters(self, elements: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        """Return the numbers of tokens in the noise, `(N,)`, for rows with these k(x): as the rows read them."""
        return tokens

    @property
    def moved(self) -> torch.Tensor:
        """The tokens whose scores are the same as those of other tokens where an orbit ties: none."""
        return self.elements[:0]


class Prompts(NoiseKeys):
    """The prompts of one call as token ids, for a group that acts on tokens.

    Args:
        action: The group on tokens.
        ids: `(B, T)` the prompts.
        mask: `(B, T)`, 0 at padding, or `None`.
        seed: As in `NoiseKeys`.
        written: The action on the tokens that are drawn, if they are of another vocabulary; by default `action`.
        length: The number of tokens before the first drawn one; by default those of the prompts.

    Attributes:
        padding: The number of places of padding before each prompt.
    """

    def __init__(
        self,
        action: TokenAction,
        ids: torch.Tensor,
        mask: torch.Tensor | None,
        seed: int | None,
        written: TokenAction | None = None,
        length: int | None = None,
    ) -> None:
        self.written = action if written is None else written
        self.length = ids.shape[1] if length is None else length
        elements = action.canonical_element(ids, mask)
        members = action.members_of(elements[:, None], ids, mask)
        super().__init__(elements, [member for (member,) in members], seed)
        self.padding = [0] * len(ids) if mask is None else (mask.cumsum(-1) == 0).sum(-1).tolist()

    def counters(self, elements: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        """Return the tokens of the canonical texts."""
        permuted: torch.Tensor = self.written.permutations[elements, tokens]
        return permuted

    @property
    def moved(self) -> torch.Tensor:
        """The tokens that the group moves. Words of several tokens have units of their own, which are no tokens."""
        moved: torch.Tensor = self.written.moved
        return moved[moved < self.written.vocab_size]


class CoupledDraws(Draws):
    """Group elements drawn from the seed: h k(x), where the canonical prompt decides the element h."""

    def __init__(self, prompts: NoiseKeys, samples: int) -> None:
        self.prompts = prompts
        self.samples = samples

    def elements(self, action: Any, prompt: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        """Return one element for each sample of each prompt, `(B,)`."""
        rows = self.prompts.count * self.samples
        group: DemographicGroup = action.group
        drawn = self.prompts.keys(rows, -1) % group.order
        return group.product.to(drawn.device)[drawn, self.prompts.row_elements(rows)]


class CoupledNoise(LogitsProcessor):
    """The last logits processor of a coupled `generate`: it chooses the token by the noise, or breaks ties with it.

    Sampling: only the drawn token keeps a finite score, so `generate` takes it. Greedy decoding: if several tokens are
    best, the one with the most noise is raised by the smallest possible step. Beam search: moved tokens are nudged by
    at most `BEAM_NUDGE` nats.

    Args:
        prompts: The prompts of this call.
        mode: `"sample"`, `"greedy"` or `"beams"`.
        record: Whether to keep the scores from before the choice, for `scores`.
    """

    runs_last = True

    def __init__(self, prompts: NoiseKeys, mode: str, record: bool = False) -> None:
        self.prompts = prompts
        self.draws = mode == "sample"
        self.choose = {"sample": self._sample, "greedy": self._greedy, "beams": self._nudge}[mode]
        self._recorded: dict[int, torch.Tensor] | None = {} if record else None

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.Tensor:
        """Choose among `scores`, `(rows, V)`."""
        step = self._step(input_ids)
        if self._recorded is not None:
            self._recorded[step] = scores  # a step is asked about again if its draft by an assistant was rejected
        return self.choose(scores, step)

    def scores(self, steps: int) -> tuple[torch.Tensor, ...]:
        """Return the scores of the first steps as they were before the choice, `(rows, V)` each.

        A call may ask for fewer steps than were taken: if a stop is noticed late, the step after the last one is taken
        back.
        """
        recorded = self._recorded or {}
        return tuple(recorded[step] for step in range(steps))

    def tie_noise(self, input_ids: torch.Tensor) -> Uniform:
        """Return the noise that breaks ties before a token is chosen; each sample has noise of its own."""
        keys = self.prompts.keys(len(input_ids), self._step(input_ids), CUT)
        return lambda rows, tokens: self._uniform(rows, tokens, keys)

    def _step(self, input_ids: torch.Tensor) -> int:
        return input_ids.shape[1] - self.prompts.length

    def _sample(self, scores: torch.Tensor, step: int) -> torch.Tensor:
        keys = self.prompts.keys(len(scores), step)
        drawn = draw_tokens(scores, lambda rows, tokens: self._uniform(rows, tokens, keys))
        return torch.full_like(scores, -torch.inf).scatter_(-1, drawn[:, None], 0.0)

    def _greedy(self, scores: torch.Tensor, step: int) -> torch.Tensor:
        # Ties are rare, and only tied rows need keys.
        chosen = best_tokens(
            scores,
            lambda rows, tokens: self._uniform(rows, tokens, self.prompts.keys(len(scores), step, sample=False)),
        )
        if chosen is None:
            return scores
        best = scores.gather(-1, chosen[:, None])
        # The number after 0 is denormal. Processes that take such numbers as 0 would leave the tie as it is.
        tiny = torch.finfo(scores.dtype).tiny
        raised = torch.where(best.abs() < tiny, 2 * tiny, torch.nextafter(best, scores.new_tensor(torch.inf)))
        return scores.scatter(-1, chosen[:, None], raised)

    def _nudge(self, scores: torch.Tensor, step: int) -> torch.Tensor:
        check_scores(scores)
        moved = self.prompts.moved
        rows = torch.arange(len(scores), device=scores.device).repeat_interleave(len(moved))
        noise = self._uniform(rows, moved.repeat(len(scores)), self.prompts.keys(len(scores), step, sample=False))
        return scores.index_add(-1, moved, (BEAM_NUDGE * noise).view(len(scores), -1).to(scores.dtype))

    def _uniform(self, rows: torch.Tensor, tokens: torch.Tensor, keys: torch.Tensor) -> torch.Tensor:
        """Return uniform numbers in (0, 1) for some (row, token) pairs, float64."""
        elements = self.prompts.row_elements(len(keys))
        return uniform(keys[rows], self.prompts.counters(elements[rows], tokens))


def draw_tokens(scores: torch.Tensor, noise: Uniform) -> torch.Tensor:
    """Draw a token of each row by Gumbel-max: `(R, V)` scores to `(R,)` tokens.

    Raises:
        ConfigurationError: If a row has no token with a score above −inf, or has NaN.
    """
    check_scores(scores)
    # Few tokens are left after top-k or top-p, and only those get noise.
    rows, tokens = (scores > -torch.inf).nonzero(as_tuple=True)
    noisy = scores[rows, tokens].double() - (-noise(rows, tokens).log()).log()
    best = noisy.new_full((len(scores),), -torch.inf).scatter_reduce(0, rows, noisy, "amax")
    drawn = tokens.new_full((len(scores),), scores.shape[-1])
    drawn = drawn.scatter_reduce(0, rows, tokens.where(noisy == best[rows], scores.shape[-1]), "amin")
    if (drawn == scores.shape[-1]).any():
        raise ConfigurationError(
            "No token is left to draw: the settings of this call ban all of them. Ban fewer tokens in bad_words_ids, "
            "suppress_tokens or the logits processors."
        )
    return drawn


def best_tokens(scores: torch.Tensor, noise: Uniform) -> torch.Tensor | None:
    """Return the best token of each row, `(R,)`; of tied tokens the one with the most noise. `None` if none tie.

    Raises:
        ConfigurationError: If there is NaN.
    """
    best = scores == scores.amax(-1, keepdim=True)
    if bool((best.sum(-1) == 1).all()):  # never true for a row with NaN, which is the greatest and equals nothing
        return None
    check_scores(scores)
    rows, tokens = best.nonzero(as_tuple=True)
    table = torch.zeros(scores.shape, dtype=torch.float64, device=scores.device)
    table[rows, tokens] = noise(rows, tokens)
    return table.argmax(-1)


def check_scores(scores: torch.Tensor) -> None:
    """Refuse scores with NaN: no token can be chosen by them, but torch would choose one silently.

    Raises:
        ConfigurationError: If there is NaN.
    """
    if bool(scores.isnan().any()):
        raise ConfigurationError(
            "Scores of next tokens are NaN. Either weights are damaged, or numbers overflow (as they may in float16 "
            "for a model trained in bfloat16), or a logits processor makes NaN. Load the model with "
            "dtype=torch.float32, or pass remove_invalid_values=True, which replaces NaN by 0."
        )


def uniform(keys: torch.Tensor, counters: torch.Tensor) -> torch.Tensor:
    """Return number `counters` of the SplitMix stream `keys`, in (0, 1), float64 of the arguments' common shape."""
    return (shift_right(splitmix(keys, counters), 11).double() + 0.5) * 2.0**-53


def _digest(*numbers: int, salt: bytes = b"") -> bytes:
    return hashlib.blake2b(struct.pack(f"<{len(numbers)}q", *numbers), key=salt, digest_size=16).digest()
