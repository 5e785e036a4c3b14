//! Tests of the loader: a fault is a row.

use super::*;

const MINIMAL: &str = r#"
[server]
allow_inline_secrets = true
admin_token = "admin-canary-1"
public_url = "https://pay.example/"

[[merchants]]
id = "m1"
notify_url = "https://shop.example/n"
webhook_secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
  [[merchants.keys]]
  id = "k1"
  secret = "merchant-canary-1"

[[channels]]
id = "a"
provider = "fake"
  [channels.fake]
  account = "1900000001"
  key = "provider-canary-1"
"#;

fn read(text: &str) -> Result<Config, Faults> {
    read_in(text, &[])
}

fn read_in(text: &str, env: &[(&str, &str)]) -> Result<Config, Faults> {
    let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Config::read("test.toml", text, &env, fake::REGISTRY)
}

/// The faults of the minimal configuration with one text replaced.
fn faults(old: &str, new: &str) -> Vec<String> {
    assert!(MINIMAL.contains(old), "{old}");
    let text = MINIMAL.replacen(old, new, 1);
    let faults = read(&text).expect_err(new);
    faults.list.iter().map(ToString::to_string).collect()
}

#[test]
fn a_small_file_gets_the_defaults() {
    let config = read(MINIMAL).unwrap();
    assert_eq!(config.server.public_listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.server.admin_listen.to_string(), "127.0.0.1:8081");
    assert_eq!(config.server.public_url, "https://pay.example");
    assert_eq!(config.server.environment, Environment::Production);
    assert!(!config.server.allow_private_webhook_targets);
    assert_eq!(config.store.url, StoreUrl::Embedded("data/store".into()));
    assert_eq!((config.routing.max_channels, config.routing.budget.as_millis()), (3, 4000));
    let channel = config.channel(&"a".parse().unwrap()).unwrap();
    assert_eq!(channel.provider.account(), "1900000001");
    assert_eq!((channel.enabled, channel.fee_bps, channel.timeout.as_millis()), (true, 60, 3000));
    assert_eq!(channel.capacity, Capacity { max_in_flight: 64, per_second: 300 });
    assert_eq!(channel.amount, AmountRange { min: 1, max: 10_000_000_000 });
    assert_eq!(channel.daily_limit, DailyLimit::default());
    assert_eq!(channel.scenes.len(), 3);
    let (merchant, key) = config.merchant_key("k1").unwrap();
    assert_eq!(
        (merchant.id.as_str(), merchant.name.as_str(), key.secret.bytes()),
        ("m1", "m1", &b"merchant-canary-1"[..])
    );
    assert_eq!((merchant.late_payment, merchant.unprovable_end), (LatePayment::Deliver, UnprovableEnd::Overlap));
    assert_eq!(merchant.rate_limit, RateLimit { per_second: 200, burst: 400 });
    assert!(config.merchant(&"m1".parse().unwrap()).is_some());
    assert!(config.merchant_key("k2").is_none());
}

/// What is replaced in the minimal configuration, by what, and what must be said.
const FAULTY: &[(&str, &str, &str)] = &[
    ("id = \"m1\"", "id = \"m 1\"", "line 8: merchants[0].id: must be 1 to 64"),
    ("id = \"m1\"", "nick = \"m1\"", "line 7: merchants[0].id: is required"),
    ("id = \"m1\"", "id = \"m1\"\nnick = 1", "line 9: merchants[0].nick: unknown key; known here:"),
    ("[server]", "[server]\npublic_listen = 8080", "server.public_listen: expected text in quotes, found an integer"),
    ("[server]", "[server]\npublic_listen = \"8080\"", "server.public_listen: expected an address with its port"),
    ("[server]", "[server]\nenvironment = \"test\"", "server.environment: expected \"production\" or \"sandbox\""),
    ("[server]", "[server]\nshutdown_deadline = 10", "server.shutdown_deadline: expected text in quotes"),
    ("[server]", "[server]\nshutdown_deadline = \"10\"", "server.shutdown_deadline: expected a duration with its unit"),
    ("[server]", "[server]\nshutdown_deadline = \"1h\"", "must be 0ms to 5m"),
    ("[server]", "[store]\nurl = \"sqlite:x\"\n[server]", "line 3: store.url: expected \"embedded:DIRECTORY\""),
    ("[server]", "[store]\nurl = \"embedded:\"\n[server]", "store.url"),
    ("[server]", "[stores]\n[server]", "line 2: stores: unknown key"),
    ("[server]", "[routing]\nmax_channels = 0\n[server]", "routing.max_channels: must be 1 to 8, not 0"),
    ("[server]", "[routing]\nmargin_bps = 0\n[server]", "routing.margin_bps: must be 1 to 10000, not 0"),
    ("[server]", "[routing]\nluck = 1\n[server]", "line 3: routing.luck: unknown key"),
    ("[server]", "[sandbox]\nlisten = {}\n[server]", "line 2: sandbox: needs [server] environment = \"sandbox\""),
    ("https://pay.example/", "pay.example", "server.public_url: is not an absolute URL"),
    ("https://shop.example/n", "http://shop.example/n", "line 9: merchants[0].notify_url: must be https"),
    ("https://shop.example/n", "https://169.254.169.254/n", "merchants[0].notify_url: leads into a private network"),
    ("admin-canary-1", "", "line 4: server.admin_token: the inline secret is empty"),
    ("admin-canary-1", "a b", "server.admin_token: must be visible ASCII"),
    ("merchant-canary-1", "  ", "line 13: merchants[0].keys[0].secret: the inline secret is empty"),
    (
        "\"merchant-canary-1\"",
        "{ file = \"/nowhere/key\" }",
        "keys[0].secret: cannot read /nowhere/key: there is no such file",
    ),
    ("\"merchant-canary-1\"", "{ files = \"x\" }", "keys[0].secret: expected { file = \"…\" } or { env = \"…\" }"),
    ("\"merchant-canary-1\"", "{ env = \"ABSENT\" }", "keys[0].secret: the environment variable ABSENT is not set"),
    ("  secret = \"merchant-canary-1\"", "", "merchants[0].keys[0].secret: is required"),
    ("webhook_secret =", "# ", "merchants[0].webhook_secret: is required"),
    (
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "whsec_AAAA",
        "line 10: merchants[0].webhook_secret: a webhook secret has at least 24",
    ),
    ("id = \"m1\"", "id = \"m1\"\nlate_payment = \"keep\"", "expected \"deliver\" or \"refund\""),
    ("id = \"m1\"", "id = \"m1\"\nunprovable_end = \"hope\"", "expected \"overlap\" or \"wait\""),
    ("id = \"m1\"", "id = \"m1\"\nenvironment = \"sandbox\"", "this server's environment is production"),
    ("id = \"m1\"", "id = \"m1\"\nrate_limit = { per_second = 0 }", "rate_limit.per_second: must be 1 to"),
    ("provider = \"fake\"", "provider = \"other\"", "line 17: channels[0].provider: no such provider; known: fake"),
    ("[channels.fake]", "[channels.other]", "channels[0].fake: the provider's own section is required"),
    ("account = \"1900000001\"", "", "line 18: channels[0].fake.account: is required"),
    ("account =", "colour = \"red\"\n  account =", "line 19: channels[0].fake.colour: unknown key"),
    (
        "key = \"provider-canary-1\"",
        "keys = [\n  \"x\",\n  \"\",\n]",
        "line 22: channels[0].fake.keys[1]: the inline secret is empty",
    ),
    (
        "id = \"a\"",
        "id = \"a\"\nscenes = [\"qr\", \"web\"]",
        "line 17: channels[0].scenes: the provider cannot do web; it can: qr, h5, jsapi",
    ),
    (
        "id = \"a\"",
        "id = \"a\"\nscenes = [\"tv\"]",
        "channels[0].scenes[0]: no such scene; known: qr, h5, web, jsapi, app",
    ),
    ("id = \"a\"", "id = \"a\"\nscenes = [\"qr\", \"qr\"]", "channels[0].scenes[1]: qr is listed twice"),
    ("id = \"a\"", "id = \"a\"\nscenes = []", "channels[0].scenes: is empty"),
    ("id = \"a\"", "id = \"a\"\nfee_bps = -1", "channels[0].fee_bps: must be 0 to 10000, not -1"),
    ("id = \"a\"", "id = \"a\"\nfee_bps = 0.6", "channels[0].fee_bps: expected a whole number, found a decimal"),
    ("id = \"a\"", "id = \"a\"\namount = { min = 5, max = 4 }", "channels[0].amount: min 5 is more than max 4"),
    ("id = \"a\"", "id = \"a\"\namount = { max = 10000000001 }", "channels[0].amount.max: must be 1 to 10000000000"),
    ("id = \"a\"", "id = \"a\"\ncapacity = { max_in_flight = 0 }", "capacity.max_in_flight: must be 1"),
    ("id = \"a\"", "id = \"a\"\nenabled = \"yes\"", "channels[0].enabled: expected true or false, found text"),
    ("id = \"a\"", "id = \"a\"\nid = \"b\"", "not valid TOML"),
];

#[test]
fn each_fault_names_its_key_and_line() {
    for (old, new, wanted) in FAULTY {
        let found = faults(old, new);
        assert!(found.iter().any(|fault| fault.contains(wanted)), "{new:?} wants {wanted:?}, found {found:#?}");
    }
}

#[test]
fn all_faults_are_listed_at_once_in_the_order_of_their_lines() {
    let text = MINIMAL
        .replace("id = \"a\"", "id = \"a\"\nfee_bps = -1\ntimeout = 3")
        .replace("merchant-canary-1", "")
        .replace("[server]", "[server]\nspeed = 1");
    let faults = read(&text).unwrap_err();
    let paths: Vec<&str> = faults.list.iter().map(|fault| fault.path.as_str()).collect();
    assert_eq!(paths, ["server.speed", "merchants[0].keys[0].secret", "channels[0].fee_bps", "channels[0].timeout"]);
    let shown = faults.to_string();
    assert!(shown.starts_with("test.toml: 4 faults\n  line 3: server.speed: unknown key"), "{shown}");
}

#[test]
fn no_two_channels_share_a_name_or_an_account_and_no_two_keys_an_id() {
    let second = "\n[[channels]]\nid = \"b\"\nprovider = \"fake\"\nfake = { account = \"1900000001\" }\n";
    let found = read(&format!("{MINIMAL}{second}")).unwrap_err().to_string();
    assert!(found.contains("channels[1]: has the same account as a"), "{found}");
    let same_name = second.replace("\"b\"", "\"a\"").replace("1900000001", "1900000002");
    let found = read(&format!("{MINIMAL}{same_name}")).unwrap_err().to_string();
    assert!(found.contains("channels[1].id: another channel is called a"), "{found}");
    let one = |n: usize| {
        second.replace("\"b\"", &format!("\"c{n}\"")).replace("1900000001", &format!("{}", 2_000_000_000 + n))
    };
    let found = read(&format!("{MINIMAL}{}", (0..64).map(one).collect::<String>())).unwrap_err().to_string();
    assert!(found.contains("channels[64]: at most 64 channels") && !found.contains("channels[63]"), "{found}");
    let merchant = "\n[[merchants]]\nid = \"m2\"\nwebhook_secret = \"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"\nkeys = [{ id = \"k1\", secret = \"0123456789abcdef\" }]\n";
    let found = read(&format!("{MINIMAL}{merchant}")).unwrap_err().to_string();
    assert!(found.contains("merchants[1].keys: another key is called k1"), "{found}");
    assert!(read(&format!("{MINIMAL}{}", merchant.replace("k1", "k2"))).is_ok());
}

#[test]
fn variables_override_keys_of_every_kind() {
    let config = read_in(
        MINIMAL,
        &[
            ("TONGDAO__SERVER__PUBLIC_LISTEN", "127.0.0.1:0"),
            ("TONGDAO__SERVER__ALLOW_PRIVATE_WEBHOOK_TARGETS", "true"),
            ("TONGDAO__ROUTING__MAX_CHANNELS", "2"),
            ("TONGDAO__ROUTING__BUDGET", "2s"),
            ("TONGDAO__ROUTING__MARGIN_BPS", "250"),
            ("TONGDAO__ROUTING__EXPLORE", "false"),
            ("TONGDAO__CHANNELS__A__SCENES", "[\"qr\"]"),
            ("TONGDAO__CHANNELS__0__ENABLED", "false"),
            ("TONGDAO__CHANNELS__A__CAPACITY__PER_SECOND", "7"),
            ("TONGDAO__CHANNELS__A__FAKE__ACCOUNT", "0042"),
            ("TONGDAO__MERCHANTS__M1__KEYS__K1__SECRET__ENV", "KEY"),
            ("KEY", "from-the-environment\n"),
            ("TONGDAO_LOG", "debug"),
        ],
    );
    // A secret that is text in the file cannot be half replaced: the variable's table replaces it whole.
    let config = config.unwrap();
    assert_eq!(config.server.public_listen.port(), 0);
    assert!(config.server.allow_private_webhook_targets);
    assert_eq!(
        (
            config.routing.max_channels,
            config.routing.budget.as_secs(),
            config.routing.margin_bps,
            config.routing.explore
        ),
        (2, 2, 250, false)
    );
    let channel = &config.channels[0];
    assert_eq!((channel.scenes.len(), channel.enabled, channel.capacity.per_second), (1, false, 7));
    assert_eq!(channel.provider.account(), "0042");
    assert_eq!(config.merchant_key("k1").unwrap().1.secret.bytes(), b"from-the-environment");
}

#[test]
fn a_variable_that_names_nothing_is_a_fault() {
    for (name, wanted) in [
        ("TONGDAO__SERVER__PUBLIC_LISTEM", "$TONGDAO__SERVER__PUBLIC_LISTEM: server.public_listem: unknown key"),
        ("TONGDAO__CHANNELS__B__ENABLED", "$TONGDAO__CHANNELS__B__ENABLED: names no key or list item"),
        ("TONGDAO__SERVER", "$TONGDAO__SERVER: names no key"),
        ("TONGDAO____X", "$TONGDAO____X: names no key"),
        ("TONGDAO__ROUTING__MAX_CHANNELS", "$TONGDAO__ROUTING__MAX_CHANNELS: routing.max_channels: expected a whole"),
    ] {
        let found = read_in(MINIMAL, &[(name, "x")]).unwrap_err().to_string();
        assert!(found.contains(wanted), "{name}: {found}");
    }
}

#[test]
fn no_secret_is_printed_anywhere() {
    let config = read(&MINIMAL.replace("key =", "spare_key = \"provider-canary-2\"\n  key =")).unwrap();
    for shown in [
        config.redacted_print(),
        format!("{config:?}"),
        format!("{:?} {:?} {:?}", config.server, config.merchants, config.channels),
    ] {
        assert!(!shown.contains("canary") && !shown.contains("MfKQ9r8GKYqr"), "{shown}");
    }
    assert!(config.redacted_print().contains("account = \"1900000001\""));
    let broken = MINIMAL.replace("admin-canary-1\"", "admin-canary-1").replace("[[channels]]", "[[channels]");
    let shown = read(&broken).unwrap_err().to_string();
    assert!(shown.contains("not valid TOML") && !shown.contains("canary"), "{shown}");
    let refused = MINIMAL.replace("allow_inline_secrets = true", "");
    let shown = read(&refused).unwrap_err().to_string();
    assert!(shown.contains("a secret does not stand in the file") && !shown.contains("canary"), "{shown}");
    assert_eq!(shown.matches("does not stand in the file").count(), 4, "{shown}");
}

#[test]
fn what_is_printed_reads_back_as_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        format!("{{ file = \"{}\" }}", path.display())
    };
    let text = MINIMAL
        .replace("\"admin-canary-1\"", &file("token", "token\n"))
        .replace("\"merchant-canary-1\"", &file("key", "0123456789abcdef0123456789abcdef\n"))
        .replace(
            "\"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"",
            &file("whsec", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n"),
        )
        .replace("\"provider-canary-1\"", &file("provider", "x"))
        .replace("id = \"a\"", "id = \"a\"\ndaily_limit = { amount = 5 }\ntimeout = \"1500ms\"")
        .replace("\"1900000001\"", &file("account", " 1900000009\n").replace("file", "text_file"));
    let config = read(&text).unwrap();
    let printed = config.redacted_print();
    assert_eq!(read(&printed).unwrap().redacted_print(), printed);
    assert_eq!(config.channels[0].provider.account(), "1900000009");
    assert_eq!(config.server.admin_token.unwrap().text(), Some("token"));
}

#[test]
fn two_webhook_secrets_are_taken_while_rotating_and_no_more() {
    let one = "\"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"";
    let rotating = read(&MINIMAL.replace(one, &format!("[{one}, {one}]"))).unwrap();
    assert_eq!(rotating.merchants[0].webhook_secrets.len(), 2);
    assert_eq!(rotating.merchants[0].webhook_secrets[0].bytes().len(), 24);
    assert!(read(&MINIMAL.replace(one, &format!("[{one}, {one}, {one}]"))).is_err());
    assert!(read(&MINIMAL.replace(one, "[]")).is_err());
}

#[test]
fn a_reload_may_change_limits_but_no_account_listener_or_store() {
    let old = read(MINIMAL).unwrap();
    let check = |from: &str, to: &str| check_reload(&old, &read(&MINIMAL.replacen(from, to, 1)).unwrap());
    let channel = |to: &str| check("[channels.fake]", &format!("{to}\n  [channels.fake]"));
    assert_eq!(channel("fee_bps = 38\nenabled = false"), Ok(Changes::default()));
    assert_eq!(check("merchant-canary-1", "merchant-canary-2"), Ok(Changes::default()));
    let renamed = check("id = \"a\"", "id = \"b\"").unwrap();
    assert_eq!(renamed, Changes { added: vec!["b".parse().unwrap()], removed: vec!["a".parse().unwrap()] });
    for (from, to, path) in [
        ("1900000001", "1900000002", "channels.a"),
        ("account =", "seller_id = \"2088\"\n  account =", "channels.a"),
        ("[server]", "[server]\npublic_listen = \"127.0.0.1:1\"", "server.public_listen"),
        ("[server]", "[server]\nadmin_listen = \"127.0.0.1:1\"", "server.admin_listen"),
        ("[server]", "[server]\nadmin_socket = \"x\"", "server.admin_socket"),
        ("[server]", "[server]\nenvironment = \"sandbox\"", "server.environment"),
        ("[server]", "[store]\nurl = \"memory:\"\n[server]", "store"),
    ] {
        let refused = check(from, to).unwrap_err();
        assert_eq!(refused.list.iter().map(|fault| fault.path.as_str()).collect::<Vec<_>>(), [path], "{to}");
    }
}

#[test]
fn unwise_settings_are_warned_of() {
    let warnings =
        read(&MINIMAL.replace("merchant-canary-1", "short").replace("https://pay", "http://pay")).unwrap().warnings;
    assert!(warnings.iter().any(|warning| warning.contains("is short")), "{warnings:?}");
    assert!(warnings.iter().any(|warning| warning.contains("is not https")), "{warnings:?}");
}

#[test]
fn a_file_that_is_not_there_is_one_fault() {
    let faults = Config::load_with(Some(Path::new("/nowhere/x.toml")), &Env::new(), fake::REGISTRY).unwrap_err();
    assert_eq!(faults.to_string(), "/nowhere/x.toml: 1 fault\n  cannot be read: there is no such file");
}

/// The provider sections of a shipped file replaced by the fake's, its files left unread.
fn with_fakes(text: &str, dir: &Path) -> String {
    let mut out = String::new();
    let mut inside = false;
    for line in text.lines() {
        if line.starts_with('[') {
            inside = false;
        }
        if let Some(name) = line.trim().strip_prefix("[channels.") {
            inside = true;
            out.push_str(&format!("[channels.fake]\naccount = \"{name}\"\n"));
        } else if line.starts_with("provider = ") {
            out.push_str("provider = \"fake\"\n");
        } else if line.starts_with("scenes = ") {
            out.push_str("scenes = [\"qr\"]\n");
        } else if !inside {
            out.push_str(&line.replace("data/secrets", &dir.display().to_string()));
            out.push('\n');
        }
    }
    out.replace("/etc/tongdao/secrets", &dir.display().to_string()).replace("m_shop", "m_demo")
}

struct Fixed;

impl crate::ports::Rng for Fixed {
    fn draw(&self) -> u128 {
        42
    }
}

#[test]
fn the_shipped_files_are_complete_and_without_fault() {
    let dir = tempfile::tempdir().unwrap();
    ensure_demo_secrets(dir.path(), &Fixed).unwrap();
    let config = read(&with_fakes(BUILT_IN, dir.path())).unwrap();
    let ids: Vec<&str> = config.channels.iter().map(|channel| channel.id.as_str()).collect();
    assert_eq!(ids, ["wechat-main", "alipay-main", "unionpay-main"]);
    assert!(config.merchant_key("key_demo_1").is_some());
    assert_eq!(config.warnings, Vec::<String>::new());
    assert_eq!(config.sandbox.as_ref().map(|sandbox| sandbox.listen.len()), Some(3));
    let example = include_str!("../../config/production.example.toml");
    assert!(read(&with_fakes(example, dir.path())).is_ok());
    assert_eq!(read_sandbox_servers(None, &Env::new()), config.sandbox);
}

#[tokio::test]
async fn the_built_in_configuration_starts_on_the_keys_that_the_sandbox_makes() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| format!("{}/{name}", dir.path().display());
    let sandbox = tongdao_sandbox::Sandbox::start(tongdao_sandbox::Options::new(at("sandbox"))).await.unwrap();
    ensure_demo_secrets(Path::new(&at("secrets")), &Fixed).unwrap();
    let text = BUILT_IN.replace("\"data/", &format!("\"{}/", dir.path().display()));
    let load = |text: &str| Config::read("built-in", text, &Env::new(), tongdao_providers::REGISTRY);
    let config = load(&text).unwrap_or_else(|faults| panic!("{faults}"));
    let accounts: Vec<&str> = config.channels.iter().map(|channel| channel.provider.account()).collect();
    assert_eq!(accounts, ["1900000001", "2021000000000001", "777290058110001"]);
    let printed = config.redacted_print();
    assert_eq!(load(&printed).unwrap_or_else(|faults| panic!("{faults}")).redacted_print(), printed);
    // Loopback addresses and test certificates belong to the sandbox: production refuses them, each at its line.
    let production = text.replace("environment = \"sandbox\"", "environment = \"production\"");
    let refused = load(&production).unwrap_err();
    for path in ["sandbox", "channels[0].wechatpay.base_url", "channels[1].alipay.gateway_url", "channels[2].unionpay"]
    {
        let named = |fault: &Fault| fault.path.starts_with(path) && matches!(fault.origin, Origin::Line(_));
        assert!(refused.list.iter().any(named), "{path}: {refused}");
    }
    drop(sandbox);
}
