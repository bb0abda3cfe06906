"""How a base is called, whatever it reads; the border with other packages, and which of their releases work."""

from hf_equi.bases.versions import untested, warn_of_untested

__all__ = ["untested", "warn_of_untested"]

warn_of_untested()
