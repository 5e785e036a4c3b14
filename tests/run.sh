#!/usr/bin/env bash
# Everything that shows a checkout to be sound, in one command: bash tests/run.sh
#
# Each stage prints its name, its outcome and its seconds; a stage that fails does not hide the ones behind it. The last
# line is "N passed, N failed, N skipped": cargo's tests and the stages themselves, added up. It ends with 0 only when
# nothing failed. After the packages are fetched (first stage) cargo uses no network.
#
# CARGO_TARGET_DIR is respected. Stages can be chosen by name: bash tests/run.sh fmt tests
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
target="${CARGO_TARGET_DIR:-target}"
logs="$target/run-logs"
mkdir -p "$logs"
export CARGO_TERM_COLOR="${CARGO_TERM_COLOR:-never}"

passed=0 failed=0 skipped=0
chosen=("$@")
SKIP=77 # a stage that ends with this could not run here; its last line says why

wanted() {
  [ ${#chosen[@]} -eq 0 ] && return 0
  local name
  for name in "${chosen[@]}"; do [ "$name" = "$1" ] && return 0; done
  return 1
}

# stage NAME COMMAND...: runs it, keeps its output, prints one line about it.
stage() {
  local name=$1 log="$logs/$1.log" started=$SECONDS code=0
  shift
  wanted "$name" || return 0
  printf '\n== %s: %s\n' "$name" "$*"
  ( set -euo pipefail; "$@" ) 2>&1 | tee "$log" || code=$?
  local seconds=$((SECONDS - started))
  case $code in
    0) passed=$((passed + 1)); printf -- '-- %s: passed in %s s\n' "$name" "$seconds" ;;
    "$SKIP") skipped=$((skipped + 1)); printf -- '-- %s: SKIPPED after %s s: %s\n' "$name" "$seconds" "$(tail -n 1 "$log")" ;;
    *) failed=$((failed + 1)); printf -- '-- %s: FAILED (%s) after %s s, see %s\n' "$name" "$code" "$seconds" "$log" ;;
  esac
}

# need COMMAND PACKAGE: installs what is missing where that is allowed.
need() {
  command -v "$1" > /dev/null && return 0
  if [ "$(id -u)" -eq 0 ] && command -v apt-get > /dev/null; then
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$2"
  fi
  command -v "$1" > /dev/null || { echo "$1 is missing and could not be installed (package $2)"; return 1; }
}

tools() {
  need cc build-essential
  need openssl openssl
  cargo --version
  # Nothing is asked of the network where everything in the lock file is here already.
  cargo fetch --locked
}

fmt() {
  cargo fmt --all --check
}

# Benches are compiled here too (--all-targets), and not built a second time.
clippy() {
  cargo clippy --workspace --all-targets --locked --offline -- -D warnings
}

tests() {
  cargo test --workspace --locked --offline --no-fail-fast
}

tongdao() {
  cargo run --quiet --locked --offline -- "$@"
}

has_command() {
  grep -q "^  $1 " <<< "$(tongdao --help 2> /dev/null)"
}

demo() {
  has_command demo || { echo "this build has no demo command"; return "$SKIP"; }
  timeout 300 cargo run --quiet --locked --offline -- demo --seconds 30
}

deny() {
  command -v cargo-deny > /dev/null || { echo "cargo-deny is not installed"; return "$SKIP"; }
  cargo deny --locked --offline check bans licenses sources
  # Advisories live in a database that is fetched; without the network the rest stands.
  cargo deny --locked check advisories 2>&1 | tee "$logs/advisories.log" && return 0
  grep -q 'failed to fetch advisory database' "$logs/advisories.log" || return 1
  echo "the advisory database could not be fetched: bans, licences and sources were checked, advisories were not"
}

# Packages and tools that others wrote judge our signatures, against a running daemon and its sandbox.
peers() {
  need python3 python3
  need node nodejs
  need npm npm
  need curl curl
  cargo build --quiet --locked --offline
  TONGDAO_BIN="$(realpath "$target")/debug/tongdao" bash tests/peers/run.sh
}

stage tools tools
stage fmt fmt
stage clippy clippy
stage tests tests
stage demo demo
stage deny deny
stage peers peers

# Adds "N passed, N failed, N skipped" found on lines of a log; an ignored test is a skipped one.
add_counts() {
  local ran broke left
  wanted "$1" && [ -e "$logs/$1.log" ] || return 0
  read -r ran broke left < <(awk -v lines="$2" '$0 ~ lines {
      for (n = 2; n <= NF; n++) {
        if ($n ~ /^passed/) ran += $(n - 1)
        if ($n ~ /^failed/) broke += $(n - 1)
        if ($n ~ /^(ignored|skipped)/) left += $(n - 1)
      }
    } END { print ran + 0, broke + 0, left + 0 }' "$logs/$1.log")
  passed=$((passed + ran)) failed=$((failed + broke)) skipped=$((skipped + left))
}
add_counts tests '^test result:'
add_counts peers '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$'

printf '\n%s s in all\n' "$SECONDS"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
