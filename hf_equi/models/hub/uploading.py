"""How files go to the Hub: all of them in one commit, or none."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from huggingface_hub import CommitInfo, CommitOperationAdd, CommitOperationDelete, HfApi
from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]  # public nevertheless

from hf_equi.errors import ConfigurationError, PublishingError
from hf_equi.models.hub.contents import weight_variant

__all__ = ["HUB_KEYWORDS", "check_repo_id", "upload"]

HUB_KEYWORDS = ("private", "token", "revision", "create_pr", "commit_message", "commit_description")
"""The arguments of transformers' `push_to_hub` about the repository and the commit."""


def check_repo_id(repo_id: str) -> None:
    """Refuse an invalid repository name.

    Args:
        repo_id: `user/name`, or `name` for a repository of your own.

    Raises:
        ConfigurationError: If the name is invalid. The message says why.
    """
    try:
        validate_repo_id(repo_id)
    except ValueError as error:
        raise ConfigurationError(f"{repo_id!r} is not a valid repository name: {error}") from error


def upload(
    folder: Path,
    files: Sequence[str],
    repo_id: str,
    *,
    private: bool | None = None,
    token: str | bool | None = None,
    **commit: Any,
) -> CommitInfo:
    """Upload files in one commit, to a repository that is created if necessary.

    The same commit deletes older weights in the repository that have other names, because a user who loads the model
    would mix them with the new ones. Weights of another `variant` stay. If no weights are uploaded, all weights in the
    repository are deleted, because the config says that they are not loaded.

    Args:
        folder: The folder of the files.
        files: Their names in the folder and in the repository.
        repo_id: The repository, `user/name`, or `name` for one of your own.
        private: Whether a new repository is private.
        token: The Hub token; by default that of the login.
        **commit: `revision`, `create_pr`, `commit_message` and `commit_description`, as in transformers.

    Returns:
        The commit; as text, its URL.

    Raises:
        PublishingError: If the upload does not go through. The message says whether it left a new, empty repository.
    """
    api = HfApi(token=token, library_name="hf_equi")
    state = "Nothing was created on the Hub."
    try:
        if "/" not in repo_id:  # a bare name also names other repositories, such as gpt2
            repo_id = f"{api.whoami()['name']}/{repo_id}"
        created = not api.repo_exists(repo_id)
        if created:
            api.create_repo(repo_id, private=private, exist_ok=True)
        state = "The new repository exists and is empty." if created else "The repository is unchanged."
        return _commit(api, repo_id, [CommitOperationAdd(name, folder / name) for name in files], **commit)
    except Exception as error:  # from the Hub, the connection, or the HTTP client in use
        reason = (str(error).splitlines() or [""])[0] or type(error).__name__
        raise PublishingError(
            f"The upload to {repo_id} failed: {reason} {state} Run the same call again once the Hub can be reached "
            "and you have write access (hf auth whoami)."
        ) from error


def _commit(
    api: HfApi,
    repo_id: str,
    added: Sequence[CommitOperationAdd],
    *,
    revision: str | None = None,
    create_pr: bool = False,
    commit_message: str | None = None,
    commit_description: str | None = None,
) -> CommitInfo:
    if revision is not None and not revision.startswith("refs/") and not create_pr:
        api.create_branch(repo_id, branch=revision, exist_ok=True)
    deleted = [CommitOperationDelete(name) for name in _stale(api, repo_id, revision, added)]
    # One commit, not `upload_folder`, which may split a large folder into several commits.
    return api.create_commit(
        repo_id,
        [*added, *deleted],
        commit_message=commit_message or "Upload a symmetrised model",
        commit_description=commit_description,
        revision=revision,
        create_pr=create_pr,
    )


def _stale(api: HfApi, repo_id: str, revision: str | None, added: Sequence[CommitOperationAdd]) -> list[str]:
    """Return the weights in a repository that the new ones do not replace, no matter which library wrote them."""
    new = {one.path_in_repo for one in added}
    variants = {weight_variant(name, own=False) for name in new} - {None}
    there = {name: weight_variant(name, own=False) for name in api.list_repo_files(repo_id, revision=revision)}
    return sorted(
        name
        for name, variant in there.items()
        if name not in new and variant is not None and (not variants or variant in variants)
    )
