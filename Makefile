# Lockstep. `make demo` shows it; `make test` proves it; `make help` names the rest.

SHELL := /bin/sh
CARGO ?= cargo
NPM ?= npm
PYTHON ?= python3
TARGET := $(or $(CARGO_TARGET_DIR),target)

# The demo runs on a debug build: on a fresh machine that is minutes sooner than a release build, and
# SQLite itself is optimised in both. `make demo PROFILE=release` takes the other one.
PROFILE ?= dev
OUT := $(TARGET)/$(if $(filter dev,$(PROFILE)),debug,$(PROFILE))

UI_SOURCES := $(shell find ui -path ui/node_modules -prune -o -path "ui/dist*" -prune -o -type f -print 2>/dev/null)

.DEFAULT_GOAL := help
.PHONY: mutants network soak days pictures help setup setup-core demo build bench test check rust-check rust-test ui ui-check console types icons clean distclean

help: ## Names the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Installs what building and testing everything needs, the console included
	@sh tools/setup.sh core console tests
	@$(MAKE) --no-print-directory ui/node_modules/.package-lock.json

setup-core: ## Installs what the command and the demo need (no WebKit, no Node)
	@sh tools/setup.sh core

demo: setup-core ## Two servers, both written to, become one; with a proof
	$(CARGO) build --locked --profile $(PROFILE) -p lockstep-cli
	$(PYTHON) examples/scouting/demo.py --lockstep $(OUT)/lockstep

build: setup-core ## The `lockstep` command, as it is shipped
	$(CARGO) build --locked --release -p lockstep-cli
	@echo "built $(TARGET)/release/lockstep"

bench: setup-core ## What is claimed about speed, each figure beside its floor
	$(CARGO) run --locked --release -p lockstep-benches

audit: ## Licences, bans, sources and known faults of every library (needs cargo-deny)
	@$(CARGO) deny --version >/dev/null 2>&1 || { echo "audit: cargo-deny is missing: cargo install cargo-deny --locked"; exit 1; }
	$(CARGO) deny --all-features check licenses bans sources
	@if $(CARGO) deny --all-features fetch db >/dev/null 2>&1; then $(CARGO) deny --all-features check --disable-fetch advisories; \
	else echo "audit: the database of advisories can't be reached from here; known faults were not checked"; fi

SOAK ?= 120
KILLS ?= 500
soak: ## A bad line for SOAK seconds, agents killed KILLS times, and two that have nothing to do for a minute
	$(CARGO) build --locked -p lockstep-cli
	LOCKSTEP_SOAK=$(SOAK) LOCKSTEP_BIN="$(abspath $(TARGET))/debug/lockstep" \
		$(CARGO) test --locked -p lockstep-tests --test end_to_end -- proxy --nocapture
	LOCKSTEP_KILLS=$(KILLS) LOCKSTEP_BIN="$(abspath $(TARGET))/debug/lockstep" \
		$(CARGO) test --locked -p lockstep-tests --test end_to_end -- killed_at_any_moment --nocapture
	LOCKSTEP_IDLE=60 $(CARGO) test --locked -p lockstep-node --test idle -- --nocapture

network: ## Two agents on a network of their own that is cut, slow and renumbered (Linux, network namespaces)
	$(CARGO) build --locked -p lockstep-cli
	LOCKSTEP_BIN="$(abspath $(TARGET))/debug/lockstep" $(CARGO) test --locked -p lockstep-tests --test network

# The order matters: what fails soonest comes first, and the console can only be compiled when the
# pages that it embeds have been built.
test: check rust-test ## Formatting, lints, pages, console, and every test

check: rust-fmt ui-check rust-check ## All of it but the Rust tests

.PHONY: rust-fmt
rust-fmt:
	$(CARGO) fmt --all --check

# One selection of packages and features throughout, so that nothing is compiled twice. With `stops` tests can kill the
# command at named points; what is shipped is built without.
TESTED := --workspace --features lockstep-tests/stops

rust-check: ui/dist/index.html
	$(CARGO) clippy --locked $(TESTED) --all-targets -- -D warnings

rust-test: ui/dist/index.html
	$(CARGO) build --locked $(TESTED)
	xvfb-run --auto-servernum dbus-run-session -- node --test tests/console/
	cd examples/scouting && PYTHONDONTWRITEBYTECODE=1 $(PYTHON) -m unittest
	$(CARGO) test --locked $(TESTED) --doc
	LOCKSTEP_BIN="$(abspath $(TARGET))/debug/lockstep" $(CARGO) test --locked $(TESTED) --lib --bins --tests

days: ## Many more bad days and random schedules than `make test` has (SEEDS=2000 days)
	LOCKSTEP_SEEDS=$(or $(SEEDS),2000) LOCKSTEP_THREE_DAYS=50 $(CARGO) test --locked -p lockstep-tests --test simulation -- --nocapture
	LOCKSTEP_SEEDS=$(or $(SEEDS),2000) $(CARGO) test --locked -p lockstep-engine --test properties -- --nocapture
	LOCKSTEP_WORLDS=1 $(CARGO) test --locked -p lockstep-engine --test small_worlds -- --nocapture

mutants: ## Puts deliberate faults into a copy, one by one: the tests have to notice each
	$(PYTHON) tests/mutants/run.py

ui: ui/dist/index.html ## The console's pages

ui-check: ui/dist/index.html
	cd ui && $(NPM) run --silent check && $(NPM) test --silent && $(NPM) run --silent browser
	ui/node_modules/.bin/prettier --log-level warn --print-width 110 --check tests/console

pictures: ui/node_modules/.package-lock.json ## Takes the pictures of the console in docs/ anew
	cd ui && $(NPM) run --silent pictures

console: ## Opens the console on two example servers (LOCKSTEP_HOME=DIR make console: on a node of your own)
	@sh tools/setup.sh core console
	@$(MAKE) --no-print-directory ui/dist/index.html
	$(CARGO) build --locked --profile $(PROFILE) -p lockstep-cli -p lockstep-console
ifdef LOCKSTEP_HOME
	$(OUT)/lockstep-console
else
	$(PYTHON) examples/scouting/console.py --lockstep $(OUT)/lockstep --console $(OUT)/lockstep-console
endif

# The package holds the console, the command and its service. `make package PROFILE=dev` packs a debug build.
PACKED := $(if $(filter command line environment,$(origin PROFILE)),$(PROFILE),release)
.PHONY: package
package: ## A .deb of console, command and service (BUNDLES=deb,appimage,nsis,dmg where the system has their tools)
	@sh tools/setup.sh core console
	@$(MAKE) --no-print-directory ui/dist/index.html
	sh packaging/package.sh $(PACKED) $(or $(BUNDLES),deb)

types: ## Writes the page's types anew from the Rust that answers it
	LOCKSTEP_BLESS=1 $(CARGO) test --locked -p lockstep-console --lib types

icons: ## Draws the icons anew from their SVG
	sh icons/draw.sh

ui/node_modules/.package-lock.json: ui/package.json ui/package-lock.json
	cd ui && $(NPM) ci --no-fund --no-audit
	@touch $@

ui/dist/index.html: ui/node_modules/.package-lock.json $(UI_SOURCES)
	cd ui && $(NPM) run --silent build
	@touch $@

clean: ## Removes what was built; node_modules and your databases stay
	$(CARGO) clean
	rm -rf ui/dist ui/dist-scripted .demo .console

distclean: clean ## And node_modules
	rm -rf ui/node_modules
