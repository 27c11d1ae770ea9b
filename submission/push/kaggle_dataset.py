"""Upload a folder to Kaggle as a dataset, and wait until it is ready."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from submission.metadata import DATASET_FILE
from submission.push.kaggle_api import Kaggle
from submission.push.kaggle_calls import KaggleError, RefusedError
from submission.push.kaggle_wait import SETTLING_LOOKS, KaggleState, KaggleWatch, StateTracker, plain, shown

_ENDS = ("ready", "failed", "deleted")
_MAX_REFUSALS = 5  # refused uploads of a version before giving up


@dataclass(frozen=True, slots=True)
class DatasetUpload:
    """Uploads `folder` as the dataset `dataset`, "owner/slug", new and `public` or a new version with `note`.

    `limit` is what processing may take, in seconds.
    """

    kaggle: Kaggle
    watch: KaggleWatch
    dataset: str
    folder: Path
    note: str
    public: bool
    limit: float

    def upload(self) -> None:
        """Upload the files once the previous version is processed. Raises KaggleError."""
        if self.watch.calls.repeat(lambda: self.kaggle.dataset_state(self.dataset)) is None:
            self.kaggle.create_dataset(self.folder, public=self.public)
            return
        for refusals in range(1, _MAX_REFUSALS + 1):
            self.watch.until_over(self._look_before, "the dataset's last version", self.limit)
            try:
                self.kaggle.version_dataset(self.folder, self.note)
                return
            except RefusedError as error:
                # This is Kaggle's response while the previous version is being processed.
                if error.status != 403 or refusals == _MAX_REFUSALS:
                    raise
                time.sleep(self.watch.calls.delay(refusals - 1))

    def wait(self) -> None:
        """Wait until Kaggle has processed the upload. Raises KaggleError if that fails or loses files."""
        end = self.watch.until_over(_AfterUpload(self).look, "the dataset", self.limit)
        if end.state != "ready" or end.why:
            lost = end.why or f"it is {end.state}"
            raise KaggleError(f"the dataset {self.dataset} is not complete ({lost}): run this again")

    def missing(self) -> list[str]:
        """Return the files of the folder that are missing in the dataset."""
        here = {file.name for file in self.folder.iterdir() if file.name != DATASET_FILE}
        return sorted(here - self.kaggle.dataset_files(self.dataset))

    def _look_before(self) -> KaggleState:
        word = self.kaggle.dataset_state(self.dataset)
        return KaggleState(shown(word), over=plain(word) in _ENDS)


class _AfterUpload:
    """Polls a dataset after an upload; for a while Kaggle may report the previous version."""

    def __init__(self, upload: DatasetUpload) -> None:
        self._upload = upload
        self._start = StateTracker()
        self._incomplete = 0

    def look(self) -> KaggleState:
        """Return its state; it is over when all files are ready, or when nothing more will happen."""
        word = self._upload.kaggle.dataset_state(self._upload.dataset)
        state = plain(word)
        if word is None:
            return KaggleState("not there yet")
        if state not in _ENDS:
            self._start.note(state, starts=bool(state))
            return KaggleState(shown(word))
        if state != "ready":
            return KaggleState(state, over=self._start.note(state))
        missing = self._upload.missing()
        self._incomplete = self._incomplete + 1 if missing else 0
        lacks = f"it lacks {', '.join(missing[:3])}" if missing else ""
        return KaggleState("ready", over=not missing or self._incomplete == SETTLING_LOOKS, why=lacks)
