#!/usr/bin/env bash
# Judges of our signatures that nobody of this project wrote: packages from PyPI and npm, and the openssl command. They act
# as merchants of the sandbox, as providers and as merchants of the daemon. Prints a line per check and a count at the end;
# exits 1 on any failure. A peer whose packages cannot be had without the network is skipped, loudly and counted.
# TONGDAO_BIN names the binary; without it the debug binary is built. Needs bash, curl, openssl 3, python3 and node.
set -uo pipefail
[[ ${TONGDAO_BIN:-/} == /* ]] || TONGDAO_BIN=$PWD/$TONGDAO_BIN
cd "$(dirname "$0")"
. ./start.sh

if [[ -z ${TONGDAO_BIN:-} ]]; then
  (cd ../.. && cargo build --quiet --locked --bin tongdao) || exit 1
  target=${CARGO_TARGET_DIR:-target}
  [[ $target == /* ]] || target="../../$target"
  TONGDAO_BIN=$target/debug/tongdao
fi
work=$(mktemp -d)
trap 'stop_daemon; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
lines="$work/lines"
tell() { tee -a "$lines"; }

# An install that fails is a failure, unless the registry itself cannot be reached.
install_python() {
  local stamp=.venv/installed
  cmp -s requirements.txt "$stamp" && return 0
  python3 -m venv .venv && .venv/bin/pip install -q --disable-pip-version-check --retries 1 --timeout 10 -r requirements.txt >"$work/install-python.log" 2>&1 &&
    cp requirements.txt "$stamp"
}
install_node() {
  local stamp=node_modules/installed
  cmp -s package-lock.json "$stamp" && return 0
  npm ci --no-audit --no-fund --fetch-retries=1 --fetch-timeout=30000 >"$work/install-node.log" 2>&1 && cp package-lock.json "$stamp"
}
# Where the tool itself is missing nothing is skipped: that is a fault of the machine, not of the network.
reach_python() {
  [[ -x .venv/bin/pip ]] || return 0
  timeout 20 .venv/bin/pip download -q --no-deps -d "$work" standardwebhooks==1.1.0 >/dev/null 2>&1
}
reach_node() { ! command -v npm >/dev/null || timeout 20 npm ping >/dev/null 2>&1; }

# peer LANGUAGE FILE: runs one peer; what ends without a word is a failure too.
peer() {
  local name=${2%.*} status
  case ${installed[$1]} in
    no) echo "SKIP $name: the $1 packages cannot be reached" | tell && return ;;
    broken) echo "FAIL $name: the $1 packages do not install: $(tail -n 1 "$work/install-$1.log")" | tell && return ;;
  esac
  timeout 60 "${interpreter[$1]}" "$2" 2>"$work/$name.log" | tell
  status=${PIPESTATUS[0]}
  if ((status != 0)) && ! grep -q "^FAIL $name" "$lines"; then
    echo "FAIL $name: ended with $status: $(tail -n 8 "$work/$name.log" | tr '\n' ' ')" | tell
  fi
}

declare -A installed=([bash]=yes) interpreter=([bash]=bash [python]=.venv/bin/python [node]=node)
for language in python node; do
  installed[$language]=yes
  if ! "install_$language"; then
    if "reach_$language"; then installed[$language]=broken; else installed[$language]=no; fi
  fi
done

if start_daemon; then
  peer python wechatpay_merchant.py
  peer node wechatpay_statement.mjs
  peer node alipay_merchant.mjs
  peer node wechatpay_provider.mjs
  peer node alipay_provider.mjs
  peer python webhook_python.py
  peer node webhook_node.mjs
  peer bash unionpay_openssl.sh
else
  echo "FAIL start: the daemon does not start" | tell
fi
count() { grep -c "^$1 " "$lines"; }
passed=$(count ok) failed=$(count FAIL) skipped=$(count SKIP)
echo "$passed passed, $failed failed, $skipped skipped"
((failed == 0))
