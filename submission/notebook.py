# %% [markdown]
# # An AIMO agent: many solutions, real Python, one vote
#
# Olympiad problems have an answer that is an integer, and a language model that reasons at length often finds it, but
# not reliably. This notebook makes the most of such a model in the hours that a submission has:
#
# 1. **Sample.** Several solutions of the same problem are written at once, each in a lane of its own.
# 2. **Calculate.** When a lane writes a Python block, the block is run in a sandbox and the lane reads its output.
# 3. **Vote.** Each finished lane votes with its last `\boxed{}`. No answer is no vote, and never a 0.
# 4. **Stop.** A problem is closed as soon as its leader cannot be caught, or leads by a margin.
# 5. **Budget.** Time that an easy problem leaves over goes to the next ones. When the time of a problem is up, the
#    unfinished lanes are forced to answer.
#
# Everything is here: the configuration, the source of the agent, and the cells that check and run it. The
# notebook needs no internet. It is built from a repository by one command, and the same commit gives the same bytes.
#
# **How to read it.** *Configuration* holds every setting. *The agent* is its source, a file a cell, in the order in
# which data flows; begin with `agent/types.py` for the vocabulary, and `agent/solver.py` for how one problem is
# solved. *Set-up* and *Answers* are the run itself.

# %% [markdown]
# ## Configuration
#
# `PROFILE` names a whole set-up of the agent: engine, sampling, voting, stopping, budget, sandbox. The profiles are
# the `.toml` files further down, and any single key can be overridden in `SETTINGS`, as in `{"sample.count": 16}`.
# With `"auto"` the notebook looks at the attached models and at the GPUs, and takes the profile that was made for both,
# or computes how many lanes fit. It says what it took; where nothing fits, an interactive run ends with the reason.

# %% tags=["parameters"]
import time

STARTED = time.monotonic()  # the time limit counts from here

EDITION = "aimo3"  # the competition, by the name of its rules in agent/editions.py
PROFILE = "auto"  # the set-up of the agent
MODEL = ""  # the path of the model below /kaggle/input, or a part of it; "" for one of those that are attached
SOURCES: list[str] = []  # Kaggle's names of the attached models, the preferred one first
SETTINGS: dict[str, object] = {}  # single keys of the profile
STAND_IN: dict[str, object] = {}  # set by a rehearsal alone: keys of the engine that takes the place of the GPU's
LOAD_SECONDS = 0.0  # set by a rehearsal alone: for how long that engine plays to load
FALLBACK = 0  # the answer where no lane of a problem voted in time
MARGIN_SECONDS = 600.0  # left unused of the competition's time limit
PROBLEMS = ("reference.csv", "test.csv", "train.csv")  # what an interactive run answers: the first that is mounted

# %% [markdown]
# ## The agent
#
# Each cell writes one file below `/kaggle/working/aimo_agent`; what runs inside the sandbox, the arithmetic of GPUs,
# the check of the model, the counting of money and the engine on the CPU are packed into one cell, because Kaggle takes
# no notebook of a megabyte. The last cell of this part checks all of them against their SHA-256 digests, and names
# those that are not what the repository holds.

# %% tags=["modules"]

# %% [markdown]
# ## Set-up
#
# The agent does not touch the packages of the Kaggle image, and does not depend on their versions: its wheels are
# installed from an attached dataset into an environment of its own, and it runs there as a process of its own, the
# worker. If the worker dies, hangs or runs out of memory, this notebook replaces it and continues.

# %%
import sys
from functools import partial
from pathlib import Path

CODE = Path.cwd() / "aimo_agent"
sys.path.insert(0, str(CODE))

from agent.problems.reader import load_problems
from submission.competitions import competition_of
from submission.serving.evaluation import serve_predict
from submission.serving.mounts import find_csv, find_wheels
from submission.serving.predictor import make_predict
from submission.serving.session import open_predictor, report

competition = competition_of(EDITION)
wheels = find_wheels()
csv = find_csv(competition.slug, *PROBLEMS) or CODE / "agent" / "problems" / "data" / "starter.csv"
read_problems = partial(load_problems, csv)  # a scored run gets its problems from Kaggle's gateway instead

print("wheels:", wheels or "none attached, so the packages of this image are used")
print("problems of an interactive run:", csv)

# %% [markdown]
# ## Answers
#
# The worker starts now, in the background: it installs the wheels and loads the model, while the server below listens
# at once. Kaggle's gateway gives up on a notebook that does not listen within 15 minutes, but waits for its first
# answer. Then it hands over one problem at a time. Whatever happens in the worker, `predict` answers: with the best
# vote so far, or with `FALLBACK`.

# %%
predictor, notes = open_predictor(
    competition,
    profile=PROFILE,
    model=MODEL,
    sources=SOURCES,
    settings={"edition": EDITION, **SETTINGS},
    stand_in=STAND_IN,
    load_seconds=LOAD_SECONDS,
    wheels=wheels,
    started=STARTED,
    margin_seconds=MARGIN_SECONDS,
    fallback=FALLBACK,
    load=read_problems,
)
predict = make_predict(predictor)

# %%
serve_predict(predict, competition, read_problems)

# %% [markdown]
# ## Results
#
# A line above says how each problem was answered and what the answer rests on. Where the answers are known, they are
# compared here. `run-page.html` has the run on one page: the parts of the start with their seconds, each problem, what
# the fallback answered and why, engine events, memory. What is logged where, also if the run is cut short:
#
# | file | what it holds |
# |---|---|
# | `run-page.html` | that page, written anew after each answer |
# | `run/predictor.jsonl` | how each problem was answered, with its warnings |
# | `run/journal.jsonl` | every lane in full, engine events, the check of the model |
# | `run/notebook.jsonl` | the parts of the start, and the most memory in use |
# | `run/config.toml` | the resolved configuration |
# | `run/worker.log`, `run/engine.log` | what the worker and the engine's server print |

# %%
report(predictor, notes, read_problems, competition)
