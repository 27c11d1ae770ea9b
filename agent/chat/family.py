"""A family of models as data: a TOML file, bundled (`agent/chat/families/NAME.toml`) or a user's own by its path."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from agent.errors import ConfigError
from agent.files.config_faults import first_fault
from agent.files.named_toml import lasting_name, read_named, toml_names
from agent.policy.code_output import printed_integer

AUTO = "auto"
"""In place of a family's name: that of the served model, as its chat template tells."""

_FOLDER = files("agent.chat") / "families"
_IN_TURN = frozenset(("examples", "think_close", "hint", "calls_left", "no_calls_left"))
DIALECT_KEYS: Mapping[str, frozenset[str]] = {
    "chatml-fenced": _IN_TURN | {"instructions_in"},
    "chatml-fenced-turns": frozenset(("examples", "think_close", "instructions_in")),
    "chatml-calls": frozenset(("examples", "think_close", "keeps_thinking", "instructions_in")),
    "chatml-tagged": _IN_TURN | {"instructions_in"},
    "harmony": frozenset(("system", "tool_system", "reasoning_effort")),
    "r1-fenced": _IN_TURN,
}
"""The keys of a family that each dialect reads, but for those that stand here for none, which all of them read."""


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class WorkedExample(_Table):
    """A question, the code that answers it, and what that prints: the answer."""

    question: str
    code: str
    output: str


class RecommendedSampling(_Table):
    """The sampling parameters that the authors of a family's models recommend; None where they say nothing."""

    temperature: float | None = Field(None, ge=0)
    top_p: float | None = Field(None, gt=0, le=1)
    top_k: int | None = Field(None, ge=0)
    min_p: float | None = Field(None, ge=0, le=1)
    presence_penalty: float | None = Field(None, ge=-2, le=2)


class TemplateMarks(_Table):
    """How the chat template of a family's models is told from those of others.

    It has all of the marks `has` and none of `lacks`; a family without marks is never recognized. One of the `names` is
    in those of its models, however they are written. Where `shared`, models of other kinds have the template too, so
    that only a name tells.
    """

    has: tuple[str, ...] = Field((), strict=False)
    lacks: tuple[str, ...] = Field((), strict=False)
    names: tuple[str, ...] = Field((), strict=False)
    shared: bool = False


class HintTable(_Table):
    """A hint that a sample which has run no code is given within its thinking, and where: see `agent.chat.hints`.

    It is `text`, and the beginning of code, in place of one of the words `at` with which a sentence begins, or
    (`before_think_close`) of the tag that closes the thinking: at most `most` times a sample, and before a word only
    `apart_chars` characters after the sample's beginning or the hint before it. A token has about four characters.
    """

    text: str = Field(min_length=1)
    at: tuple[Annotated[str, Field(min_length=1)], ...] = Field((), strict=False)  # TOML has lists
    before_think_close: bool = False
    most: int = Field(2, ge=1)
    apart_chars: int = Field(2_000, ge=0)

    @model_validator(mode="after")
    def _has_a_place(self) -> Self:
        if not self.at and not self.before_think_close:
            raise ValueError("say where it is given: at = [...], before_think_close = true, or both")
        return self


class Family(_Table):
    """The instructions of one family of models, and how its turns begin.

    `opening` is what the assistant's turn starts with, with tools `tool_opening` (the same where that is None).
    `think_close` is the tag that ends the thinking in which the turn begins ("" where the model does not think in
    tags). Where a call ends the assistant's turn, the next prompt `keeps_thinking` of that turn, or leaves it out as
    some templates do. In ChatML the instructions stand in the turn `instructions_in`. In harmony they are the
    developer's, and the system turn begins with `system`, names the `reasoning_effort` and, with tools, describes them
    by `tool_system`. The worked `examples` show how tools are used. `template` says how its models are recognized.

    A sample has at most `max_rounds` tool runs where the configuration does not say how many; that number is put in for
    `{max_rounds}` in the instructions with tools. What it does not say of `sampling` is as recommended here.
    A `hint` may be given where calls stand within the thinking. There `calls_left` follows each output, with the number
    of tool runs that are left for `{calls_left}`, and `no_calls_left` the last one. `DIALECT_KEYS` says which dialects
    read these.
    """

    dialect: Literal["chatml-fenced", "chatml-fenced-turns", "chatml-calls", "chatml-tagged", "harmony", "r1-fenced"]
    instructions: str
    tool_instructions: str
    opening: str = ""
    tool_opening: str | None = None
    think_close: str = ""
    keeps_thinking: bool = True
    instructions_in: Literal["system", "user"] = "system"
    system: str = ""
    tool_system: str = ""
    reasoning_effort: Literal["low", "medium", "high"] = "high"
    max_rounds: int = Field(4, ge=0)
    calls_left: str = ""
    no_calls_left: str = ""
    hint: HintTable | None = None
    examples: tuple[WorkedExample, ...] = Field((), strict=False)  # TOML has lists
    sampling: RecommendedSampling = RecommendedSampling()
    template: TemplateMarks = TemplateMarks()

    def turn_opening(self, *, tools: bool) -> str:
        """What the assistant's turn starts with, with tools or without."""
        return self.tool_opening if tools and self.tool_opening is not None else self.opening


def family_names() -> list[str]:
    """Names of the bundled families."""
    return toml_names(_FOLDER)


def known_family(name: str) -> str:
    """The bundled family's name, AUTO, or the absolute path of a file that holds one. Raises ValueError for others."""
    if name == AUTO:
        return name
    try:
        load_family(name)
    except ConfigError as error:
        raise ValueError(str(error)) from error
    return lasting_name(_FOLDER, name)


def check_keys(*names: str) -> None:
    """Raise ConfigError where a family's file sets a key that its dialect does not read, naming those that do.

    AUTO has no file. A run that was recorded with such a family is read all the same: what is ignored changes nothing.
    """
    for name in names:
        if name == AUTO:
            continue
        family = load_family(name)
        for key in filter(family.model_fields_set.__contains__, Family.model_fields):
            readers = [dialect for dialect, keys in DIALECT_KEYS.items() if key in keys]
            if readers and family.dialect not in readers:
                raise ConfigError(
                    f"family {name}: {key} means nothing in the dialect {family.dialect}: leave it out; "
                    f"dialects that read it: {', '.join(readers)}"
                )


@cache
def load_family(name: str) -> Family:
    """The family of a bundled name or of the TOML file at a path, as it was when this process first read it.

    Raises ConfigError, naming the key, for what is no family.
    """
    try:
        return Family.model_validate(read_named(_FOLDER, name, "family", further=(AUTO,)))
    except ValidationError as error:
        raise ConfigError(f"family {name}: {first_fault(error, Family)}") from None


@cache
def example_answers(name: str) -> frozenset[int]:
    """The integers that the worked examples of a family end with; none where it is still to be found (AUTO).

    Raises ConfigError for what is no family.
    """
    examples = load_family(name).examples if name != AUTO else ()
    printed = (printed_integer(example.output) for example in examples)
    return frozenset(number for number in printed if number is not None)
