"""What of a checkpoint goes to the Hub, and how: all of it by one commit, or nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from huggingface_hub import CommitInfo, CommitOperationAdd, CommitOperationDelete, HfApi

from hf_equi.errors import ConfigurationError, PublishingError

__all__ = ["HUB_KEYWORDS", "list_files", "upload"]

HUB_KEYWORDS = ("private", "token", "revision", "create_pr", "commit_message", "commit_description")
"""What `push_to_hub` of transformers takes of the repository and the commit."""

# What a Trainer leaves beside a model.
_LEFT_OUT = (
    *("checkpoint-*/*", "last-checkpoint/*", "runs/*", "logs/*", "training_args.bin", "trainer_state.json"),
    *("optimizer.*", "scheduler.pt", "scaler.pt", "rng_state*.pth", "__pycache__/*", ".*", ".*/*"),
)
_PICKLES = frozenset({".bin", ".ckpt", ".distcp", ".joblib", ".pickle", ".pkl", ".pt", ".pth"})
_WEIGHTS = ("*.safetensors", "*.safetensors.index.json", "pytorch_model*.bin", "pytorch_model.bin.index.json")


def list_files(folder: Path) -> tuple[str, ...]:
    """The files of a checkpoint, as they are named in a repository, in alphabetical order.

    What a `Trainer` keeps for itself is left out, and so are hidden files.

    Args:
        folder: The checkpoint.

    Raises:
        ConfigurationError: For a pickle, which runs code on whoever loads it.
    """
    found = sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    kept = [path for path in found if not any(_matches(path, pattern) for pattern in _LEFT_OUT)]
    pickles = [path.as_posix() for path in kept if path.suffix.lower() in _PICKLES]
    if pickles:
        raise ConfigurationError(
            f"{folder} holds {', '.join(pickles)}: files of this kind may run code on whoever loads them, and hf_equi "
            "publishes safetensors alone. Delete them, or move them away."
        )
    return tuple(path.as_posix() for path in kept)


def upload(
    folder: Path,
    files: Sequence[str],
    repo_id: str,
    *,
    private: bool | None = None,
    token: str | bool | None = None,
    **commit: Any,
) -> CommitInfo:
    """Upload files by one commit, to a repository that is made where there is none.

    Weights that the repository has from before under other names are deleted by the same commit: whoever loads it
    would mix them with the new ones.

    Args:
        folder: Where the files are.
        files: Their names in it, and in the repository.
        repo_id: The repository, `user/name`, or `name` for one's own.
        private: Whether a new repository is private.
        token: For the Hub; by default the one of the login.
        **commit: `revision`, `create_pr`, `commit_message` and `commit_description`, as in transformers.

    Returns:
        The commit, as text its URL.

    Raises:
        PublishingError: If the upload does not go through. The message says whether it left a new, empty repository.
    """
    api = HfApi(token=token, library_name="hf_equi")
    state = "Nothing was made on the Hub."
    try:
        if "/" not in repo_id:  # which alone names other repositories, such as gpt2
            repo_id = f"{api.whoami()['name']}/{repo_id}"
        created = not api.repo_exists(repo_id)
        if created:
            api.create_repo(repo_id, private=private, exist_ok=True)
        state = "The new repository is there and empty." if created else "The repository is as it was before."
        return _commit(api, repo_id, [CommitOperationAdd(name, folder / name) for name in files], **commit)
    except Exception as error:  # of the Hub, of the connection, of the one of several clients that carries it
        reason = (str(error).splitlines() or [""])[0] or type(error).__name__
        raise PublishingError(
            f"The upload to {repo_id} did not go through: {reason} {state} Run the same call again once the Hub can "
            "be reached and you may write there (hf auth whoami)."
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
    # One commit and not `upload_folder`, which may make several of a large folder.
    return api.create_commit(
        repo_id,
        [*added, *deleted],
        commit_message=commit_message or "Upload a symmetrised model",
        commit_description=commit_description,
        revision=revision,
        create_pr=create_pr,
    )


def _stale(api: HfApi, repo_id: str, revision: str | None, added: Sequence[CommitOperationAdd]) -> list[str]:
    """Weights in a repository that the new ones do not replace."""
    there = set(api.list_repo_files(repo_id, revision=revision)) - {one.path_in_repo for one in added}
    return sorted(name for name in there if any(_matches(Path(name), pattern) for pattern in _WEIGHTS))


def _matches(path: Path, pattern: str) -> bool:
    """Whether a pattern names a file at the top of a folder or, with `/*`, all that is in one of its folders."""
    inside = len(path.parts) > 1
    if inside != pattern.endswith("/*"):
        return False
    return Path(path.parts[0]).match(pattern.removesuffix("/*"))
