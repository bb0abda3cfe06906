"""What the logits processors of transformers look at: one table, by their names.

It says on which scores a processor runs if a group moves words of several tokens: on those of tokens, or on those of
units, among which such words are. The tests compare the table with the installed release.
"""

from __future__ import annotations

from transformers import LogitsProcessor
from transformers.generation import logits_process

from hf_equi.generation.rank_cuts import RankCut

__all__ = ["BY_REPEATS", "BY_TOKENS", "BY_VALUES", "kind_of"]

BY_VALUES = frozenset({
    "EpsilonLogitsWarper", "EtaLogitsWarper", "InfNanRemoveLogitsProcessor", "LogitNormalization", "MinPLogitsWarper",
    "TemperatureLogitsWarper", "TopHLogitsWarper", "TopKLogitsWarper", "TopPLogitsWarper", "TypicalLogitsWarper",
})  # fmt: skip
"""Those that look at the values of scores alone, whatever the columns are and in whatever order they stand."""

BY_REPEATS = frozenset({"NoRepeatNGramLogitsProcessor", "RepetitionPenaltyLogitsProcessor"})
"""Those that look at what repeats in a text, whatever its numbers stand for."""

BY_TOKENS = frozenset({
    # settings of `generate`
    "EncoderNoRepeatNGramLogitsProcessor", "EncoderRepetitionPenaltyLogitsProcessor", "ExponentialDecayLengthPenalty",
    "ForcedBOSTokenLogitsProcessor", "ForcedEOSTokenLogitsProcessor", "MinLengthLogitsProcessor",
    "MinNewTokensLengthLogitsProcessor", "NoBadWordsLogitsProcessor", "PrefixConstrainedLogitsProcessor",
    "SequenceBiasLogitsProcessor", "SuppressTokensAtBeginLogitsProcessor", "SuppressTokensLogitsProcessor",
    "UnbatchedClassifierFreeGuidanceLogitsProcessor",
    # of models for audio, and of watermarks
    "AlternatingCodebooksLogitsProcessor", "BarkEosPrioritizerLogitsProcessor",
    "ClassifierFreeGuidanceLogitsProcessor", "DiaClassifierFreeGuidanceLogitsProcessor",
    "DiaEOSChannelFilterLogitsProcessor", "DiaEOSDelayPatternLogitsProcessor", "SynthIDTextWatermarkLogitsProcessor",
    "WatermarkLogitsProcessor", "WhisperNoSpeechDetection", "WhisperTimeStampLogitsProcessor",
})  # fmt: skip
"""Those that name tokens, count them, or read them as a model does."""


def kind_of(processor: LogitsProcessor) -> str:
    """Return what a processor looks at: `"values"`, `"repeats"` or `"tokens"`.

    Processors that are not in the table, such as those of users and subclasses, look at tokens.

    Example:
        >>> from transformers import TemperatureLogitsWarper
        >>> kind_of(TemperatureLogitsWarper(0.7)), kind_of(LogitsProcessor())
        ('values', 'tokens')
    """
    own = type(processor.cut if isinstance(processor, RankCut) else processor)
    if own.__module__ != logits_process.__name__:
        return "tokens"
    return "values" if own.__name__ in BY_VALUES else "repeats" if own.__name__ in BY_REPEATS else "tokens"
