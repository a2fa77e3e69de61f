#!/usr/bin/env bash
# Every test: .ci/test.sh cargo-options. The tests wait most of the time: for leases to end, for a Redis to come back. So more
# of them run at once than there are cores, and the fault battery, which takes as long as all others together, runs beside
# them. What it says is shown at the end.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

cores=$(getconf _NPROCESSORS_ONLN)
export RUST_TEST_THREADS="${RUST_TEST_THREADS:-$((2 * cores))}"
said=target/fault-battery.log

cargo test "$@" --no-run || exit 1
CHAOS="${CHAOS:-short}" cargo test "$@" --quiet --test chaos >"$said" 2>&1 &
battery=$!
trap 'kill "$battery" 2>/dev/null' EXIT
CHAOS=none cargo test "$@" --no-fail-fast
others=$?
printf '\n=== The fault battery, which ran beside these\n'
wait "$battery"
result=$?
cat "$said"
exit $((others != 0 || result != 0))
