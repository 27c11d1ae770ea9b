"""Download the published files of a set from the Hugging Face Hub, at a pinned revision."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import cast

from rich.console import Console

from agent.errors import InputError


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file of a data set on the Hub; `gated`: its terms must be accepted there first."""

    repository: str
    revision: str
    file: str
    gated: bool = False

    @property
    def url(self) -> str:
        """Its page for a browser."""
        return f"https://huggingface.co/datasets/{self.repository}/resolve/{self.revision}/{self.file}"


def fetch(wanted: HubFile, console: Console) -> Path:
    """Return the file in the Hub's own cache, downloaded if necessary. Raises InputError if it is not available."""
    by_hand = f"download {wanted.url} and give it with --data FILE"
    try:
        import huggingface_hub as hub
        from huggingface_hub.errors import GatedRepoError, HfHubHTTPError
    except ImportError:
        raise InputError(
            f"the Hugging Face Hub needs huggingface_hub: pip install 'aimo-agent[benchmark]', or {by_hand}"
        ) from None
    # Its first base is the error of the HTTP library beneath, which has been requests, httpx and httpx2.
    network_error = cast(type[Exception], HfHubHTTPError.__bases__[0])
    console.print(f"fetching {wanted.file} of {wanted.repository}, revision {wanted.revision[:8]}", soft_wrap=True)
    try:
        path = hub.hf_hub_download(wanted.repository, wanted.file, repo_type="dataset", revision=wanted.revision)
    except GatedRepoError:
        raise InputError(
            f"{wanted.repository} is for those who have accepted its terms: do so at "
            f"https://huggingface.co/datasets/{wanted.repository} and set HF_TOKEN, or {by_hand}"
        ) from None
    except (OSError, RuntimeError, ValueError, network_error) as error:
        hint = "accept its terms there and set HF_TOKEN, or " if wanted.gated else ""
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(f"{wanted.repository} is not available from the Hub ({reason}): {hint}{by_hand}") from error
    return Path(path)
