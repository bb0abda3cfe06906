"""Python runs this first in the processes that tests start, of which most do little but import.

What is imported is not garbage. To look for garbage among it, again and again while it comes in and once more at the
end, takes as long as the imports themselves.
"""

from __future__ import annotations

import atexit
import gc

gc.set_threshold(200_000)
atexit.register(gc.freeze)
