#!/usr/bin/env bash
# UnionPay's signatures judged by the openssl command, by hand: no UnionPay package exists on the registries.
# Both sides are judged: the sandbox by a merchant whose every signature openssl makes, the daemon by its recorded request
# and by a notify that openssl signs. The rules stand in Q/CUP 071.2.5: the sorted link string, hashed twice.
set -uo pipefail
cd "$(dirname "$0")"

work=$(mktemp -d)
kept="$work/kept" && mkdir "$kept"
keys="$SANDBOX_KEYS/unionpay"
sign_pem="$keys/$UNIONPAY_MER_ID/sign.pem"
recorder_url="http://127.0.0.1:$UNIONPAY_RECORDER_PORT"
python3 unionpay_recorder.py "$UNIONPAY_RECORDER_PORT" "$SANDBOX_UNIONPAY" "$kept" &
recorder=$!
trap 'kill "$recorder"; rm -rf "$work"' EXIT
until (: <"/dev/tcp/127.0.0.1/$UNIONPAY_RECORDER_PORT") 2>/dev/null; do sleep 0.05; done

failed=0
# check NAME COMMAND…: the command must succeed.
check() {
  local name=$1 said
  shift
  if said=$("$@" 2>&1); then
    echo "ok   unionpay_openssl: $name"
  else
    echo "FAIL unionpay_openssl: $name: $* : ${said:0:300}"
    failed=1
  fi
}
refused() { ! "$@"; }

# Messages are kept as NUL-separated k=v pairs, decoded.
pairs_of_answer() { tr '&' '\0' <"$1"; }
pairs_of_form() {
  local pair
  while IFS= read -r -d '&' pair || [[ -n $pair ]]; do
    pair=${pair//+/ }
    printf '%b\0' "${pair//%/\\x}"
  done <"$1"
}
field() { grep -z "^$2=" "$1" | cut -z -d= -f2- | tr -d '\0'; }
has() { [[ $(field "$1" "$2") == "$3" ]]; }
link() { grep -zv '^signature=' "$1" | LC_ALL=C sort -z -t= -k1,1 | tr '\0' '&' | head -c -1; }
hashed() { printf %s "$(link "$1" | sha256sum | cut -c1-64)"; }
serial_of() { printf %d "0x$(openssl x509 -in "$1" -noout -serial | cut -d= -f2)"; }

# verifies PAIRS CERTIFICATE: the message's signature holds with the certificate's key.
verifies() {
  hashed "$1" >"$work/message"
  field "$1" signature | base64 -d >"$work/signature"
  openssl x509 -in "$2" -noout -pubkey >"$work/public"
  openssl dgst -sha256 -verify "$work/public" -signature "$work/signature" "$work/message"
}

# signed KEY FIELD…: the pairs with their signature, into $work/signed, and as curl's arguments into the array form.
signed() {
  local key=$1 pair
  shift
  printf '%s\0' "$@" >"$work/signed"
  pair="signature=$(hashed "$work/signed" | openssl dgst -sha256 -sign "$key" | base64 -w0)"
  printf '%s\0' "$pair" >>"$work/signed"
  form=()
  for pair in "$@" "$pair"; do form+=(--data-urlencode "$pair"); done
}

# of_unionpay WHAT PAIRS: what the provider sent carries its certificate, whose chain, name and signature hold.
of_unionpay() {
  local leaf="$work/leaf.pem" subject
  field "$2" signPubKeyCert >"$leaf"
  check "$1: signature" verifies "$2" "$leaf"
  check "$1: certificate chain" openssl verify -CAfile "$keys/root.cer" -untrusted "$keys/middle.cer" "$leaf"
  subject=$(openssl x509 -in "$leaf" -noout -subject -nameopt multiline,utf8,-esc_msb)
  check "$1: certificate name" grep -q '@00040000:SIGN@' <<<"$subject"
  sed -z 's/^txnAmt=.*/txnAmt=1/; s/^respCode=.*/respCode=99/' "$2" >"$work/tampered"
  check "$1: tampered refused" refused verifies "$work/tampered" "$leaf"
}

# arrived N: waits for the N-th message at the recorder.
arrived() {
  local tries
  for tries in {1..100}; do
    [[ -f $kept/$1.answer ]] && return 0
    sleep 0.1
  done
  return 1
}

now=$(TZ=Asia/Shanghai date +%Y%m%d%H%M%S)
mer_id=$UNIONPAY_MER_ID cert_id=$(serial_of "$sign_pem")
frame=(version=5.1.0 encoding=UTF-8 signMethod=01 accessType=0 "merId=$mer_id" "certId=$cert_id" "txnTime=$now")

# The sandbox, judged by a merchant made of openssl.
order=(orderId="hand$now$RANDOM")
apply=("${frame[@]}" "${order[@]}" txnType=01 txnSubType=07 bizType=000000 channelType=08 txnAmt=1999 currencyCode=156
  "backUrl=$recorder_url/notify")
post() { curl -sS --max-time 10 "${form[@]}" "$recorder_url/gateway/api/$1"; }
signed "$sign_pem" "${apply[@]}"
post backTransReq.do >"$work/answer"
pairs_of_answer "$work/answer" >"$work/pairs"
check "sandbox takes a request signed by hand" has "$work/pairs" respCode 00
of_unionpay "sandbox's answer" "$work/pairs"
code=$(field "$work/pairs" qrCode)
form[-1]="signature=$(printf wrong | openssl dgst -sha256 -sign "$sign_pem" | base64 -w0)"
post backTransReq.do >"$work/answer"
pairs_of_answer "$work/answer" >"$work/pairs"
check "sandbox refuses a wrong signature" has "$work/pairs" respCode 11
curl -sS --max-time 10 --json "{\"code\": \"$code\"}" "$SANDBOX_CONTROL/scan" >"$work/scanned"
check "sandbox's notify arrives" arrived 3
pairs_of_form "$kept/3.request" >"$work/pairs"
check "sandbox's notify tells of the order" has "$work/pairs" "${order[0]%%=*}" "${order[0]#*=}"
of_unionpay "sandbox's notify" "$work/pairs"

# The settlement file of the clearing day that runs now, opened by an unrelated reader.
curl -sS --max-time 10 --json '{"ready_at_once": true}' "$SANDBOX_CONTROL/statements"
settle_date=$(TZ=Asia/Shanghai date -d '+1 hour' +%m%d)
signed "$sign_pem" "${frame[@]}" txnType=76 txnSubType=01 bizType=000000 fileType=00 "settleDate=$settle_date"
curl -sS --max-time 10 "${form[@]}" "$SANDBOX_UNIONPAY/" >"$work/answer"
pairs_of_answer "$work/answer" >"$work/pairs"
check "sandbox gives its settlement file" has "$work/pairs" respCode 00
of_unionpay "settlement file" "$work/pairs"
field "$work/pairs" fileContent | base64 -d |
  python3 -c 'import sys, zlib; sys.stdout.buffer.write(zlib.decompress(sys.stdin.buffer.read()))' |
  python3 read_zip.py >"$work/file.json"
holds_the_order() {
  python3 -c 'import json, sys
texts = json.load(open(sys.argv[1]))
name = next(name for name in texts if "ZM_" in name)
rows = [line.encode("gbk") for line in texts[name].split("\r\n")[:-1]]
assert all(len(row) == 607 for row in rows), [len(row) for row in rows]
mine = [row for row in rows if row[112:144].decode().strip() == sys.argv[2]]
assert [(row[66:78], row[166:179], row[180:193]) for row in mine] == [(b"000000001999", b"D000000000012", b"C000000001987")], mine' "$@"
}
check "settlement file: the order stands in it" holds_the_order "$work/file.json" "${order[0]#*=}"

# The daemon, judged by what it sends and by what it takes.
json() { python3 -c 'import json, sys; print(eval("json.load(sys.stdin)" + sys.argv[1]))' "$1" <<<"$2"; }
wish='{"merchant_order_no": "'"hand$now$RANDOM"'", "amount": 1999, "subject": "点卡 100 元", "channel": "unionpay-main"}'
charge=$(python3 checks.py POST /v1/charges "$wish")
check "daemon asks for a code" arrived 4
[[ -f $kept/4.answer ]] || { echo "$charge" >&2 && exit 1; }
pairs_of_form "$kept/4.request" >"$work/request"
check "daemon's request: signature" verifies "$work/request" "$sign_pem"
check "daemon's request: certId is the certificate's serial" has "$work/request" certId "$cert_id"
check "daemon's request: the sum asked for" has "$work/request" txnAmt 1999
sed -z 's/^txnAmt=.*/txnAmt=1/' "$work/request" >"$work/tampered"
check "daemon's request: tampered refused" refused verifies "$work/tampered" "$sign_pem"
pairs_of_answer "$kept/4.answer" >"$work/pairs"
of_unionpay "answer to the daemon" "$work/pairs"
check "daemon gives the code on" test "$(json '["attempt"]["pay"]["url"]' "$charge")" = "$(field "$work/pairs" qrCode)"

told=(respCode=00 respMsg=success "queryId=512${now:2}1234561" traceNo=123456 "traceTime=${now:4}" "settleDate=${now:4:4}"
  settleAmt=1999 settleCurrencyCode=156 signMethod=01)
for name in version encoding txnType txnSubType bizType accessType merId orderId txnTime txnAmt currencyCode; do
  told+=("$name=$(field "$work/request" "$name")")
done
notify() {
  curl -sS --max-time 10 -o /dev/null -w '%{http_code}' "${form[@]/#txnAmt=1999/$1}" "$(field "$work/request" backUrl)"
}
status() { json '["status"]' "$(python3 checks.py GET "/v1/charges/$(json '["id"]' "$charge")")"; }
openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj '/CN=041@peer@00040000:SIGN@00000001' \
  -keyout "$work/stranger_key.pem" -out "$work/stranger.pem" 2>/dev/null
signed "$work/stranger_key.pem" "${told[@]}" "signPubKeyCert=$(cat "$work/stranger.pem")"
check "daemon refuses a notify under a stranger's certificate" test "$(notify txnAmt=1999) $(status)" = "400 open"
signed "$keys/leaf_key.pem" "${told[@]}" "signPubKeyCert=$(cat "$keys/leaf.pem")"
check "daemon refuses a tampered notify" test "$(notify txnAmt=2000) $(status)" = "400 open"
check "daemon takes a notify signed by hand" test "$(notify txnAmt=1999) $(status)" = "200 paid"
exit "$failed"
