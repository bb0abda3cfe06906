"""The command line, `hf-equi`."""

from hf_equi.cli.app import app, main

__all__ = ["app", "main"]
