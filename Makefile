# One short word for each chore. `make test` is everything, and installs what it needs.

CARGO ?= cargo
TOOLS := $(CURDIR)/.cache/tools
DENY_VERSION := 0.20.2
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

.PHONY: check test build demo format lint unit doc deny prometheus tools deny-tool

# Fast: format, lints, tests on loopback, docs, dependencies. About a minute once built.
check: format lint unit doc deny

# Everything: the above, and the release build under a real Prometheus.
test: tools check prometheus

build:
	$(CARGO) build --release --locked

demo:
	$(CARGO) run --release --locked -- demo

format:
	$(CARGO) fmt --check

lint:
	$(CARGO) clippy --locked --all-targets -- -D warnings

unit:
	$(CARGO) test --locked --lib --bins --test simulator --test exporter --test budget --test records

doc:
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps --document-private-items

# Advisories are left out: their database is no part of a package registry.
deny: deny-tool
	PATH="$(TOOLS)/bin:$$PATH" $(CARGO) deny --locked check bans licenses sources

# Prometheus and promtool must be on the path: `make tools` installs Debian's.
prometheus:
	$(CARGO) test --release --locked --test prometheus

tools: deny-tool
	command -v prometheus promtool >/dev/null || { \
		$(SUDO) apt-get update -qq && $(SUDO) apt-get install -y -qq --no-install-recommends prometheus; }

deny-tool:
	[ -x "$(TOOLS)/bin/cargo-deny" ] || \
		$(CARGO) install --quiet --locked --root "$(TOOLS)" cargo-deny@$(DENY_VERSION)
