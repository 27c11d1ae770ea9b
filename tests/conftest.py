"""Fixtures that several test files share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent.errors import ModelError
from agent.models import fetch_model


@pytest.fixture(scope="session")
def tiny_model() -> Path:
    """SmolLM2-135M, fetched once for this user; without it tests are skipped, in CI they fail."""
    try:
        return fetch_model("smollm2-135m")
    except ModelError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))
