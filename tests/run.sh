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
  # Not behind `||` or `if`: there bash would let a stage go on past its first failure.
  set +e
  (set -euo pipefail; "$@") 2>&1 | tee "$log"
  code=${PIPESTATUS[0]}
  set -e
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

# Thirty thousand charges in worlds where everything goes wrong, with the binary that the tests left behind.
sim() {
  cargo test --quiet --locked --offline -p tongdao --test sim -- --charges 30000 --jobs "$(nproc)"
}

# Defects on purpose: the simulation must see every one of them.
defects() {
  cargo test --quiet --locked --offline -p tongdao --test sim --features planted -- --defects --jobs "$(nproc)"
}

# The built-in configuration as a stranger meets it: the daemon starts in an empty directory, makes its keys, answers, and
# leaves an intact journal. Only its ports are moved, so that a daemon on the usual ones is not in the way.
config() {
  cargo build --quiet --locked --offline
  binary="$(realpath "$target")/debug/tongdao"
  scratch="$(mktemp -d)" daemon=
  trap 'if [ -n "$daemon" ]; then kill "$daemon" 2> /dev/null || true; fi; rm -rf "$scratch"' EXIT
  cp config/default.toml "$scratch/"
  cd "$scratch"
  local base
  base="$(free_ports 6)"
  local at=127.0.0.1
  export TONGDAO__SERVER__PUBLIC_LISTEN="$at:$base" TONGDAO__SERVER__ADMIN_LISTEN="$at:$((base + 1))"
  export TONGDAO__SERVER__PUBLIC_URL="http://$at:$base" TONGDAO__SANDBOX__CONTROL="$at:$((base + 2))"
  export TONGDAO__SANDBOX__LISTEN__WECHATPAY="$at:$((base + 3))" TONGDAO__SANDBOX__LISTEN__ALIPAY="$at:$((base + 4))"
  export TONGDAO__SANDBOX__LISTEN__UNIONPAY="$at:$((base + 5))"
  export TONGDAO__CHANNELS__WECHAT_MAIN__WECHATPAY__BASE_URL="http://$at:$((base + 3))"
  export TONGDAO__CHANNELS__ALIPAY_MAIN__ALIPAY__GATEWAY_URL="http://$at:$((base + 4))/gateway.do"
  local name
  for name in FRONT_URL:gateway/api/frontTransReq.do APP_URL:gateway/api/appTransReq.do BACK_URL:gateway/api/backTransReq.do \
    QUERY_URL:gateway/api/queryTrans.do FILE_URL:; do
    export "TONGDAO__CHANNELS__UNIONPAY_MAIN__UNIONPAY__${name%%:*}=http://$at:$((base + 5))/${name#*:}"
  done
  "$binary" serve > daemon.log 2>&1 &
  daemon=$!
  for _ in $(seq 100); do
    "$binary" status > /dev/null 2>&1 && break
    kill -0 "$daemon" 2> /dev/null || break
    sleep 0.2
  done
  "$binary" status || { cat daemon.log; return 1; }
  "$binary" config check default.toml
  "$binary" config print default.toml > printed.toml
  "$binary" charge create --amount 19.99 --order order-1
  "$binary" charge trace order-1
  "$binary" check --offline
  kill "$daemon"
  wait "$daemon"
  daemon=
  "$binary" journal verify
}

# The first of so many ports in a row on which nobody answers.
free_ports() {
  local base port
  while true; do
    base=$((20000 + RANDOM % 12000))
    for port in $(seq "$base" $((base + $1 - 1))); do
      if (exec 3<> "/dev/tcp/127.0.0.1/$port") 2> /dev/null; then continue 2; fi
    done
    echo "$base"
    return 0
  done
}

# A minute of business with everything going wrong; it fails unless three books agree to the fen.
demo() {
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
stage sim sim
stage defects defects
stage config config
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
add_counts sim '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$'
add_counts defects '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$'
add_counts peers '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$'

printf '\n%s s in all\n' "$SECONDS"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
