"""The real client of this process, set to a hub on the loopback interface."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from huggingface_hub import constants, hf_api
from loopback_hub import TOKEN, LoopbackHub
from transformers.utils import hub as transformers_hub

DEPRECATED = "ignore:Use 'content=<...>' to upload raw bytes:DeprecationWarning"
"""A warning: the client passes large files to its HTTP library in a way that this one would rather see changed."""


@contextmanager
def connected(server: LoopbackHub, cache: Path) -> Iterator[None]:
    """Set the client of this process to a hub, as HF_ENDPOINT and its like would have when it was first imported."""
    with pytest.MonkeyPatch.context() as patch:
        template = server.url + constants.HUGGINGFACE_CO_URL_TEMPLATE.removeprefix(constants.ENDPOINT)
        patch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        patch.setattr(constants, "ENDPOINT", server.url)
        patch.setattr(constants, "HF_HUB_OFFLINE", False)
        patch.setattr(constants, "HF_HUB_DISABLE_XET", True)  # the server speaks LFS alone
        patch.setattr(constants, "HF_HUB_CACHE", str(cache))
        patch.setattr(hf_api.api, "endpoint", server.url)
        patch.setattr(transformers_hub, "_hf_api", None)
        patch.setattr("huggingface_hub.utils._http.time.sleep", lambda seconds: None)  # before it tries again
        patch.setenv("HF_TOKEN", TOKEN)
        yield
