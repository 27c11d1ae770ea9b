"""One validated configuration tree, read from a profile and overridden by single keys.

A profile is a TOML file, bundled (`agent/profiles/NAME.toml`) or anywhere (`path/to/own.toml`). Unknown keys and
values of another type are errors: nothing is converted but an integer to a float. The resolved tree is written into
the run directory and is itself a profile.
"""

from __future__ import annotations

from collections.abc import Mapping
from operator import attrgetter
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError, field_validator, model_validator

from agent.chat.family import AUTO, check_keys, example_answers, family_names, known_family, load_family
from agent.editions import EDITIONS
from agent.errors import ConfigError
from agent.files.addresses import beside, checked_url, expand_home
from agent.files.config_faults import first_fault
from agent.files.named_toml import read_named, toml_names
from agent.files.renamed_keys import profile_tree, with_planner
from agent.files.section import Section
from agent.files.stored_config import seal
from agent.files.suggestions import no_such
from agent.files.whole_file import write_whole
from agent.policy.registries import RULES, warn_of_unread
from agent.policy.settings import BudgetConfig, StoppingConfig, VotingConfig
from agent.policy.token_prices import NO_PRICE, PriceConfig
from agent.types import Edition

PROFILES = Path(__file__).parent / "profiles"

HomePath = Annotated[str, AfterValidator(expand_home)]
"""A text that may be a path; a leading `~` is the home directory."""

FamilyName = Annotated[str, AfterValidator(known_family)]
"""A bundled family's name, or the path of a TOML file."""


class EngineConfig(Section):
    """Where tokens come from.

    `embedded` serves `model` on the CPU, `vllm` starts and watches a vLLM server of it, `http` uses that at `url`.
    """

    kind: Literal["embedded", "vllm", "http"] = "embedded"
    url: Annotated[str, AfterValidator(checked_url)] = ""
    protocol: Literal["auto", "completions", "chat"] = "auto"  # what `url` is sent; "auto": texts, if it takes any
    api_key_env: str = ""  # the environment variable with the server's API key; for `url` OPENAI_API_KEY where empty
    model: HomePath = "qwen2.5-coder-1.5b"
    port: int = Field(0, ge=0, le=65_535)  # for the embedded server; 0: any free one
    context_tokens: int = Field(4_096, ge=256)  # for one lane
    streams: int = Field(0, ge=0)  # that the embedded engine computes at a time, others wait; 0: all
    stall_seconds: float = Field(120.0, gt=0)  # a stream silent for so long is broken
    start_seconds: float = Field(300.0, gt=0)  # a server not ready by then has failed
    retries: int = Field(2, ge=0)  # restarts of one sample's stream after an engine error
    # Whether the served model is checked before a run; "auto": unless it is a known one that is computed here.
    check: Literal["auto", "always", "never"] = "auto"

    @field_validator("api_key_env")
    @classmethod
    def _is_a_name(cls, name: str) -> str:
        """Reject a value that can only be the key itself, before it is written anywhere."""
        if name and not (name.isascii() and name.isidentifier()):
            raise ValueError("it takes the name of an environment variable that holds the key, not the key itself")
        return name


class VllmConfig(Section):
    """How our own vLLM server is started; most names are those of its flags.

    `gpu` is the kind of GPU that the profile is sized for ("" for any, "cpu" for none); it needs
    `tensor_parallel_size` x `data_parallel_size` of them.
    """

    python: HomePath = ""  # the interpreter that has vLLM; ours where empty
    gpu: str = ""
    tensor_parallel_size: int = Field(1, ge=1)
    data_parallel_size: int = Field(1, ge=1)
    dtype: Literal["auto", "half", "bfloat16", "float32"] = "auto"
    quantization: str = ""  # as the model's own configuration says where empty
    kv_cache_dtype: Literal["auto", "fp8"] = "auto"
    load_format: Literal["auto", "dummy"] = "auto"  # dummy: random weights, for measuring speed
    gpu_memory_utilization: float = Field(0.9, gt=0, le=1)
    max_num_seqs: int = Field(16, ge=1)  # sequences computed at a time
    max_num_batched_tokens: int = Field(0, ge=0)  # tokens of one step; vLLM's own choice where 0
    enforce_eager: bool = False
    reasoning_parser: str = ""  # with one the server itself can limit the thinking
    hang_seconds: float = Field(30.0, gt=0)  # without a token from any lane: the server hangs and is restarted
    extra_args: tuple[str, ...] = Field((), strict=False)  # TOML has lists
    environment: dict[str, str] = Field(default_factory=dict)  # for the server, where ours does not set them


class SamplingConfig(Section):
    """The sampling parameters of one sample, with the names of the OpenAI and vLLM protocols.

    Those that are not set are as the authors of the family's models recommend, or else the defaults here.
    """

    temperature: float = Field(0.6, ge=0)
    top_p: float = Field(0.95, gt=0, le=1)
    top_k: int = Field(40, ge=0)
    min_p: float = Field(0.0, ge=0, le=1)
    presence_penalty: float = Field(0.0, ge=-2, le=2)
    seeded: bool = True  # send each sample's seed; some engines draw slower with one


class SampleConfig(Section):
    """How many samples are drawn, from which prompt, and their limits."""

    count: int = Field(8, ge=1, le=1_024)
    family: FamilyName = "qwen-coder"  # a bundled one, a TOML file's path, or "auto": as the chat template tells
    own_families: tuple[FamilyName, ...] = Field((), strict=False)  # TOML files that "auto" looks at first
    tools: bool = True
    max_tokens: int = Field(1_024, ge=1)
    max_rounds: int = Field(4, ge=0)  # tool runs; by default as many as the family's models are used to
    accept_printed_answer: bool = False  # a tool run that prints just an integer of the edition's range is a vote
    max_failed_tool_runs: int = Field(0, ge=0)  # so many failed tool runs end a sample without a vote; 0: no limit
    max_seconds: float = Field(3_600.0, gt=0)
    answer_at_think_close: bool = False  # where its thinking closes on a box, a sample has answered
    max_thinking_tokens: int = Field(0, ge=0)  # thinking still open then is closed by forcing the answer; 0: no cap
    answer_tokens: int = Field(24, ge=0)  # for a forced answer; 0: none is forced
    probe_tokens: int = Field(0, ge=0)  # tokens between two probes of a running sample's present answer; 0: none

    @property
    def runs_code(self) -> bool:
        """Whether a sample may run any code."""
        return self.tools and self.max_rounds > 0

    @property
    def example_answers(self) -> frozenset[int]:
        """The answers of the worked examples that a sample's prompt shows."""
        return example_answers(self.family) if self.tools else frozenset()


class SandboxConfig(Section):
    """Limits of one Python session."""

    cell_seconds: float = Field(10.0, gt=0)
    memory_mib: int = Field(2_048, ge=64)
    output_chars: int = Field(2_000, ge=100)


class Config(Section):
    """The full configuration of a run."""

    profile: str = "cpu"
    edition: str = "aimo3"
    seed: int = 0
    problems_in_flight: int = Field(1, ge=1)  # problems whose samples are drawn at a time, to keep a big engine busy
    engine: EngineConfig = EngineConfig()
    vllm: VllmConfig = VllmConfig()
    sampling: SamplingConfig = SamplingConfig()
    sample: SampleConfig = SampleConfig()
    voting: VotingConfig = VotingConfig()
    stopping: StoppingConfig = StoppingConfig()
    budget: BudgetConfig = BudgetConfig()
    price: PriceConfig = PriceConfig()
    sandbox: SandboxConfig = SandboxConfig()

    @model_validator(mode="before")
    @classmethod
    def _as_the_family(cls, tree: Any) -> Any:
        return _with_family(tree) if isinstance(tree, dict) else tree

    @property
    def rules(self) -> Edition:
        """The edition's rules."""
        return EDITIONS[self.edition]

    @property
    def time_limit_seconds(self) -> float:
        """The limit of the whole run."""
        return self.budget.time_limit_seconds or self.rules.time_limit_seconds


def profile_names() -> list[str]:
    """Return the names of the bundled profiles."""
    return toml_names(PROFILES)


def load_config(profile: str | Path | Config, overrides: Mapping[str, Any] | None = None) -> Config:
    """The configuration of a profile (a bundled name, a TOML file's path, or one loaded) with dotted keys overridden.

    >>> load_config("cpu", {"sample.count": 4}).sample.count
    4

    Where the keys turn a profile with an engine of its own to a server at a URL, the profile's model, a file or a name
    on the Hub, means nothing there: unless they name one, it is the first that the server lists.

    Raises ConfigError, naming the key, if anything in it is not valid.
    """
    if isinstance(profile, Config):
        return override_config(profile, overrides or {})
    tree = _read(str(profile))
    tree.setdefault("profile", Path(profile).stem.encode("utf-8", "replace").decode())
    keys = dict(overrides or {})
    engine = tree.get("engine")
    own = not (isinstance(engine, dict) and engine.get("kind") == "http")
    if own and keys.get("engine.kind") == "http":
        keys.setdefault("engine.model", "")
    config = parse_config(_set(tree, keys), str(profile))
    warn_of_unread(tree, str(profile))
    check_keys(config.sample.family, *config.sample.own_families)
    return config


def override_config(config: Config, overrides: Mapping[str, Any]) -> Config:
    """Return the configuration with dotted keys overridden. Raises ConfigError if that is not valid.

    Where its family is still to be found, what that family decides is open too, unless the configuration says it.
    """
    tree = config.model_dump(exclude_unset=config.sample.family == AUTO)
    overridden = parse_config(_set(tree, overrides), config.profile)
    if not overrides.keys().isdisjoint(("sample.family", "sample.own_families")):
        check_keys(overridden.sample.family, *overridden.sample.own_families)
    return overridden


def save_config(config: Config, path: Path) -> None:
    """Write the resolved configuration as TOML, atomically; `load_config` of that file returns an equal one.

    Raises OSError if it cannot be written.
    """
    write_whole(path, seal(config.model_dump()))


def parse_config(tree: Mapping[str, Any], source: str) -> Config:
    """The configuration of a tree of tables, with defaults for keys that it lacks; `source` says where it comes from.

    Raises ConfigError, naming the key, if anything in it is not valid.
    """
    try:
        config = Config.model_validate(tree)
    except ValidationError as error:
        raise ConfigError(f"configuration ({source}): {first_fault(error, Config)}") from None
    if config.edition not in EDITIONS:
        raise ConfigError(no_such("unknown edition", config.edition, EDITIONS))
    for key, rules in RULES.items():
        if (rule := attrgetter(key)(config)) not in rules:
            raise ConfigError(f"configuration ({source}): {key}: {no_such('no rule', rule, rules)}")
    if config.sample.probe_tokens and not config.sample.answer_tokens:
        raise ConfigError(f"configuration ({source}): sample.answer_tokens is needed where sample.probe_tokens is set")
    if config.engine.kind == "http" and not config.engine.url:
        raise ConfigError(f"configuration ({source}): engine.url is needed where engine.kind is 'http'")
    if config.budget.max_cost and not config.price.known:
        raise ConfigError(f"configuration ({source}): {NO_PRICE}")
    return config


def _read(profile: str) -> dict[str, Any]:
    tree = profile_tree(read_named(PROFILES, profile, "profile"), profile)
    if profile not in profile_names() and isinstance(tree.get("sample"), dict):
        _find_families_beside(Path(expand_home(profile)).absolute().parent, tree["sample"])
    return tree


def _find_families_beside(folder: Path, sample: dict[str, Any]) -> None:
    """Make a family's path, relative in a user's own profile, that of the file beside the profile if there is one."""

    def found(name: Any) -> Any:
        is_known = not isinstance(name, str) or name in (AUTO, *family_names())
        return name if is_known else beside(folder, name)

    if "family" in sample:
        sample["family"] = found(sample["family"])
    if isinstance(sample.get("own_families"), list):
        sample["own_families"] = list(map(found, sample["own_families"]))


def _with_family(tree: dict[str, Any]) -> dict[str, Any]:
    """The tree with what its family decides of the keys that it lacks; what is no valid tree is left as it is."""
    sample, sampling = tree.get("sample", {}), tree.get("sampling", {})
    if not (isinstance(sample, dict) and isinstance(sampling, dict)):
        return tree
    name = sample.get("family", SampleConfig.model_fields["family"].default)
    if not isinstance(name, str) or name == AUTO:
        return tree
    try:
        family = load_family(name)
    except ConfigError:  # which the check of the family reports
        return tree
    recommended = family.sampling.model_dump(exclude_none=True)
    return {**tree, "sample": {"max_rounds": family.max_rounds, **sample}, "sampling": {**recommended, **sampling}}


def _set(tree: dict[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    for key, value in with_planner(overrides, "budget.").items():
        *tables, last = key.split(".")
        if key in Config.model_fields and isinstance(Config.model_fields[key].default, Section):
            raise ConfigError(f"configuration: {key} is a table: set single keys of it, written as {key}.KEY")
        table: Any = tree
        for name in tables:
            table = table.setdefault(name, {})
            if not isinstance(table, dict):
                raise ConfigError(f"configuration: {key}: {name} is a value, not a table")
        table[last] = value
    return tree
