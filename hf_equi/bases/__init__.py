"""Loading and calling base models; the compatibility layer for other packages, and their tested releases."""

from hf_equi.bases.versions import untested, warn_of_untested

__all__ = ["untested", "warn_of_untested"]

warn_of_untested()
