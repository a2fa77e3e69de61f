# Everything a contributor needs. `make` alone lists it; .ci/run calls the same targets.

.DEFAULT_GOAL := help
.PHONY: help demo test fuzz lint format clippy doc examples benches bench redis clean

# Finds a Redis server, or fetches a private one; it starts none, and touches none that runs.
with_redis = OXCART_REDIS_SERVER="$$(.ci/redis-server.sh)" && export OXCART_REDIS_SERVER &&

help: ## This list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## The main job, for real: make demo, or make demo DIR=path
	@$(with_redis) cargo run --release --example demo -- $${DIR:+"$$DIR"}

test: ## Every test: unit, integration, documentation
	@$(with_redis) cargo test --all-features --no-fail-fast

fuzz: ## Random sequences against both stores until stopped; OXCART_SEED=n repeats one
	@$(with_redis) OXCART_SEQUENCES=$${OXCART_SEQUENCES:-18446744073709551615} \
		cargo test --lib --all-features random:: -- --nocapture

lint: format clippy doc ## Format, clippy and rustdoc; any warning fails

format: ## Is the code formatted? (cargo fmt formats it)
	cargo fmt --check

clippy: ## Clippy on every target and feature, and on the library without any
	cargo clippy --all-targets --all-features -- -D warnings
	cargo clippy -- -D warnings

doc: ## The documentation, in target/doc
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --all-features

examples: ## Build every example
	cargo build --examples --all-features

benches: ## Build every benchmark, without optimising: does it compile?
	cargo bench --no-run --all-features --profile dev

bench: ## Run the benchmarks
	$(with_redis) cargo bench --all-features

redis: ## Make sure of a Redis server, and print its path
	@.ci/redis-server.sh

clean: ## Remove target, with the private Redis in it
	cargo clean
