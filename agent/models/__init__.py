"""Model files, found or downloaded by name."""

from agent.models.known import Carrier, KnownModel, known_models
from agent.models.store import fetch_model

__all__ = ["Carrier", "KnownModel", "fetch_model", "known_models"]
