# make demo   a whole swap under live traffic, in one process, on loopback
# make test   installs what the tests need, then runs every check and test
# make test-go  the API server against a controller on client-go (fetches Go)
# make bench  the figures, one line each
# make lint   format, lints and documentation alone

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

CARGO ?= cargo
PYTHON ?= python3
VENV := .venv

# Tests find other people's clients by these names; nothing else is assumed.
export OKRA_PYTHON := $(CURDIR)/$(VENV)/bin/python
export OKRA_AWS := $(CURDIR)/$(VENV)/bin/aws
export OKRA_MOTO := $(CURDIR)/$(VENV)/bin/moto_server
export OKRA_KUBECTL ?= kubectl
export OKRA_REDIS ?= redis-server
export OKRA_PROMETHEUS ?= $(shell command -v prometheus || echo $(CURDIR)/$(VENV)/prometheus/usr/bin/prometheus)

.PHONY: help demo test test-go bench lint check-toolchain tools clean

help:
	@sed -n 's/^# \(make .*\)/\1/p' $(firstword $(MAKEFILE_LIST))

check-toolchain:
	@command -v $(CARGO) >/dev/null || { echo "okra is built with Rust: install cargo (https://rustup.rs), then run this again." >&2; exit 1; }
	@command -v cc >/dev/null || { echo "== installing a C compiler (SQLite and the TLS library need one)"; apt-get update -qq && apt-get install -y -qq gcc libc6-dev; }

demo: check-toolchain
	@echo "== building okra (release); the first time this compiles some 400 crates and takes a few minutes"
	$(CARGO) run --release --locked -p okra -- demo $(ARGS)

# Most tests wait for somebody: twice as many at a time as there are processors.
export RUST_TEST_THREADS ?= $(shell echo $$((2 * $$(nproc))))

# One profile only: the release build is for the demo and the benchmarks.
test: check-toolchain tools lint
	@echo "== building and running all tests"
	$(CARGO) build --workspace --all-targets --locked
	$(CARGO) test --workspace --locked

test-go: check-toolchain
	@echo "== building a controller on client-go; the first time this fetches some 70 MB of Debian packages"
	@crates/apiserver/tests/go/build.sh $(CURDIR)/.go
	OKRA_GO_CLIENT=$(CURDIR)/.go/client $(CARGO) test --locked -p okra-apiserver --test client_go

lint: check-toolchain
	@echo "== format"
	$(CARGO) fmt --all --check
	@echo "== lints"
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings

# One build for all of them: picked package by package, each would build its
# dependencies anew with other features.
bench: check-toolchain
	@echo "== building the benchmarks (release)"
	@$(CARGO) bench --locked -q --workspace --bench plan --bench load --bench loadbalancer --bench cells \
		--bench evaluate --bench abort --bench undo --bench analysis

tools: $(VENV)/.installed
	@command -v $(OKRA_KUBECTL) >/dev/null || { echo "== installing kubectl"; apt-get update -qq && apt-get install -y -qq kubernetes-client; }
	@command -v $(OKRA_REDIS) >/dev/null || { echo "== installing Redis"; apt-get update -qq && apt-get install -y -qq redis-server; }
	@test -x "$(OKRA_PROMETHEUS)" || { echo "== unpacking Prometheus for the tests (it is not installed, so nothing starts it)"; mkdir -p $(VENV)/prometheus && cd $(VENV)/prometheus && { apt-get download -qq prometheus || { apt-get update -qq && apt-get download -qq prometheus; }; } && dpkg-deb -x prometheus_*.deb . ; }

$(VENV)/.installed: tests/requirements.txt
	@echo "== installing the AWS command, boto3, moto and the Kubernetes client for the tests"
	@$(PYTHON) -m venv $(VENV) 2>/dev/null || { apt-get update -qq && apt-get install -y -qq python3-venv && $(PYTHON) -m venv $(VENV); }
	@$(VENV)/bin/pip install --quiet --disable-pip-version-check -r tests/requirements.txt
	@touch $@

clean:
	rm -rf target $(VENV) .go
