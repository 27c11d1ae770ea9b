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
    """When a problem is closed before all its samples have ended; `agent.policy.stopping` has the rules.

    Of the rule "patience": a leader that is ahead by 1, 2 or 3 votes (one more if nobody else has a vote) is given
    `wait_by_lead` times the time of the problem's first vote, or times `min_wait_share` of its share of the bank if
    that is longer, and at most `max_share` times the share; `max_dissent` votes for others than the first two answers
    end the problem too.
    """

    rule: str = "patience"
    margin: float = Field(3.0, gt=0)  # weight by which the leader must lead
    confidence: float = Field(0.95, gt=0, lt=1)  # for the rule "beta"
    votes: int = Field(4, ge=1)  # for the rule "agree"
    wait_by_lead: tuple[float, float, float] = Field((3.0, 2.0, 1.4), strict=False)  # TOML has lists
    min_wait_share: float = Field(0.5, ge=0)
    max_share: float = Field(1.0, gt=0)
    max_dissent: int = Field(4, ge=1)


class BudgetConfig(Section):
    """What the time bank grants, between `floor` and `ceiling` seconds; `agent.policy.grants` has the rules.

    `agent.policy.planning` has the planners, which make a problem's time and lanes of it.
    Of the rule "spread": `spread` x time left / problems left. The floor is at most the even share of what is left.
    A problem gets at least `min_first_votes` times the time that a first vote has usually taken in the run.
    `time_limit_seconds` of 0 stands for the edition's own limit. The last `answer_reserve_seconds` of an allowance
    are kept for the forced answers of unfinished samples. A problem starts `lanes_per_first_vote` lanes for each time
    that its share of the bank holds the usual time of a first vote, and at least `min_lanes`; 0 starts all lanes.
    No sample is started that may make the run cost more than `max_cost`, in the currency of the prices; 0: no limit.
    """

    planner: str = "grant"
    rule: str = "spread"
    time_limit_seconds: float = Field(0.0, ge=0)
    spread: float = Field(3.0, ge=1)
    min_first_votes: float = Field(1.5, ge=0)
    lanes_per_first_vote: float = Field(6.0, ge=0)
    min_lanes: int = Field(3, ge=1)
    floor_seconds: float = Field(10.0, ge=0)
    ceiling_seconds: float = Field(1_800.0, gt=0)
    answer_reserve_seconds: float = Field(8.0, ge=0)
    max_cost: float = Field(0.0, ge=0)
