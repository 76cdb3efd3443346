# A stranger needs two of these: `make run` and `make test`. Each installs what it needs first.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: run setup packages requirements check bench test test-processes endurance coverage

# Everything on this machine, with posts arriving by themselves; Ctrl-C ends it.
run: .venv/.run
	@$(BIN)/python -m integration.run

# Publishes a post in the demo that `make run` keeps going: make post TEXT="Hello". With EDGE_PORT: in that one of several.
.PHONY: post
post: .venv/.run
	@$(BIN)/python -m integration.post '$(subst ','\'',$(value TEXT))'

# What running needs is installed first, and what tests and checks need beside it on top. The stamps are newer than the
# requirements once they are all in, so both cost nothing the second time.
.venv/.run: requirements/run.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and \
	    "setup: Python 3.11 or newer is needed, and $(PYTHON) is older; name another: make run PYTHON=python3.13")'
	@$(PYTHON) -m integration.setup $<
	@touch $@

setup: .venv/.installed
.venv/.installed: requirements/dev.txt .venv/.run
	@$(PYTHON) -m integration.setup --compile $<
	@touch $@

# Debian's packages for what no container provides: brokers and database as plain processes, browsers for the tests.
# `run` and the tests install what they turn out to need of these by themselves, where they may.
packages:
	@$(PYTHON) -m integration.packages rabbitmq-server postgresql pgbouncer nginx haproxy caddy chromium firefox-esr

# Pins every dependency anew, with hashes and without download addresses.
requirements:
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
	    --upgrade pyproject.toml --output-file requirements/runtime.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
	    --upgrade --extra run --constraints requirements/runtime.txt pyproject.toml --output-file requirements/run.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
	    --upgrade --extra dev --constraints requirements/run.txt pyproject.toml --output-file requirements/dev.txt
	echo pip | uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	    --no-annotate --no-header --upgrade - --output-file requirements/pip.txt

# All tests, on containers where a Docker engine answers and else on plain processes. Three at a time: most of
# what they do is wait, and the files of one worker share its services.
test: setup browser
	$(BIN)/python -m pytest -n 3 --dist loadfile

# From a client's connection to a post's arrival once more, on plain processes.
test-processes: setup browser
	POSTCAST_SERVICES=processes $(BIN)/python -m pytest integration/test_end_to_end.py integration/test_crash.py

# What takes minutes and cannot take less: an outage long enough to see that memory stays where it is, and 10,000 clients.
endurance: setup
	$(BIN)/python -m pytest -m endurance --capture=no integration/test_endurance.py integration/test_comeback.py \
	    integration/test_tokens_that_end.py

# Which lines and branches the tests without brokers reach. Each core's own test module reaches all of it.
coverage: setup
	$(BIN)/python -m coverage run -m pytest tests
	$(BIN)/python -m coverage report

# The tests' browsers; where one cannot be installed they say what they lack.
.PHONY: browser
browser:
	@$(PYTHON) -m integration.packages chromium || true
	@$(PYTHON) -m integration.packages firefox-esr || true

# What CI runs before the tests, in CI's order.
check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

# Measures the worker and the edge against baselines of the same run, in some 45 minutes; PART=fanout measures that part
# alone (path, window, fanout, filters, compression, cores, latency, slow, comeback, replay, positions, storm, upheaval,
# idle, resting, scale, attack, outage, rebalance), PART="latency slow" these two. All but slow, which takes ten minutes
# by itself, are measured when none is named. Figures and plots are written to bench-results/;
# `.venv/bin/python -m integration.bench.page RESULT.json...` makes docs/performance.md of them.
bench: setup
	@$(BIN)/python -m integration.bench $(PART)

# The Autobahn test suite's groups on the edge's connection, where there is a Python 2.7: the suite runs on nothing newer.
# Where there is none it says so, and exits with 2.
.PHONY: autobahn
autobahn: setup
	@$(BIN)/python -m integration.autobahn

# Breaks everything that can break and sees whether a law breaks too. Without arguments: the checker's own
# mutants, and the seeds that deal every kind of fault once. SCHEDULES=200 SEED=0 runs as many from that seed on.
.PHONY: faults
faults: setup
	@$(BIN)/python -m integration.faults $(if $(SCHEDULES)$(SEED),,--mutants) \
	    $(if $(SCHEDULES),--schedules $(SCHEDULES)) $(if $(SEED),--seed $(SEED))

# Three real Kafka brokers with everything copied threefold: killed, restarted in turn, frozen, cut off from each other,
# and two of three gone, in ten minutes. It needs a Docker engine. ONLY="kills freeze" runs these alone, of: kills roll
# freeze cut_off too_few leaderless.
.PHONY: cluster
cluster: setup
	@$(BIN)/python -m integration.cluster $(ONLY)

# docs/asyncapi.json and docs/schemas/, of the messages' types.
.PHONY: schemas
schemas: setup
	@$(BIN)/python -m integration.schemas
