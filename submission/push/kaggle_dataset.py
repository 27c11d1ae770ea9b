"""Brings a folder to Kaggle as a dataset, and waits until the dataset can be used."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from submission.metadata import DATASET_FILE
from submission.push.kaggle_api import Kaggle
from submission.push.kaggle_calls import KaggleError, RefusedError
from submission.push.kaggle_wait import SETTLING_LOOKS, KaggleState, KaggleWatch, StateTracker, plain, shown

_ENDS = ("ready", "failed", "deleted")
_REFUSALS = 5  # uploads of a version that are refused before the refusal is taken for the last word


@dataclass(frozen=True, slots=True)
class DatasetUpload:
    """The files of `folder` as the dataset `dataset`, "owner/slug", new and `public` or a new version with `note`.

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
        """Upload the files, once the version before is processed. Raises KaggleError."""
        if self.watch.calls.repeat(lambda: self.kaggle.dataset_state(self.dataset)) is None:
            self.kaggle.create_dataset(self.folder, public=self.public)
            return
        for refusals in range(1, _REFUSALS + 1):
            self.watch.until_over(self._look_before, "the dataset's last version", self.limit)
            try:
                self.kaggle.version_dataset(self.folder, self.note)
                return
            except RefusedError as error:
                # While the version before is processed, this is what Kaggle answers.
                if error.status != 403 or refusals == _REFUSALS:
                    raise
                time.sleep(self.watch.calls.delay(refusals - 1))

    def wait(self) -> None:
        """Wait until Kaggle has processed what was uploaded. Raises KaggleError where it fails or loses files."""
        end = self.watch.until_over(_AfterUpload(self).look, "the dataset", self.limit)
        if end.state != "ready" or end.why:
            lost = end.why or f"it is {end.state}"
            raise KaggleError(f"the dataset {self.dataset} is not complete ({lost}): run this again")

    def missing(self) -> list[str]:
        """The files of the folder that the dataset lacks."""
        here = {file.name for file in self.folder.iterdir() if file.name != DATASET_FILE}
        return sorted(here - self.kaggle.dataset_files(self.dataset))

    def _look_before(self) -> KaggleState:
        word = self.kaggle.dataset_state(self.dataset)
        return KaggleState(shown(word), over=plain(word) in _ENDS)


class _AfterUpload:
    """Looks at a dataset after an upload; what Kaggle reports may be the version before for a while."""

    def __init__(self, upload: DatasetUpload) -> None:
        self._upload = upload
        self._start = StateTracker()
        self._incomplete = 0

    def look(self) -> KaggleState:
        """Its state; over where it is ready with all files, or where nothing will come any more."""
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
