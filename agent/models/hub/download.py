"""One file of the Hugging Face Hub, by the Hub's own library, into a place where an interrupted download is resumed.

The library (endpoint, token, offline mode, redirects, retries) downloads into temporary files of its own, which it
removes when it is interrupted. Here it writes behind what is there already.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from rich.console import Console

from agent.errors import ModelError
from agent.models.cache_folder import check_room, spoken_size
from agent.models.download_view import DownloadView, open_download_view
from agent.models.hub.errors import hub_errors
from agent.models.hub.name import HubName
from agent.models.known import KnownModel

ANSWER_SECONDS = 5.0
"""How long the Hub may take to say what it has."""

_BAR = "huggingface_hub.http_get"  # the library's own bar of a download
_DIGEST_LENGTH = 64
_TAG = re.compile(r"[\w-]+", re.ASCII)  # names a directory


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file as the Hub describes it: its size in bytes, and its tag, which of files of weights is their SHA-256."""

    size: int
    tag: str

    @property
    def digest(self) -> str:
        """The SHA-256, "" where the tag is none."""
        return self.tag if len(self.tag) == _DIGEST_LENGTH else ""


def fetch_from_hub(known: KnownModel, target: Path, console: Console) -> Path:
    """Return the verified file: that in the Hub's own cache if it is there, else `target`, downloaded.

    Raises ModelError if the file is not available, within seconds if there is no network.
    """
    if known.hub is None:
        raise ModelError("not on the Hugging Face Hub")
    name = HubName(known.hub, known.file)
    cached = in_hub_cache(name)
    if cached is not None and known.matches(cached):
        return cached
    remote = remote_file(name)
    if remote.size != known.size or remote.digest not in ("", known.sha256):
        raise ModelError(f"Hugging Face Hub: {known.hub} has a different {known.file}")
    part = target.with_name(f"{target.name}.{known.sha256[:12]}.part")
    download_hub_file(name, remote, part, console)
    if not known.matches(part):
        part.unlink()
        raise ModelError(f"Hugging Face Hub: the file from {known.hub} has a wrong digest")
    return part.replace(target)


def in_hub_cache(name: HubName, revision: str | None = None) -> Path | None:
    """The file in the cache of the Hub's library, which other programs share; None if it is not there."""
    with hub_errors(name):
        import huggingface_hub as hub

        cached = hub.try_to_load_from_cache(name.repository, name.file, revision=revision)
    return Path(cached) if isinstance(cached, str) else None


def remote_file(name: HubName) -> RemoteFile:
    """Ask the Hub for a file, once, so that a machine without network does not wait. Raises ModelError."""
    with hub_errors(name):
        import huggingface_hub as hub

        url = hub.hf_hub_url(name.repository, name.file)
        found = hub.get_hf_file_metadata(url, timeout=ANSWER_SECONDS)
    if found.size is None or not _TAG.fullmatch(found.etag or ""):
        raise ModelError(f"{name}: the Hub does not say which file it has: check HF_ENDPOINT and the proxy")
    return RemoteFile(found.size, str(found.etag))


def download_hub_file(name: HubName, remote: RemoteFile, part: Path, console: Console) -> None:
    """Download a file into `part`, behind what is there already; that stays if the download is interrupted.

    Raises ModelError.
    """
    part.parent.mkdir(parents=True, exist_ok=True)
    done = part.stat().st_size if part.exists() else 0
    if done > remote.size:
        part.unlink()
        done = 0
    check_room(part.parent, remote.size - done, str(name))
    _check_size(name, remote)
    if done:
        console.print(f"{Path(name.file).name}: resumed at {done * 100 // remote.size}%", soft_wrap=True, markup=False)
    with (
        hub_errors(name, part.parent),
        open_download_view(Path(name.file).name, remote.size, console) as view,
        without_bars(_BAR),
        part.open("ab") as opened,
    ):
        import huggingface_hub as hub
        from huggingface_hub.file_download import http_get

        http_get(
            hub.hf_hub_url(name.repository, name.file),
            cast(BinaryIO, _Watched(opened, view)),
            resume_size=done,
            headers=_helpers().build_hf_headers(),
            expected_size=remote.size,
        )


def _check_size(name: HubName, remote: RemoteFile) -> None:
    """Raise ModelError for a file longer than those that the Hub sends in one answer."""
    with hub_errors(name):
        from huggingface_hub import constants

    if remote.size > constants.MAX_HTTP_DOWNLOAD_SIZE:
        raise ModelError(
            f"Hugging Face Hub: {name} has {spoken_size(remote.size)}, and a file of more than "
            f"{spoken_size(constants.MAX_HTTP_DOWNLOAD_SIZE)} comes only by its own command: run hf download "
            f"{name.repository} {name.file}, and then this again, which takes the file from there"
        )


class _Watched:
    """A file that shows how long it is whenever something is written to it."""

    def __init__(self, file: BinaryIO, view: DownloadView) -> None:
        self._file = file
        self._view = view
        self.name = file.name

    def write(self, data: bytes) -> int:
        written = self._file.write(data)
        self._view.show(self._file.tell())
        return written

    def seek(self, place: int) -> int:
        return self._file.seek(place)

    def tell(self) -> int:
        return self._file.tell()

    def truncate(self) -> int:
        return self._file.truncate()


@contextmanager
def without_bars(group: str | None = None) -> Iterator[None]:
    """Leave out the library's progress bars, or those of a group, while the context lasts.

    Where the environment says whether there are any, it is left at that.
    """
    from huggingface_hub import constants

    helpers = _helpers()
    if constants.HF_HUB_DISABLE_PROGRESS_BARS is not None or helpers.are_progress_bars_disabled(group):
        yield
        return
    helpers.disable_progress_bars(group)
    try:
        yield
    finally:
        helpers.enable_progress_bars(group)


def _helpers() -> Any:
    """The library's helpers, which it documents and does not declare as exported."""
    import huggingface_hub.utils

    return huggingface_hub.utils
