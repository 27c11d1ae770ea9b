"""The client of servers that are sent messages, and have nothing else or nothing better."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from agent.chat.box import open_box
from agent.chat.messages.conversation import read_conversation
from agent.engine.base import OnEvent, Prompt, SamplingParams
from agent.engine.chat_completion.manner import ChatManner, prefix_of
from agent.engine.chat_completion.reply import ChatReply, ForcedReply
from agent.engine.chat_completion.request import begun_turn, chat_body
from agent.engine.completion.fields import ServerKind
from agent.engine.completion.refusals import completes_nothing
from agent.engine.http import HttpEngine, complete_one_token
from agent.engine.wire import ReplyReader
from agent.errors import EngineError, EngineUnavailableError, RequestRefusedError

_PROBE_SECONDS = 30.0
_OLLAMA = "library"  # what it lists as the owner of its models


class ChatEngine(HttpEngine):
    """An engine behind a base URL that is sent messages: each prompt is read as a conversation.

    Takes the arguments of `HttpEngine`. With `probes` it is found out, when the server is first ready, whether it
    completes texts too; then it is spoken to as `HttpEngine` does. That costs a request for one token, and none where
    the server is known.
    """

    def __init__(
        self,
        base_url: str,
        *,
        probes: bool,
        model: str | None = None,
        stall_seconds: float = 120.0,
        api_key: str | None = None,
        proxied: bool = False,
        on_event: OnEvent = lambda text: None,
    ) -> None:
        super().__init__(
            base_url, model=model, stall_seconds=stall_seconds, api_key=api_key, proxied=proxied, on_event=on_event
        )
        self._is_settled = False
        self._chats = not probes
        self._owners: frozenset[object] = frozenset()  # as the server lists them for its models
        self._manner = ChatManner(lambda text: on_event(f"the engine at {self._server.shown} {text}"))

    @property
    def chats(self) -> bool:
        """Whether prompts are sent as messages."""
        return self._chats

    async def ready(self) -> None:
        """As `HttpEngine`; the first time it is settled how the server is spoken to."""
        await super().ready()
        if not self._is_settled:
            self._chats = self._chats or await self._only_chats()
            self._manner.prefix = prefix_of(self._served_by, self._server.root)
            self._is_settled = True

    async def tokenize(self, text: str) -> list[int] | None:
        """Return None where prompts are messages: they are no tokens."""
        return None if self._chats else await super().tokenize(text)

    @property
    def _path(self) -> str:
        return "/chat/completions" if self._chats else super()._path

    async def _exchange(self, prompt: Prompt, params: SamplingParams) -> tuple[dict[str, Any], ReplyReader]:
        if not self._chats or not isinstance(prompt, str):
            return await super()._exchange(prompt, params)
        conversation, manner = read_conversation(prompt), self._manner
        begun = begun_turn(conversation, manner)
        body = chat_body(conversation, begun, params, self._served_by, manner, self._model)
        reply: ChatReply
        if params.forces_answer and not begun.continued:
            reply = ForcedReply(params, manner, open_box(begun.text) or "")
        else:
            is_new = not begun.continued and begun.said  # or else it stands behind a call that has been left out
            seam = "\n\n" if is_new or begun.text != conversation.begun else ""
            seam = "" if params.forces_answer else seam
            reply = ChatReply(params, manner, thinks=conversation.thinks, seam=seam)
        return self._refusals.applied(body), reply

    def _learns_refusal(self, error: EngineError, body: Mapping[str, Any]) -> bool:
        return (self._chats and self._manner.learn(error, body)) or super()._learns_refusal(error, body)

    async def _served_models(self) -> list[Mapping[str, Any]]:
        listed = await super()._served_models()
        self._owners = frozenset(model.get("owned_by") for model in listed if isinstance(model.get("owned_by"), str))
        return listed

    async def _only_chats(self) -> bool:
        """Whether the server completes no texts, or none as they are."""
        if self._served_by.kind is not ServerKind.OTHER:
            return False
        templated = "it puts other prompts into its model's template"
        reason = templated if _OLLAMA in self._owners else await self._why_no_texts()
        if reason:
            self._manner.say(f"is sent messages, as {reason} (engine.protocol = 'auto')")
        return bool(reason)

    async def _why_no_texts(self) -> str:
        """Why the server cannot be sent texts, by one request; "" if it can. Raises EngineUnavailableError."""
        try:
            async with asyncio.timeout(_PROBE_SECONDS):
                await complete_one_token(self)
        except RequestRefusedError as error:
            return "it completes no texts" if completes_nothing(error) else ""
        except EngineUnavailableError:
            raise
        except (EngineError, TimeoutError) as error:  # it has the endpoint
            cause = str(error) or f"no answer within {_PROBE_SECONDS:.0f} s"
            self._manner.say(
                f"may not complete texts, which it is sent ({cause}): if it takes messages alone, set "
                "engine.protocol = 'chat'"
            )
        return ""
