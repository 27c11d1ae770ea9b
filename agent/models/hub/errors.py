"""What goes wrong with the Hugging Face Hub, in one sentence each that says what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from agent.errors import ModelError
from agent.models.cache_folder import disk_problem
from agent.models.hub.name import HubName


@contextmanager
def hub_errors(name: HubName, folder: Path | None = None) -> Iterator[None]:
    """Raise a ModelError about the model for any error of the Hub's library; `folder` is where it writes.

    An OSError about a file of this machine passes.
    """
    try:
        import huggingface_hub  # noqa: F401
        from huggingface_hub.errors import HfHubHTTPError
    except ImportError as error:
        raise ModelError(
            "Hugging Face Hub: huggingface_hub is not installed: run pip install huggingface-hub, or give the path of "
            "a model that is here"
        ) from error
    # Its first base is the error class of the underlying HTTP library, which has been requests, httpx and httpx2.
    network_error = cast(type[Exception], HfHubHTTPError.__bases__[0])
    try:
        yield
    except (OSError, RuntimeError, ValueError, network_error) as error:
        reason = isinstance(error, OSError) and folder is not None and disk_problem(error, folder)
        if not reason and isinstance(error, OSError) and error.filename is not None:
            raise  # about a file or directory of this machine, which says all by itself
        raise ModelError(f"Hugging Face Hub: {reason or _reason(error, name)}") from error


def is_missing_file(error: ModelError) -> bool:
    """Whether the Hub has the repository and not the file."""
    cause = error.__cause__
    if isinstance(cause, ImportError):
        return False
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    return isinstance(cause, EntryNotFoundError) and not isinstance(cause, LocalEntryNotFoundError)


def _reason(error: Exception, name: HubName) -> str:
    """What is wrong, and what to do about it."""
    from huggingface_hub import constants, errors

    if isinstance(error, errors.LocalEntryNotFoundError) and isinstance(error.__cause__, Exception):
        return _reason(error.__cause__, name)
    for kind, sentence in _sentences(name, constants.ENDPOINT):
        if isinstance(error, kind):
            return sentence
    if isinstance(error, errors.HfHubHTTPError):
        return _refusal(error.response.status_code, name, constants.ENDPOINT)
    first = next(iter(str(error).splitlines()), "") or type(error).__name__
    if isinstance(error, ValueError):
        return f"{name}: {first}"
    if type(error) is OSError and error.errno is None:  # the library's own check of how long the file is
        return f"{name} broke off before its end ({first}): run it again, and the download is resumed"
    return (
        f"the connection to {constants.ENDPOINT} failed ({first}): check the network and the proxy, or set HF_ENDPOINT "
        "to a mirror; what has been downloaded stays, and is resumed"
    )


def _sentences(name: HubName, endpoint: str) -> tuple[tuple[type[Exception], str], ...]:
    """What each error of the Hub's library means, the special ones before the general."""
    from huggingface_hub import errors

    repository = name.repository
    return (
        (
            errors.OfflineModeIsEnabled,
            f"HF_HUB_OFFLINE forbids to fetch {name}: unset it, fetch the model where there is a network, or give the "
            "path of one that is here",
        ),
        (
            errors.GatedRepoError,
            f"{repository} is gated: ask for access on {endpoint}/{repository}, and set HF_TOKEN to a token of yours "
            "or run hf auth login",
        ),
        (
            errors.RepositoryNotFoundError,
            f"there is no {repository}, or it is private: check the name, or set HF_TOKEN to a token that may read it",
        ),
        (
            errors.RevisionNotFoundError,
            f"{repository} has no revision {name.pin!r}: give a branch, tag or commit of it, or leave out the @",
        ),
        (
            errors.EntryNotFoundError,
            f"{repository} has no file {name.file}: check its name on {endpoint}/{repository}/tree/main",
        ),
        (
            errors.FileMetadataError,
            f"{endpoint} does not answer as the Hub does: check HF_ENDPOINT and the proxy",
        ),
    )


def _refusal(status: int, name: HubName, endpoint: str) -> str:
    if status in (401, 403):
        return f"{endpoint} does not let your token read {name.repository}: set HF_TOKEN to one that may, or unset it"
    if status == 429:
        return f"{endpoint} has had too many requests from here: try again later, or set HF_TOKEN"
    return f"{endpoint} answers {status} when asked for {name}: try again later; what has been downloaded stays"
