# Sourced by run.sh: makes the peers' keys with openssl, writes the configuration, starts and stops the daemon with its
# sandbox. Everything lies in $work, listens on loopback at free ports, and is told to the peers by the environment.

free_ports() {
  python3 -c 'import socket, sys
held = [socket.create_server(("127.0.0.1", 0)) for _ in range(int(sys.argv[1]))]
print(*[one.getsockname()[1] for one in held])' "$1"
}

# Keys and certificates of the provider peers; nothing of ours makes them.
make_keys() {
  mkdir -p "$PEER_KEYS"
  (
    cd "$PEER_KEYS"
    for name in merchant platform stranger app alipay root; do
      openssl genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out "${name}_key.pem" 2>/dev/null ||
        openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out "${name}_key.pem" 2>/dev/null
      openssl pkey -in "${name}_key.pem" -pubout -out "${name}_public.pem"
    done
    certificate() { openssl req -x509 -days 30 -sha256 "$@" 2>/dev/null; }
    certificate -key merchant_key.pem -subj "/O=merchant/CN=1900000101" -out merchant_cert.pem
    certificate -key platform_key.pem -subj "/C=CN/O=Tenpay.com/OU=Tenpay.com CA Center/CN=Tenpay.com sign" -out platform_cert.pem
    for name in merchant platform; do openssl x509 -in "${name}_cert.pem" -noout -serial | cut -d= -f2 >"${name}_serial"; done
    openssl rand -hex 16 | tr -d '\n' >api_v3_key
    # The root file of Alipay holds roots of several algorithms; only RSA ones count in its serial.
    certificate -key root_key.pem -subj "/C=CN/O=Ant Financial/OU=Certification Authority/CN=Ant Financial R1" -out root_rsa.crt
    certificate -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout root_ec.pem -subj "/C=CN/O=Ant Financial/CN=Ant Financial E1" -out root_ec.crt
    cat root_ec.crt root_rsa.crt >root_cert.crt
    issued() { certificate -CA root_rsa.crt -CAkey root_key.pem "$@"; }
    issued -key app_key.pem -subj "/C=CN/O=merchant/OU=Alipay/CN=2021000000000102" -out app_cert.crt
    issued -key alipay_key.pem -subj "/C=CN/O=Ant Financial/OU=Alipay/CN=alipay" -out alipay_cert.crt
  )
}

write_config() {
  local keys="$SANDBOX_KEYS" mine="$PEER_KEYS" recorder="http://127.0.0.1:$UNIONPAY_RECORDER_PORT"
  cat <<END
[server]
public_listen = "127.0.0.1:$public_port"
admin_listen = "127.0.0.1:$admin_port"
admin_socket = "$work/admin.sock"
public_url = "$DAEMON_URL"
admin_token = "peers-admin-token"
allow_private_webhook_targets = true
allow_inline_secrets = true
environment = "sandbox"
[store]
url = "embedded:$work/store"
[sandbox]
keys_dir = "$keys"
control = "${SANDBOX_CONTROL#http://}"
listen = { wechatpay = "${SANDBOX_WECHATPAY#http://}", alipay = "${SANDBOX_ALIPAY#http://}", unionpay = "${SANDBOX_UNIONPAY#http://}" }
[[merchants]]
id = "m_peers"
name = "演示卡铺"
notify_url = "http://127.0.0.1:$deaf_port/notify"
webhook_secret = ["$WEBHOOK_SECRET", "$WEBHOOK_SECRET_OLD"]
  [[merchants.keys]]
  id = "$MERCHANT_KEY_ID"
  secret = "$MERCHANT_KEY"
[[channels]]
id = "wechat-main"
provider = "wechatpay"
  [channels.wechatpay]
  base_url = "$SANDBOX_WECHATPAY"
  app_id = "$WECHATPAY_APP_ID"
  mch_id = "$WECHATPAY_MCH_ID"
  merchant_serial = { text_file = "$keys/wechatpay/$WECHATPAY_MCH_ID/merchant_serial" }
  merchant_private_key = { file = "$keys/wechatpay/$WECHATPAY_MCH_ID/merchant_key.pem" }
  api_v3_key = { file = "$keys/wechatpay/$WECHATPAY_MCH_ID/api_v3_key" }
  platform_certificates = [{ file = "$keys/wechatpay/$WECHATPAY_MCH_ID/platform_cert.pem" }]
[[channels]]
id = "alipay-main"
provider = "alipay"
  [channels.alipay]
  gateway_url = "$SANDBOX_ALIPAY/gateway.do"
  app_id = "$ALIPAY_APP_ID"
  seller_id = "2088000000000001"
  app_private_key = { file = "$keys/alipay/$ALIPAY_APP_ID/app_key.pem" }
  alipay_public_key = { file = "$keys/alipay/$ALIPAY_APP_ID/alipay_public_key.pem" }
[[channels]]
id = "unionpay-main"
provider = "unionpay"
  [channels.unionpay]
  front_url = "$recorder/gateway/api/frontTransReq.do"
  app_url = "$recorder/gateway/api/appTransReq.do"
  back_url = "$recorder/gateway/api/backTransReq.do"
  query_url = "$recorder/gateway/api/queryTrans.do"
  file_url = "$recorder/"
  mer_id = "$UNIONPAY_MER_ID"
  sign_cert = { file = "$keys/unionpay/$UNIONPAY_MER_ID/sign.pem" }
  root_cert = { file = "$keys/unionpay/root.cer" }
  middle_cert = { file = "$keys/unionpay/middle.cer" }
END
  wechat_channel wechat-certificate 1900000101 "platform_certificates = [{ file = \"$mine/platform_cert.pem\" }]"
  wechat_channel wechat-key 1900000102 "public_key_id = \"PUB_KEY_ID_0119000001020000000000000001\"
  public_key = { file = \"$mine/platform_public.pem\" }"
  alipay_channel alipay-key 0101 "alipay_public_key = { file = \"$mine/alipay_public.pem\" }"
  alipay_channel alipay-certificate 0102 "app_cert = { file = \"$mine/app_cert.crt\" }
  alipay_cert = { file = \"$mine/alipay_cert.crt\" }
  alipay_root_cert = { file = \"$mine/root_cert.crt\" }"
}

# wechat_channel ID MCH_ID LINES: a channel whose provider is a peer.
wechat_channel() {
  cat <<END
[[channels]]
id = "$1"
provider = "wechatpay"
  [channels.wechatpay]
  base_url = "http://127.0.0.1:$WECHATPAY_PORT"
  app_id = "wx0000000000000$2"
  mch_id = "$2"
  merchant_serial = { text_file = "$PEER_KEYS/merchant_serial" }
  merchant_private_key = { file = "$PEER_KEYS/merchant_key.pem" }
  api_v3_key = { file = "$PEER_KEYS/api_v3_key" }
  $3
END
}

alipay_channel() {
  cat <<END
[[channels]]
id = "$1"
provider = "alipay"
  [channels.alipay]
  gateway_url = "http://127.0.0.1:$ALIPAY_PORT/gateway.do"
  app_id = "202100000000$2"
  seller_id = "208800000000$2"
  app_private_key = { file = "$PEER_KEYS/app_key.pem" }
  $3
END
}

# Chooses ports, tells the peers, starts the daemon and waits until it listens.
start_daemon() {
  local sandbox_ports tries
  # Nobody listens at the deaf port: where charges are delivered is no matter here, unless a peer says otherwise.
  read -r public_port admin_port deaf_port WECHATPAY_PORT ALIPAY_PORT UNIONPAY_RECORDER_PORT sandbox_ports <<<"$(free_ports 10)"
  set -- $sandbox_ports
  export WECHATPAY_PORT ALIPAY_PORT UNIONPAY_RECORDER_PORT
  export SANDBOX_CONTROL="http://127.0.0.1:$1" SANDBOX_WECHATPAY="http://127.0.0.1:$2"
  export SANDBOX_ALIPAY="http://127.0.0.1:$3" SANDBOX_UNIONPAY="http://127.0.0.1:$4"
  export SANDBOX_KEYS="$work/sandbox-keys" PEER_KEYS="$work/peer-keys" DAEMON_URL="http://127.0.0.1:$public_port"
  export WECHATPAY_MCH_ID=1900000001 WECHATPAY_APP_ID=wx5a2d0c4e1f8b7a63 ALIPAY_APP_ID=2021000000000001
  export UNIONPAY_MER_ID=777290058110001 MERCHANT_KEY_ID=key_peers
  MERCHANT_KEY=$(openssl rand -hex 32)
  WEBHOOK_SECRET="whsec_$(openssl rand -base64 32)"
  WEBHOOK_SECRET_OLD="whsec_$(openssl rand -base64 32)"
  export MERCHANT_KEY WEBHOOK_SECRET WEBHOOK_SECRET_OLD
  make_keys && write_config >"$work/peers.toml" || return 1
  "$TONGDAO_BIN" serve --config "$work/peers.toml" >"$work/daemon.log" 2>&1 &
  daemon=$!
  for tries in {1..200}; do
    if (: <"/dev/tcp/127.0.0.1/$public_port") 2>/dev/null; then return 0; fi
    kill -0 "$daemon" 2>/dev/null || break
    sleep 0.1
  done
  tail -n 20 "$work/daemon.log" >&2
  return 1
}

stop_daemon() {
  [[ -n ${daemon:-} ]] || return 0
  kill "$daemon" 2>/dev/null
  wait "$daemon" 2>/dev/null
  daemon=
}
