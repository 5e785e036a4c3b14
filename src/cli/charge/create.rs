//! `tongdao charge create`: the first charge, signed as a merchant signs it.
//!
//! Invariant: the request goes to the public address under a merchant's own key, so that what works here works for
//! the merchant; the secret comes from the configuration, a file or the environment and is never shown.

use super::show;
use crate::cli::documents::ChargeDoc;
use crate::cli::exit::{Exit, Problem, Stop};
use crate::cli::{Context, qr, show as write};
use crate::client::{ClientError, MerchantClient, causes};
use crate::clock::SystemClock;
use crate::config::Config;
use crate::ports::Clock as _;
use clap::Args;
use serde_json::{Map, Value, json};
use std::path::PathBuf;
use tongdao_core::money::Money;
use tongdao_core::secret::Secret;

/// What the charge is, and whose key signs it.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  tongdao charge create --amount 19.99 --subject 演示月卡\n  \
                        tongdao charge create --amount 0.01 --method alipay --order order-1\n  \
                        TONGDAO_KEY_SECRET=… tongdao charge create --amount 1 --url https://pay.example --key-id key_1")]
pub(crate) struct CreateArgs {
    /// Yuan, with at most two decimals: 18.80
    #[arg(long, value_name = "YUAN", value_parser = read_amount)]
    amount: i64,
    /// What the payer reads
    #[arg(long, default_value = "tongdao charge create")]
    subject: String,
    /// The merchant's order number; the same number again shows the same charge [default: a new one]
    #[arg(long, value_name = "NUMBER")]
    order: Option<String>,
    /// Where the payer stands: qr, h5, web, jsapi, app
    #[arg(long, default_value = "qr")]
    scene: String,
    /// What the payer can use: wechatpay, alipay, unionpay; may be repeated [default: all]
    #[arg(long, value_name = "METHOD")]
    method: Vec<String>,
    /// This channel and no other
    #[arg(long, value_name = "CHANNEL")]
    channel: Option<String>,
    /// Where the webhooks go [default: the merchant's]
    #[arg(long, value_name = "URL")]
    notify_url: Option<String>,
    /// Seconds that the charge stays open, 60 to 1800
    #[arg(long, value_name = "SECONDS")]
    expires_in: Option<u32>,
    /// Whose charge it is [default: the configuration's first merchant]
    #[arg(long, value_name = "MERCHANT")]
    merchant: Option<String>,
    /// The public address [default: the configuration's]
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// The API key's id [default: the merchant's first in the configuration]
    #[arg(long, value_name = "KEY", env = "TONGDAO_KEY_ID")]
    key_id: Option<String>,
    /// A file with the API key's secret [default: TONGDAO_KEY_SECRET, else the configuration's]
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// Do not draw the code in the terminal
    #[arg(long)]
    no_qr: bool,
    /// Print the signed request's body and send nothing
    #[arg(long)]
    dry_run: bool,
}

/// Where to send, and the key that signs.
struct Signer {
    url: String,
    key_id: String,
    secret: Secret,
}

const SECRET_VARIABLE: &str = "TONGDAO_KEY_SECRET";
const PATH: &str = "/v1/charges";

pub(super) async fn run(context: &Context, args: &CreateArgs) -> anyhow::Result<Exit> {
    let signer = signer(context, args)?;
    let body = request_body(args);
    if args.dry_run {
        let said = || format!("would post to {}{PATH} under {}:\n{body:#}", signer.url, signer.key_id);
        context.out.either(&json!({ "dry_run": true, "url": signer.url, "body": body }), said)?;
        return Ok(Exit::Fine);
    }
    let charge = post(signer, &body).await?;
    let doc: ChargeDoc = serde_json::from_value(charge.clone())?;
    let drawn = !args.no_qr && context.out.is_terminal();
    context.out.either(&charge, || created(&doc, drawn))?;
    Ok(Exit::Fine)
}

fn request_body(args: &CreateArgs) -> Value {
    let order = args.order.clone().unwrap_or_else(|| format!("cli-{}", SystemClock::new().now().0));
    let mut body = Map::new();
    let mut set = |name: &str, value: Value| body.insert(name.to_owned(), value);
    set("merchant_order_no", json!(order));
    set("amount", json!(args.amount));
    set("subject", json!(args.subject));
    set("scene", json!(args.scene));
    if !args.method.is_empty() {
        set("payer", json!({ "methods": args.method }));
    }
    for (name, value) in [("channel", &args.channel), ("notify_url", &args.notify_url)] {
        if let Some(value) = value {
            set(name, json!(value));
        }
    }
    if let Some(seconds) = args.expires_in {
        set("expires_in", json!(seconds));
    }
    Value::Object(body)
}

fn created(charge: &ChargeDoc, drawn: bool) -> String {
    let mut lines = Vec::new();
    let pay = charge.attempt.as_ref().and_then(|attempt| attempt.pay.as_ref());
    let text = |name: &str| pay.and_then(|pay| pay.get(name)).and_then(Value::as_str);
    let code = text("url");
    if let Some(picture) = code.filter(|_| drawn && text("type") == Some("qr_code")).and_then(qr::draw) {
        lines.push(picture);
    }
    lines.push(show::charge(charge));
    if let Some(code) = code {
        let until = text("expires_at").map(|at| format!(" (until {})", write::moment(at)));
        lines.push(format!("pay:   {code}{}", until.unwrap_or_default()));
    } else if let Some(pay) = pay {
        lines.push(format!("pay:   {pay}"));
    }
    lines.join("\n")
}

async fn post(signer: Signer, body: &Value) -> Result<Value, Stop> {
    let url = signer.url.clone();
    let unreachable = |error: ClientError| Stop::Unreachable(format!("{url}: {}", causes(&error)));
    let client = MerchantClient::new(signer.url, signer.key_id, signer.secret).map_err(unreachable)?;
    match client.post(PATH, body).await.map_err(unreachable)? {
        (status, charge) if status < 400 => Ok(charge),
        (status, problem) => {
            let problem: Problem = serde_json::from_value(problem).unwrap_or_default();
            Err(Stop::problem(Problem { status, ..problem }))
        }
    }
}

/// The key comes from the command line as a whole, or from the configuration.
fn signer(context: &Context, args: &CreateArgs) -> anyhow::Result<Signer> {
    let secret =
        match (&args.key_file, context.env.get(SECRET_VARIABLE)) {
            (Some(path), _) => Some(without_newline(std::fs::read(path).map_err(|error| {
                Stop::Usage(format!("cannot read the key in {}: {}", path.display(), error.kind()))
            })?)),
            (None, Some(text)) => Some(without_newline(text.clone().into_bytes())),
            (None, None) => None,
        };
    let url = |url: &str| url.trim_end_matches('/').to_owned();
    if let (Some(secret), Some(key_id), Some(named)) = (&secret, &args.key_id, &args.url) {
        return Ok(Signer { url: url(named), key_id: key_id.clone(), secret: secret.clone() });
    }
    let config = context.load_config()?;
    let (key_id, configured) = configured_key(&config, args)?;
    let public = args.url.as_deref().unwrap_or(&config.server.public_url);
    Ok(Signer { url: url(public), key_id, secret: secret.unwrap_or(configured) })
}

fn configured_key(config: &Config, args: &CreateArgs) -> Result<(String, Secret), Stop> {
    let mut keys = config.merchants.iter().flat_map(|merchant| merchant.keys.iter().map(move |key| (merchant, key)));
    let wanted = |merchant: &str, key: &str| {
        args.merchant.as_deref().is_none_or(|wanted| wanted == merchant)
            && args.key_id.as_deref().is_none_or(|wanted| wanted == key)
    };
    let found = keys.find(|(merchant, key)| wanted(merchant.id.as_str(), &key.id));
    let found = found.map(|(_, key)| (key.id.clone(), Secret::new(key.secret.bytes().to_vec())));
    found.ok_or_else(|| Stop::Usage("the configuration has no such merchant or key".to_owned()))
}

fn without_newline(mut bytes: Vec<u8>) -> Secret {
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
    }
    if bytes.last() == Some(&b'\r') {
        bytes.pop();
    }
    Secret::new(bytes)
}

/// Yuan on the command line, as fen.
pub(crate) fn read_amount(text: &str) -> Result<i64, String> {
    let amount = Money::read_yuan(text).map_err(|_| "expected yuan such as 18.80".to_owned())?;
    if amount.amount > 0 { Ok(amount.amount) } else { Err("must be more than nothing".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_file_loses_its_newline_and_nothing_else() {
        assert_eq!(without_newline(b"key \n".to_vec()).bytes(), b"key ");
        assert_eq!(without_newline(b"key\r\n".to_vec()).bytes(), b"key");
        assert_eq!(without_newline(b"key".to_vec()).bytes(), b"key");
    }

    #[test]
    fn an_amount_is_yuan_and_more_than_nothing() {
        assert_eq!(read_amount("18.80"), Ok(1880));
        assert!(read_amount("0").is_err() && read_amount("1.234").is_err() && read_amount("-1").is_err());
    }
}
