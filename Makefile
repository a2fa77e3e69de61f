# Everything a contributor needs. `make` alone lists it; .ci/run calls the same targets.

.DEFAULT_GOAL := help
.PHONY: help demo dashboard example-orders example-services test test-tls test-acl test-tls-acl test-cluster test-monitoring test-browser test-postgres screenshots test-features test-versions fuzz chaos soak lua lua-lint lint format clippy doc examples benches bench bench-smoke bench-compare redis clean

# Not --all-features: `tls-native` needs the headers of OpenSSL, which are not on every machine; `test-features` has it.
features = --features memory,metrics,opentelemetry,tls-rustls,tower

# Finds a Redis server, or fetches a private one; it starts none, and touches none that runs.
with_redis = OXCART_REDIS_SERVER="$$(.ci/redis-server.sh)" && export OXCART_REDIS_SERVER &&

# The same for PostgreSQL.
with_postgres = OXCART_POSTGRES="$$(.ci/postgres-server.sh)" && export OXCART_POSTGRES &&

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## The main job, for real: make demo, or make demo DIR=path
	@$(with_redis) cargo run --release --example demo -- $${DIR:+"$$DIR"}

# All that is asked for, or what ONLY names.
tests = $(if $(ONLY),cargo test --no-fail-fast $(1) $(ONLY),.ci/test.sh $(1))

dashboard: ## A living dashboard in a browser; LEFT=1: of what the demo has left; PORT=n
	@$(with_redis) cargo run --release --package oxcart-dashboard --example living -- $(if $(LEFT),target/demo-left)

example-orders: ## An order service with PostgreSQL, in two processes that are killed; it checks its sums at the end
	@$(with_redis) $(with_postgres) cargo run --release --package oxcart-postgres --example orders

example-services: ## An order flow over three services that are killed, with all that is between services; it checks itself at the end
	@$(with_redis) cargo run --release --package services

test: ## Every test: unit, integration, documentation, the short fault battery
	@$(with_redis) $(with_postgres) $(call tests,--workspace $(features))

# What the environment asks the tests for stands in tests/support/road.rs. The CA is trusted by the tests alone, and not
# by cargo, which may have to fetch something.
over_tls = --config 'env.OXCART_TEST_TLS="1"' \
	--config 'env.SSL_CERT_FILE.value="$(CURDIR)/target/test-certificates/ca.pem"' --config env.SSL_CERT_FILE.force=true
as_acl_user = --config 'env.OXCART_TEST_ACL="1"'

test-tls: ## Every test over TLS; ONLY='--test api' for some
	@$(with_redis) $(call tests,$(features) $(over_tls))

test-acl: ## Every test as a user with the access rules of docs/security.md; ONLY=.. for some
	@$(with_redis) $(call tests,$(features) $(as_acl_user))

test-tls-acl: ## Both at once; ONLY=.. for some
	@$(with_redis) $(call tests,$(features) $(over_tls) $(as_acl_user))

test-cluster: ## Every test at servers that are clusters of one node each; ONLY=.. for some. It says which tests it skips
	@$(with_redis) $(call tests,$(features) --config 'env.OXCART_TEST_CLUSTER="1"')

test-monitoring: ## The alert rules, the Grafana dashboard and the text of /metrics, with Prometheus's promtool
	@$(with_redis) OXCART_PROMTOOL="$$(.ci/promtool.sh)" && export OXCART_PROMTOOL && \
		"$$OXCART_PROMTOOL" check rules docs/monitoring/oxcart.rules.yml && \
		"$$OXCART_PROMTOOL" test rules docs/monitoring/oxcart.test.yml && \
		cargo test $(features) --test metrics && cargo test -p oxcart-dashboard --test dashboard metrics_are_there

# The browser is asked for, and not started, where BROWSER=none leaves it out.
in_browser = if [ "$$BROWSER" != none ]; then \
		OXCART_CHROMIUM="$$(.ci/chromium.sh)" && OXCART_AXE="$$(.ci/axe.sh)" && export OXCART_CHROMIUM OXCART_AXE || exit 1; \
		cargo build --quiet -p oxcart-cli && export OXCART_PROGRAM="$${CARGO_TARGET_DIR:-$(CURDIR)/target}/debug/oxcart" || exit 1; fi;

test-browser: ## The dashboard in a headless Chromium; ONLY=living for some, BROWSER=none for none
	@$(with_redis) $(in_browser) cargo test -p oxcart-dashboard --test browser -- $(ONLY)

screenshots: ## Pictures of the dashboard, in docs/pictures
	@$(with_redis) $(in_browser) OXCART_PICTURES="$(CURDIR)/docs/pictures" cargo test -p oxcart-dashboard --test browser

test-postgres: ## The tests with PostgreSQL, in their long form; ONLY='--test outbox' for some
	@$(with_redis) $(with_postgres) POSTGRES=full cargo test --release -p oxcart-postgres $(ONLY)

test-features: ## Each feature alone, and the library without any
	@$(with_redis) .ci/features.sh

test-versions: ## Build with the oldest Rust and the oldest dependencies that Cargo.toml names
	@.ci/versions.sh

chaos: ## The fault battery: SHORT=1 for less of each, ONLY=name,.. for some, SEED=n to repeat
	@$(with_redis) CHAOS=$(if $(SHORT),short,full) cargo test $(if $(SHORT),,--release) $(features) --test chaos

soak: ## Looks for what grows, for 30 minutes or MINUTES=n; draws target/soak.svg
	@$(with_redis) CHAOS=soak cargo test --release $(features) --test chaos

fuzz: ## Random sequences against both stores until stopped; OXCART_SEED=n repeats one
	@$(with_redis) OXCART_SEQUENCES=$${OXCART_SEQUENCES:-18446744073709551615} \
		cargo test --lib $(features) random:: -- --nocapture

lua: ## The scripts as Redis gets them, in target/lua; VERB=advance prints one
	@cargo test --quiet --lib $(features) scripts_are_written > /dev/null
	@$(if $(VERB),cat target/lua/$(VERB).lua,ls target/lua/*.lua)

lua-lint: lua ## Selene reads the scripts
	@cargo run --quiet --manifest-path .ci/lua-lint/Cargo.toml --target-dir target/lua-lint -- target/lua/*.lua

lint: format clippy doc lua-lint ## Format, clippy, rustdoc, and selene for Lua; any warning fails

format: ## Is the code formatted? (cargo fmt formats it)
	cargo fmt --all --check
	cargo fmt --check --manifest-path benches/compare/Cargo.toml
	cargo fmt --check --manifest-path .ci/lua-lint/Cargo.toml

clippy: ## Clippy on every target, and on the library without any feature
	cargo clippy --workspace --all-targets $(features) -- -D warnings
	cargo clippy --no-default-features -- -D warnings

doc: ## The documentation, in target/doc
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps -p oxcart -p oxcart-dashboard -p oxcart-alerts -p oxcart-postgres $(features)

examples: ## Build every example
	cargo build --examples $(features)

benches: ## Run every benchmark once, without optimising: does it still work?
	@$(with_redis) cargo bench --bench '*' $(features) --profile dev -- --test

bench: ## Run the benchmarks: enqueue, claim-settle, round trip, scripts, codec, groups, topics, metrics
	@$(with_redis) cargo bench --bench '*' $(features)

bench-smoke: ## Count commands and bytes a job; they must not grow (part of make test)
	@$(with_redis) cargo test $(features) --test cost -- --nocapture

bench-compare: ## Beside other queues: QUICK=1, PEERS=a,b, ROWS=a,b, RUNS=n, ADD=1, DOCS=1
	@$(with_redis) cargo run --release --manifest-path benches/compare/Cargo.toml --target-dir target/bench-compare

redis: ## Make sure of a Redis server, and print its path
	@.ci/redis-server.sh

clean: ## Remove target, with the private Redis in it
	cargo clean
