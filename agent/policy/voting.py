"""Samples -> Tally: who voted for what, in an order that does not depend on the order of the samples."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from functools import lru_cache
from itertools import groupby

from agent.config import VotingConfig
from agent.latex.integer import MAX_CHARS, parse_integer
from agent.latex.words import changes_value
from agent.types import Sample, SampleEnd, Tally, ToolStatus, Vote

_CUT = re.compile(r"\[\.\.\. .{0,80}\bcut\b")
_NO_RESULT = re.compile(
    r"""(?: error | exception | warning | interrupt | stopiteration | exit ) s? \b
      | \b (?: kill | skip | abort | timed\b | timeout | try\b | trying | tried | testing | tested | checking | checked
        | attempt | expect (?! ed\s+(?:value|number) ) | seed | using\b | elapsed | took\b | runtime | partial | so\sfar
        | whether | what\b | debug )
      | ^ (?: max\w* \W )? (?: lines? | steps? | iter\w* | limit | time | code | status | input | default | start )
        \W* $""",
    re.VERBOSE | re.IGNORECASE,
)
_STATED = re.compile(
    r"""
    (?: (?P<label> .*? )
        (?P<sign> (?<!\d) [:\uff1a] | : (?=\s) | (?<![!<>=:~^*/+|%&-]) = (?!=) | -> | \u2192
          | (?P<word> (?<=\W) (?: is | are | equals ) \b | (?<=.) [\u662f\u4e3a\u70ba]
              | \b (?: answer | ans | result | total | count | sum | maximum | max | minimum | min | so | thus | hence
                | therefore ) \b )
        ) \s* )?
    (?P<open> [\[({'"`$] | \*\* | \\boxed\{ )? (?P<number> [-+\u2212]? (?: \d{1,3} (?: ,\d{3} )+ | \d+ ) (?: \.0* )? )
    (?P<close> [\])}'"`$] | \*\* )? (?P<counted> \s [^\W\d_]+ )? (?P<end> [.\u3002]? | !* )
    """,
    re.VERBOSE | re.IGNORECASE,
)
_CLOSING = {None: None, "[": "]", "(": ")", "{": "}", "\\boxed{": "}"}  # all others close themselves
_MODULUS = re.compile(r"\(?\b(?:mod(?:ulo|ulus)?)\s*(?:\d+|10\^\d+|10\*\*\d+)\b\)?", re.IGNORECASE)
_BRACKETED = re.compile(r"\([^()]*\)|\[[^\[\]]*\]")
_RELATION = re.compile("[<>~\u2248\u2243\u2245\u223c\u2260\u2264\u2265\u2261\xb1?]|!=|==")
_ANOTHER = re.compile(r"(?:[:\uff1a]|\b(?:is|are|equals)\b)\s*[-+]?\d", re.IGNORECASE)
_ANOTHER_SIDE = re.compile(r"[=:\uff1a]\s*[-+]?\d")
_LETTER = re.compile(r"[^\W\d_]")
_WORD = re.compile(r"[^\W\d_]{2,}|(?<=['\u2019])t\b")  # a single letter is a variable


def tally(samples: Iterable[Sample], voting: VotingConfig, modulus: int | None = None) -> Tally:
    """Count the votes, the heaviest first; `modulus` is the edition's, for what code printed.

    Ties go to the answer with more samples, then to the one whose samples were surer of their last tokens, then to
    the one with the shortest sample (wrong samples are longer on average), then to the smaller answer.
    """
    voters = sorted((s for s in samples if s.answer is not None), key=lambda s: s.answer or 0)
    ranked = []
    for answer, group in groupby(voters, key=lambda s: s.answer):
        assert answer is not None
        backers = list(group)
        # Sums that are rounded once do not depend on the order of the samples.
        weight = math.fsum(sample_weight(sample, voting, modulus) for sample in backers)
        sureness = math.fsum(confidence(sample) for sample in backers)
        vote = Vote(answer, weight, len(backers))
        ranked.append((-vote.weight, -vote.samples, -sureness, min(s.tokens for s in backers), answer, vote))
    return Tally(tuple(row[-1] for row in sorted(ranked, key=lambda row: row[:-1])))


def sample_weight(sample: Sample, voting: VotingConfig, modulus: int | None = None) -> float:
    """Weight of one sample's vote: 1, or `forced_weight` if it was forced, plus the bonuses that it has earned.

    A sample that had ended by itself and only lacked the box weighs 1.
    """
    unfinished = sample.forced and sample.end is not SampleEnd.NO_ANSWER
    weight = voting.forced_weight if unfinished else 1.0
    if voting.code_bonus and code_agrees(sample, modulus):
        weight += voting.code_bonus
    return weight + voting.confidence_bonus * confidence(sample)


def largest_weight(voting: VotingConfig, *, forced: bool = False) -> float:
    """The most that one more sample, or one more that is asked for its answer, can add to an answer."""
    return (voting.forced_weight if forced else 1.0) + voting.code_bonus + voting.confidence_bonus


def confidence(sample: Sample) -> float:
    """How sure the model was of its last tokens: their geometric mean probability, 0 where the engine did not tell.

    Bounded on purpose: weights like 1/entropy let one certain sample outvote four others.
    """
    return 0.0 if sample.tail_logprob is None else math.exp(min(0.0, sample.tail_logprob))


def code_agrees(sample: Sample, modulus: int | None = None) -> bool:
    """Whether what the last successful one of the sample's tool runs printed is its answer, by the edition's modulus.

    See `printed_integer`. Runs that failed print tracebacks and reasons, and no results.
    """
    outputs = [run.output for run in sample.tool_runs if run.status is ToolStatus.OK]
    printed = printed_integer(outputs[-1]) if outputs else None
    if printed is None or sample.answer is None:
        return False
    return sample.answer == (printed if modulus is None else printed % modulus)


def printed_integer(output: str) -> int | None:
    """The integer that the last line of an output states: `42`, `12,345`, `[42]`, `n = 42`, `The count for N=5 is 42`.

    It stands alone at the end of that line, a whole number as in a box, behind nothing or behind what is said to have
    this value and a colon, `=`, `->`, `is`, `are` or a word such as `answer`; but `There are 42 ways` states it, too.
    None where the line states anything else: a bound or an estimate, more numbers than one, a fraction, a formula, a
    float such as `1e5`, an error, what was tried, skipped or expected, or the rest of a line that was cut.
    """
    before, line = ["", *output.rstrip().rsplit("\n", 2)][-2:]
    return None if _CUT.search(before) or len(line) > MAX_CHARS else _stated(line.strip())


@lru_cache(maxsize=4_096)  # a vote is counted many times
def _stated(line: str) -> int | None:
    stated = _STATED.fullmatch(line)
    if stated is None or stated["close"] != _CLOSING.get(stated["open"], stated["open"]):
        return None
    label, sign, counted = stated["label"] or "", stated["sign"], stated["counted"] or ""
    if stated["end"].startswith("!") and not stated["word"]:
        return None  # a factorial
    if counted and not label.lower().endswith("there "):
        return None
    if label and not _LETTER.search(label):
        return parse_integer(line) if sign == "=" else None  # 6*7 = 42, but no row of a table (5: 42)
    return parse_integer(stated["number"]) if _is_settled(label, sign or "", counted) else None


def _is_settled(label: str, sign: str, counted: str) -> bool:
    """Whether what stands before a number only says whose value it is: in no doubt, and with no other value in it."""
    bare = _BRACKETED.sub("", label)
    another = _ANOTHER_SIDE if sign == "=" else _ANOTHER
    if _NO_RESULT.search(label + counted) or _RELATION.search(bare.replace("->", "")) or another.search(bare):
        return False
    words = _WORD.findall(_MODULUS.sub("", label + counted).lower())
    return not changes_value(["it", *words])  # as words inside a sentence are read
