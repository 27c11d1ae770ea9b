"""The tables of the configuration that choose the rules and set their parameters."""

from __future__ import annotations

from pydantic import Field

from agent.files.section import Section


class VotingConfig(Section):
    """What a vote weighs: `agent.policy.voting` has the rules."""

    rule: str = "majority"
    forced_weight: float = Field(0.5, gt=0, le=1)  # for a forced answer, where a sample that finished has 1
    printed_trivial_weight: float = Field(1.0, gt=0, le=1)  # times that where the answer is a 0 or 1 that code printed
    # Times that where the answer is that of an example in the prompt, and no code of the sample printed it.
    copied_example_weight: float = Field(0.1, gt=0, le=1)
    code_bonus: float = Field(0.0, ge=0)  # added where the last successful tool run prints the answer
    confidence_bonus: float = Field(0.0, ge=0)  # added in full where the model was certain of its last tokens


class StoppingConfig(Section):
    """When a problem is closed before all its samples have ended; `agent.policy.stopping` has the rules."""

    rule: str = "price"
    margin: float = Field(3.0, gt=0)  # for the rule "margin": weight by which the leader must lead
    confidence: float = Field(0.95, gt=0, lt=1)  # for the rule "beta"
    votes: int = Field(4, ge=1)  # for the rule "agree"


class BudgetConfig(Section):
    """What the time bank grants, between `floor` and `ceiling` seconds; the floor is at most the even share of it.

    `agent.policy.planning` has the planners, which give a problem its time and its lanes.
    `time_limit_seconds` of 0 stands for the edition's own limit. The last `answer_reserve_seconds` of an allowance
    are kept for the forced answers of unfinished samples.
    No sample is started that may make the run cost more than `max_cost`, in the currency of the prices; 0: no limit.
    """

    planner: str = "price"
    time_limit_seconds: float = Field(0.0, ge=0)
    spread: float = Field(1.5, ge=1)  # for the planner "spread": shares of what is left
    floor_seconds: float = Field(10.0, ge=0)
    ceiling_seconds: float = Field(1_800.0, gt=0)
    answer_reserve_seconds: float = Field(8.0, ge=0)
    max_cost: float = Field(0.0, ge=0)
