"""The way to the Hub: convert a checkpoint, write its model card, publish it, and load decoding rules by name."""

from hf_equi.hub.cards import write_card
from hf_equi.hub.conversion import convert
from hf_equi.hub.custom_generate import export_custom_generate
from hf_equi.hub.publishing import Publication, prepare, publish, send

__all__ = ["Publication", "convert", "export_custom_generate", "prepare", "publish", "send", "write_card"]
