"""Solutions as a DataFrame of pandas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from agent.cost.money import cost_of
from agent.jupyter.solution import SolutionWithSamples
from agent.metrics import is_right
from agent.views.verdict import votes_text

if TYPE_CHECKING:
    import pandas as pd


def solutions_table(solutions: Sequence[SolutionWithSamples], index: pd.Index | None = None) -> pd.DataFrame:
    """A row for each solution, with the rows' `index` if one is given.

    `answer` is missing where no sample gave one, and `right` where no truth is known. `votes` is the leader's weight of
    that of all votes, with ties and guesses named, as in the table of `agent.solve`. `cost` is that of the samples,
    and left out where tokens have no price.
    """
    import pandas as pd  # slow to import

    costs = [cost_of(each.samples) for each in solutions]
    priced = any(cost is not None for cost in costs)
    columns = {
        "id": pd.Series([each.problem_id for each in solutions], dtype="object"),
        "answer": pd.Series([each.answer for each in solutions], dtype="Int64"),
        "right": pd.Series([is_right(each.answer, each.problem.answer) for each in solutions], dtype="boolean"),
        "votes": pd.Series([votes_text(each, each.samples) for each in solutions], dtype="object"),
        "tokens": pd.Series([each.tokens for each in solutions], dtype="int64"),
        **({"cost": pd.Series(costs, dtype="float64")} if priced else {}),
        "seconds": pd.Series([each.seconds for each in solutions], dtype="float64"),
        "closed_by": pd.Series([str(each.stop) for each in solutions], dtype="object"),
    }
    table = pd.DataFrame(columns)
    return table if index is None else table.set_axis(index, axis="index")
