"""Words of several tokens inside the scores of a language model."""
