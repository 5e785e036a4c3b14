//! `tongdao sandbox`: the provider servers alone, for a daemon that runs elsewhere or is being worked on.
//!
//! Invariant: it listens where the configuration's `[sandbox]` section says and knows the accounts that its channels
//! name; it reads nothing else of the configuration, so a missing secret does not stand in its way.

use super::Context;
use super::exit::{Exit, Stop};
use crate::daemon::start_sandbox;
use crate::metrics::Metrics;
use anyhow::Context as _;
use clap::Args;
use serde_json::json;

/// The servers take everything from the configuration.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tongdao sandbox --config sandbox.toml\n  \
                        tongdao serve                # has them beside it where the configuration asks for them")]
pub(crate) struct SandboxArgs {}

pub(crate) async fn run(context: &Context, _args: &SandboxArgs) -> anyhow::Result<Exit> {
    crate::log::init(&context.env, Metrics::new(&[])?.log_messages())?;
    let started = start_sandbox(context.config_path.as_deref(), &context.env).await;
    let Some(sandbox) = started.context("the sandbox providers did not start")? else {
        return Err(Stop::Usage("the configuration has no [sandbox] section that can be read".to_owned()).into());
    };
    let at = sandbox.addresses();
    let document = json!({
        "wechatpay": format!("http://{}", at.wechatpay),
        "alipay": format!("http://{}/gateway.do", at.alipay),
        "unionpay": format!("http://{}", at.unionpay),
        "control": format!("http://{}", at.control),
    });
    context.out.either(&document, || {
        format!(
            "the sandbox providers are ready\n  WeChat Pay   http://{}\n  Alipay       http://{}/gateway.do\n  \
             UnionPay     http://{}\n  pay codes at http://{}",
            at.wechatpay, at.alipay, at.unionpay, at.control
        )
    })?;
    tokio::signal::ctrl_c().await?;
    sandbox.stop().await;
    Ok(Exit::Fine)
}
