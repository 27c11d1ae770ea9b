"""What a policy can reach that meets the problems one by one: it knows the population, not which problem it faces.

Both bounds are fitted to the runs that they are then measured on, which flatters them, and once more to one half of
the problems and measured on the other. They are near-bounds: the best that a search found in the family, and the best
moments by what the states tell. Another policy of the family may do a little better, and so may one that sees more,
like log-probabilities or the text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from agent.errors import InputError
from tools.replay.bounds.draws import Draws, draw_problems, whole_samples
from tools.replay.bounds.family import fit_family, play_fitted
from tools.replay.bounds.fluid import fit_fluid, play_fluid
from tools.replay.recordings import Recording
from tools.replay.run import Setting

BOUND_RUNS = 100
"""How many runs the bounds are fitted to and measured on."""


@dataclass(frozen=True, slots=True)
class OnlineBounds:
    """Mean right answers of a run: of the best policy that was found of the family, and at one price of a second.

    Those with `_half` are fitted to one half of the problems and measured on the other.
    """

    family: float
    family_half: float
    fluid: float
    fluid_half: float


def check_halves(recordings: Sequence[Recording]) -> None:
    """Raise InputError for a recording that has too few problems to leave half of them out."""
    for recording in recordings:
        if len(recording.problems) < 2:
            raise InputError(
                f"{recording.name} has one problem, and --bounds online leaves half of them out: give a recording of "
                "two or more, or leave the flag out"
            )


def online_bounds(recording: Recording, setting: Setting) -> OnlineBounds:
    """Work out the bounds of one recording, of two or more problems (`check_halves`)."""
    halves = [replace(recording, problems=recording.problems[start::2]) for start in (0, 1)]
    samples = whole_samples(recording, setting)
    whole, even, odd = (draw_problems(each, setting, BOUND_RUNS, samples) for each in (recording, *halves))
    across = [(even, odd), (odd, even)]
    return OnlineBounds(
        _family(whole, whole, setting),
        fmean(_family(seen, unseen, setting) for seen, unseen in across),
        _fluid(whole, whole, setting),
        fmean(_fluid(seen, unseen, setting) for seen, unseen in across),
    )


def _family(seen: Draws, unseen: Draws, setting: Setting) -> float:
    policy, right = fit_family(seen, setting.hardware, setting.limit, setting.seed)
    return right if unseen is seen else play_fitted(policy, unseen, setting.hardware, setting.limit)


def _fluid(seen: Draws, unseen: Draws, setting: Setting) -> float:
    share = setting.limit / setting.problems
    return setting.problems * play_fluid(fit_fluid(seen, setting.hardware, share), unseen, setting.hardware, share)
