"""Run as `python -m hf_equi.cli`, for launchers that start modules: `accelerate launch -m hf_equi.cli audit`."""

import sys

from hf_equi.cli.app import main

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
