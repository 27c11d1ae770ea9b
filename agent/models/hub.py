"""Download a model's file with the Hugging Face Hub's own library, into its own cache."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from rich.console import Console

from agent.errors import ModelError
from agent.models.known import KnownModel

_ANSWER_SECONDS = 5.0


def fetch_from_hub(known: KnownModel, target: Path, console: Console) -> Path:
    """Return the verified file in the Hub's cache, downloaded if it is not there; `target` is not used.

    The library shows its own progress bar on a terminal, and resumes interrupted downloads.
    Raises ModelError if the file is not available, within seconds if there is no network.
    """
    if known.hub is None:
        raise ModelError("not on the Hugging Face Hub")
    try:
        import huggingface_hub as hub
        from huggingface_hub.errors import HfHubHTTPError
    except ImportError as error:
        raise ModelError("Hugging Face Hub: huggingface_hub is not installed") from error
    cached = hub.try_to_load_from_cache(known.hub, known.file)
    if isinstance(cached, str) and known.matches(Path(cached)):
        return Path(cached)
    # Its first base is the error class of the underlying HTTP library, which has been requests, httpx and httpx2.
    network_error = cast(type[Exception], HfHubHTTPError.__bases__[0])
    try:
        # Unlike a download, this is tried only once, so a machine without network does not wait for retries.
        found = hub.get_hf_file_metadata(hub.hf_hub_url(known.hub, known.file), timeout=_ANSWER_SECONDS)
        if found.size != known.size:
            raise ModelError(f"Hugging Face Hub: {known.hub} has a different {known.file}")
        console.print(f"fetching {known.file} ({known.size >> 20} MiB) from the Hugging Face Hub", soft_wrap=True)
        path = Path(hub.hf_hub_download(known.hub, known.file, force_download=isinstance(cached, str)))
    except (OSError, RuntimeError, ValueError, network_error) as error:
        raise ModelError(f"Hugging Face Hub: {str(error).splitlines()[0]}") from error
    if not known.matches(path):
        raise ModelError(f"Hugging Face Hub: the file from {known.hub} has a wrong digest")
    return path
