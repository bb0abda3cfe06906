"""How a wrapped model of text is saved and loaded: with the tokenizer that the stored permutation belongs to."""

from __future__ import annotations

import warnings
from pathlib import Path
from textwrap import shorten
from typing import Any

from transformers import PreTrainedModel

from hf_equi.actions.resolution import resolve_tokens
from hf_equi.actions.token_maps import Form, TokenMap
from hf_equi.bases.compat import find_file
from hf_equi.bases.tokenizers import read_tokenizer
from hf_equi.errors import ActionError, ConfigurationError, HfEquiWarning
from hf_equi.models.hub.checkpoints import CheckpointMixin
from hf_equi.models.text.fingerprint import check_tokenizer, cut_fingerprint, require_tokenizer
from hf_equi.models.text.tokenizer_state import seal

__all__ = ["TextCheckpointMixin", "check_map", "check_side", "embedding_rows", "load_tokenizer"]

_TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json")
_WAY_OUT = (
    "Its config was edited, or its tokenizer is another one. Use the checkpoint as it was published, or symmetrize "
    "the base again."
)


def embedding_rows(model: PreTrainedModel) -> int:
    """Return the number of rows of a model's embedding."""
    weight: Any = model.get_input_embeddings().weight
    return int(weight.shape[0])


class TextCheckpointMixin(CheckpointMixin):
    """What wrapped models of text add to `PreTrainedModel` for their tokenizer and their base."""

    _tokenizer: Any = None

    @property
    def tokenizer(self) -> Any:
        """The tokenizer that the token permutation belongs to.

        Raises:
            ConfigurationError: If the checkpoint had none; if one is set that disagrees with the stored permutation.
        """
        if self._tokenizer is None:
            raise ConfigurationError(
                "This model was saved without its tokenizer. Set it: lm.tokenizer = AutoTokenizer.from_pretrained(...)"
            )
        return self._tokenizer

    @tokenizer.setter
    def tokenizer(self, tokenizer: Any) -> None:
        self._check_reader(self.config, tokenizer, getattr(tokenizer, "name_or_path", "") or "the call")
        self._tokenizer = tokenizer

    @classmethod
    def _check_reader(cls, config: Any, tokenizer: Any, source: str, sealed: bool = False) -> None:
        """Refuse a tokenizer for the model's input that disagrees with what the config stores.

        Args:
            config: The config.
            tokenizer: The tokenizer.
            source: Where it comes from, for the message.
            sealed: Whether its seal shows that it has the fingerprints of the config.
        """
        check_side(config, tokenizer, source, sealed=sealed)

    def _save_companions(self, folder: Path) -> None:
        """Save the tokenizer, which turns texts into the tokens that the group moves."""
        if self._tokenizer is not None:
            self._tokenizer.save_pretrained(folder)
            self.config.tokenizer_seal = seal(self._tokenizer, folder, _fingerprints(self.config))

    def _check_unchanged(self) -> None:
        """Refuse to write a checkpoint that could not be loaded again."""
        rows = embedding_rows(self.base)
        if rows != self.config.vocab_size:
            raise ConfigurationError(
                f"The base's embedding was resized to {rows} rows, but the token permutation was made for "
                f"{self.config.vocab_size}. Wrap the base again: symmetrize(lm.unwrap(), group, tokenizer=tokenizer)."
            )
        if self._tokenizer is not None:
            self._check_reader(self.config, self._tokenizer, "this model, changed since,")

    def _update_config(self) -> None:
        super()._update_config()
        if self._tokenizer is not None and self.config.tokenizer_cut_fingerprint is None:  # a config of hf_equi 0.1
            self.config.tokenizer_cut_fingerprint = cut_fingerprint(self._tokenizer)

    @classmethod
    def _load_companions(cls, path: Any, config: Any, hub: dict[str, Any]) -> dict[str, Any]:
        """Load and check the tokenizers of a checkpoint; return them by the attributes that hold them."""
        tokenizer = load_tokenizer(path, hub, config=config)
        if tokenizer is not None:
            cls._check_reader(config, tokenizer, str(path), _is_sealed(config, tokenizer, path, hub))
        return {"_tokenizer": tokenizer}


def load_tokenizer(path: Any, hub: dict[str, Any], **settings: Any) -> Any:
    """Load the tokenizer beside a checkpoint; return `None` if there is none.

    Args:
        path: The checkpoint.
        hub: The arguments about its repository.
        **settings: Other arguments of `from_pretrained`, such as the config, which is then not read again.

    Warns:
        HfEquiWarning: If there is one that cannot be read.
    """
    try:
        return read_tokenizer(path, **hub, **settings)
    except (OSError, ConfigurationError) as error:
        known = {name: hub[name] for name in hub if name != "trust_remote_code"}
        if found := [
            name for name in _TOKENIZER_FILES if find_file(path, name, unreachable=True, **known) is not None
        ]:
            reason = shorten(str(error.__cause__ or error), 240, placeholder=" ...")
            warnings.warn(
                f"{path} holds a tokenizer that cannot be read ({', '.join(found)}; {reason}), so the model is "
                "loaded without it. Use the checkpoint as it was published, or set lm.tokenizer.",
                HfEquiWarning,
                stacklevel=2,
            )
        return None


def _is_sealed(config: Any, tokenizer: Any, path: Any, hub: dict[str, Any]) -> bool:
    """Return whether the files of a tokenizer that was just loaded show that it has the fingerprints of the config."""
    if config.tokenizer_seal is None:
        return False
    known = {name: hub[name] for name in hub if name not in ("force_download", "trust_remote_code")}
    found = find_file(path, _TOKENIZER_FILES[0], unreachable=True, **{**known, "local_files_only": True})
    return found is not None and config.tokenizer_seal == seal(tokenizer, Path(found).parent, _fingerprints(config))


def check_side(config: Any, tokenizer: Any, source: str, side: str = "", *, sealed: bool = False) -> None:
    """Refuse a tokenizer that disagrees with what a config stores: its fingerprints, and what the group moves.

    Args:
        config: The config.
        tokenizer: The tokenizer.
        source: Where the tokenizer comes from, for the message.
        side: What the names of its fingerprint entries begin with: nothing, or `"target_"`.
        sealed: Whether a seal shows that it has these fingerprints.

    Raises:
        ConfigurationError: For such a tokenizer.
    """
    require_tokenizer(tokenizer)
    if not sealed:
        expected, cut = _fingerprints(config, side)
        check_tokenizer(tokenizer, expected, source, cut)
    check_map(config, config.map_names[1 if side else 0], tokenizer, source)


def _fingerprints(config: Any, side: str = "") -> tuple[str | None, str | None]:
    """Return the stored fingerprints, of the vocabulary and of the cuts."""
    return getattr(config, f"{side}tokenizer_fingerprint"), getattr(config, f"{side}tokenizer_cut_fingerprint")


def check_map(config: Any, name: str, tokenizer: Any, source: str) -> None:
    """Refuse a stored permutation that does not move the words of the group.

    Args:
        config: The config with the map and the group.
        name: The entry that holds the map.
        tokenizer: The tokenizer that the map belongs to.
        source: Where the map comes from, for the message.

    Raises:
        ConfigurationError: If the group's words, cut by the tokenizer, give another permutation.
    """
    stored = TokenMap.from_dict(getattr(config, name))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HfEquiWarning)  # the user was warned when the model was made
        try:
            multi_token = "compose" if config.multi_token == "compose" else "skip"
            expected = resolve_tokens(config.read_group(), tokenizer, stored.vocab_size, multi_token)
        except ActionError as error:
            raise ConfigurationError(
                f"The words of the group give no permutation with the tokenizer of {source}: "
                f"{str(error).rstrip('.')}. {_WAY_OUT}"
            ) from error
    if (moves := _moves(stored)) != (due := _moves(expected)):
        form = min(form for form in {**moves, **due} if moves.get(form) != due.get(form))
        was, will = (found.get(form, (0, form))[1] for found in (moves, due))
        word, before, after = ("+".join(tokenizer.convert_ids_to_tokens(list(each))) for each in (form, was, will))
        what = "token" if len(form) == 1 else "tokens"
        raise ConfigurationError(
            f"The {name} of {source} does not move the words of its group: it takes the {what} {word!r} to "
            f"{before!r}, but the words take it to {after!r}. {_WAY_OUT}"
        )
    if _lists(stored) != _lists(expected):
        raise ConfigurationError(
            f"The {name} of {source} lists other neutral or general tokens than the words of its group give. "
            f"{_WAY_OUT}"
        )


def _lists(token_map: TokenMap) -> tuple[Any, ...]:
    return token_map.neutral, token_map.general, token_map.composed_neutral, token_map.composed_general


def _moves(token_map: TokenMap) -> dict[Form, tuple[int, Form]]:
    """Return the factor that moves each token or word of several tokens, and where its generator takes it."""
    alone = (tuple(tuple((token,) for token in tokens) for tokens in sets) for sets in token_map.sets)
    return {
        form: (factor, row[(place + 1) % len(row)])
        for rows in (alone, token_map.composed)
        for factor, sets in enumerate(rows)
        for row in sets
        for place, form in enumerate(row)
    }
