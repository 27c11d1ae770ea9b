"""The server's own tokenizer: counts, ids, and the token that the server puts before every prompt."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from agent.engine.completion.fields import Server, ServerKind
from agent.engine.connection import TRANSPORT_ERRORS, ServerConnection
from agent.engine.server_info import token_count
from agent.errors import ContextExceededError, EngineError, RequestRefusedError

_SECONDS = 10.0
_RETRY_SECONDS = 30.0  # after a temporary failure
_WITH_A_START = (ServerKind.LLAMA_CPP, ServerKind.SGLANG)  # vLLM is told to add nothing


class ServerTokenizer:
    """Asks a server about tokens, as long as it answers such questions. Never raises."""

    def __init__(self, connection: ServerConnection) -> None:
        self._connection = connection
        self._server = Server()
        self._model: str | None = None
        self._tried_from: float | None = 0.0  # loop time from which it may be asked; None: not supported
        self._start = ""
        self._stop_ids: dict[str, int | None] = {}

    async def begin(self, server: Server, model: str | None, props: object) -> None:
        """Start anew with the server as it is now; `props` is what llama.cpp's tells of itself."""
        self._server, self._model, self._stop_ids = server, model, {}
        self._start = await self._start_text(props) if server.kind in _WITH_A_START else ""
        self._tried_from = 0.0

    def sent(self, prompt: str) -> str:
        """The prompt without the start token that the server puts before it by itself."""
        return prompt.removeprefix(self._start)

    async def ids(self, text: str) -> list[int] | None:
        """The token ids of a text, without a start token; None where the server does not tell them."""
        return _ids_in(await self._asked(text))

    async def count(self, text: str) -> int | None:
        """The number of tokens of a text; None where the server does not tell it, or failed to a moment ago."""
        now = asyncio.get_running_loop().time()
        if self._tried_from is None or now < self._tried_from:
            return None
        answer = await self._asked(text)
        count = token_count(answer)
        if answer is not None and count is None:  # another kind of page
            self._tried_from = None
        return count

    async def stop_ids(self, stop: Sequence[str]) -> list[int]:
        """The ids of the stop strings that are one token of the model's, on a server that stops at ids."""
        if not self._server.takes_stop_ids:
            return []
        for text in stop:
            if text not in self._stop_ids and self._tried_from is not None and text.strip():
                ids = await self.ids(text)
                if ids is not None:
                    self._stop_ids[text] = ids[0] if len(ids) == 1 else None
        return [known for text in stop if (known := self._stop_ids.get(text)) is not None]

    async def _start_text(self, props: object) -> str:
        """The text of the token that the server puts before every prompt; "" where it puts none."""
        ids = _ids_in(await self._asked("", with_start=True))
        if not ids:
            return ""
        if self._server.kind is ServerKind.LLAMA_CPP:
            text = props.get("bos_token") if isinstance(props, Mapping) else None
        else:
            body = {"model": self._model, "tokens": ids, "skip_special_tokens": False}
            answer = await self._answer("/detokenize", body)
            text = answer.get("text") if isinstance(answer, Mapping) else None
        return text if isinstance(text, str) else ""

    async def _asked(self, text: str, *, with_start: bool = False) -> Any:
        """The server's response to a request for the tokens of a text; None if it has none."""
        body: dict[str, Any] = {"model": self._model, "prompt": text, "add_special_tokens": with_start}
        if self._server.kind is ServerKind.LLAMA_CPP:
            body = {"content": text, "add_special": with_start, "parse_special": True}
        return await self._answer("/tokenize", body)

    async def _answer(self, path: str, body: dict[str, Any]) -> Any:
        try:
            return await self._connection.json("POST", f"{self._connection.root}{path}", body, seconds=_SECONDS)
        except ContextExceededError:
            return None
        except (RequestRefusedError, ValueError):  # it has no such endpoint
            self._tried_from = None
        except (*TRANSPORT_ERRORS, EngineError):
            self._tried_from = asyncio.get_running_loop().time() + _RETRY_SECONDS
        return None


def _ids_in(answer: object) -> list[int] | None:
    ids = answer.get("tokens") if isinstance(answer, Mapping) else None
    return ids if isinstance(ids, list) and all(type(token) is int for token in ids) else None
