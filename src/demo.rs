//! `tongdao demo`: a minute of business with everything going wrong that goes wrong in life, and then three books that
//! have to agree to the fen.
//!
//! The providers and the platform run in here; the daemon is this very program, started as a child the way anybody
//! starts it. Invariant: the exit code is 0 only if what the providers kept, what the daemon says and what the
//! platform shipped are equal for every order. It looks at the daemon from outside only: API, metrics, log.

mod books;
mod cast;
pub(crate) mod child;
mod count;
mod day_end;
mod dice;
pub(crate) mod narrator;
pub(crate) mod payers;
pub(crate) mod platform;
mod scenes;
pub(crate) mod scratch;

use crate::client::MerchantClient;
use crate::clock::Stopwatch;
use crate::tasks::Tasks;
use books::{Row, Sums, add_up};
use cast::{Cast, percent};
use child::Daemon;
use narrator::{Narrator, Tone, table, yuan};
use platform::Platform;
use scratch::{CHANNELS, KEY_ID, Ports, Scratch};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tongdao_sandbox::{Options, Sandbox};

/// The story and the settling together never take longer, at the usual pace.
const HARD_STOP: Duration = Duration::from_secs(150);
/// Everything paid is delivered or refunded by then.
const SETTLE_MAX: Duration = Duration::from_secs(60);
const TICK: Duration = Duration::from_secs(1);
const USUAL_S: u64 = 60;
/// Of what differs, so many orders are printed.
const SHOWN_MAX: usize = 20;

/// What the demo takes.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Draws the payers; the same seed draws the same ones
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// About how long the story takes
    #[arg(long, default_value_t = USUAL_S, value_parser = clap::value_parser!(u64).range(20..=600))]
    pub seconds: u64,
    /// Keep the directory with configuration, keys, store and the daemon's log
    #[arg(long)]
    pub keep: bool,
    /// One JSON document on standard output at the end, and the story on standard error: the command line's `--json`.
    #[arg(skip)]
    pub json: bool,
    /// No colours: the command line's `--no-color`.
    #[arg(skip)]
    pub no_color: bool,
}

/// Plays the demo; exit code 0 when the books agree, else 1.
///
/// # Errors
/// When something could not be set up, or the daemon does not start.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let no_color = args.no_color || std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let narrator = Narrator::new(args.json, no_color);
    let mut stage = tokio::select! {
        stage = Stage::set(&args, narrator) => stage?,
        () = told_to_stop() => anyhow::bail!("interrupted"),
    };
    let hard_stop = HARD_STOP.max(HARD_STOP.saturating_mul(u32::try_from(args.seconds / USUAL_S)?));
    let told = tokio::select! {
        told = tokio::time::timeout(hard_stop, stage.tell()) => told,
        () = told_to_stop() => Ok(Err(anyhow::anyhow!("interrupted"))),
    };
    let result = match told {
        Ok(Ok(sums)) => Ok(stage.conclude(&sums)),
        Ok(Err(error)) => Err(error),
        Err(_) => Ok(stage.cut_short().await),
    };
    stage.strike().await?;
    result
}

/// Ctrl-C or SIGTERM: the daemon and the directory must not stay behind.
async fn told_to_stop() {
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return std::future::pending().await };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}

/// Everything that runs.
struct Stage {
    cast: Arc<Cast>,
    daemon: Daemon,
    platform: Platform,
    tasks: Tasks,
    seconds: u64,
    /// The callbacks sent while some were lost, as positions among all.
    lost_from: usize,
    lost_to: usize,
    /// Last: it is removed after what writes into it.
    scratch: Scratch,
}

impl Stage {
    async fn set(args: &Args, narrator: Narrator) -> anyhow::Result<Self> {
        narrator.say(Tone::Scene, "通道 Tongdao: 一分钟演示 a minute of business, and of everything that can go wrong");
        let scratch = Scratch::new(args.keep)?;
        let ports = Ports::free()?;
        let options = Options { seed: args.seed, ..Options::new(scratch.path("keys")) };
        let sandbox = Sandbox::start(options).await?;
        narrator.say(Tone::Good, "渠道沙箱 providers: 微信支付 WeChat Pay, 支付宝 Alipay, 银联 UnionPay");
        let config = scratch.configure(&sandbox, &ports, "")?;
        let mut platform = Platform::new(ports.platform, &scratch.secret("m_demo.whsec")?)?;
        platform.open().await?;
        narrator.say(Tone::Good, &format!("卡券平台 card platform: {}", ports.platform));
        let mut daemon = Daemon::new(&scratch, config, ports.admin)?;
        let ms = daemon.start().await?;
        narrator.say(Tone::Good, &format!("本系统 daemon: http://{} (pid {}, {ms} ms)", ports.public, daemon.pid()));
        narrator.say(Tone::Faint, &format!("目录 directory: {}", scratch.dir().display()));
        let client = MerchantClient::new(format!("http://{}", ports.public), KEY_ID, scratch.secret("m_demo.key")?)?;
        let cast = Arc::new(Cast::new(sandbox, client, narrator, args.seed));
        let tasks = Tasks::new();
        Ok(Self { cast, daemon, platform, tasks, seconds: args.seconds, lost_from: 0, lost_to: 0, scratch })
    }

    /// The story, and then the books.
    async fn tell(&mut self) -> anyhow::Result<Sums> {
        self.tasks.spawn("arrivals", payers::arrive(self.cast.clone(), self.tasks.clone()));
        self.tasks.spawn("progress", tick(self.cast.clone(), self.platform.clone()));
        self.play().await?;
        self.cast.close();
        self.settle().await?;
        self.day_end().await?;
        let sums = self.settle().await?;
        self.read_confirmations().await;
        Ok(sums)
    }

    /// Waits until every payment is delivered or refunded, as far as the books show.
    async fn settle(&self) -> anyhow::Result<Sums> {
        self.cast.narrator.say(Tone::Scene, "结清 settling: 每笔款都已发货或退回 every yuan delivered or returned");
        let took = Stopwatch::start();
        let mut agreed = false;
        loop {
            let books = count::read_books(&self.cast, &self.platform).await;
            let late = took.elapsed() > SETTLE_MAX;
            let walking = self.cast.tally().walking;
            let (settled, missing) = match books.map(|books| add_up(&books)) {
                // Twice in a row: goods that go out a second time need a moment to do so.
                Ok(sums) if late || (agreed && walking == 0 && sums.agree()) => return Ok(sums),
                Ok(sums) => (walking == 0 && sums.agree(), format!("{} open differences", sums.differences.len())),
                Err(error) if late => {
                    self.cast.narrator.block(&self.daemon.last_words());
                    return Err(error);
                }
                Err(error) => (false, format!("{error:#}")),
            };
            agreed = settled;
            self.cast.waiting_for(format!("settling: {walking} payers on their way, {missing}"));
            tokio::time::sleep(TICK).await;
        }
    }

    /// A scene's length at this run's pace.
    async fn wait(&self, seconds: u64) {
        let ms = seconds.saturating_mul(1000).saturating_mul(self.seconds) / USUAL_S;
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }

    async fn read_confirmations(&self) {
        let page = self.daemon.page("/metrics").await;
        count::read_confirmations(&page, &mut self.cast.tally());
    }

    /// Prints the books; the exit code says whether they agree.
    fn conclude(&self, sums: &Sums) -> ExitCode {
        let (narrator, tally, shop) = (&self.cast.narrator, self.cast.tally().clone(), self.platform.counts());
        narrator.block(&book_table(sums));
        let facts = [
            format!("订单 {} orders, 付款 {} payments, 放弃 {} left", tally.orders, tally.paid, tally.abandoned),
            format!(
                "查单确认 {} found by asking, 重复通知 {} repeated webhooks, 伪造 {} forged",
                tally.by_query.total(),
                shop.repeats,
                shop.forged
            ),
        ];
        for fact in &facts {
            narrator.say(Tone::Faint, fact);
        }
        for odd in &tally.odd {
            narrator.say(Tone::Plain, &format!("意外 odd: {odd}"));
        }
        for difference in sums.differences.iter().take(SHOWN_MAX) {
            narrator.say(Tone::Bad, &difference.to_string());
        }
        let agree = sums.agree();
        if agree {
            let kept = yuan(sums.total().shipped);
            narrator.say(Tone::Good, &format!("三本账分毫不差 the three books agree to the fen: ¥{kept}"));
        } else {
            let count = sums.differences.len();
            narrator.say(Tone::Bad, &format!("三本账不符 the books do not agree: {count} differences"));
        }
        narrator.document(&serde_json::json!({
            "agree": agree, "seed": self.cast.seed, "elapsed_ms": narrator.elapsed_ms(), "channels": sums.rows,
            "total": sums.total(), "differences": sums.differences, "orders": tally.orders, "payments": tally.paid,
            "confirmed_by_query": tally.by_query.total(), "repeated_webhooks": shop.repeats, "odd": tally.odd,
        }));
        if agree { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    /// The hard stop: what was missing.
    async fn cut_short(&self) -> ExitCode {
        let waiting_for = self.cast.tally().waiting_for.clone();
        let narrator = &self.cast.narrator;
        narrator.say(Tone::Bad, &format!("超时 out of time while: {waiting_for}"));
        let read = tokio::time::timeout(Duration::from_secs(5), count::read_books(&self.cast, &self.platform)).await;
        match read {
            Ok(Ok(books)) => {
                self.conclude(&add_up(&books));
            }
            Ok(Err(error)) => narrator.say(Tone::Bad, &format!("{error:#}")),
            Err(_) => narrator.say(Tone::Bad, "本系统不应答 the daemon does not answer"),
        }
        narrator.block(&self.daemon.last_words());
        ExitCode::FAILURE
    }

    /// Ends everything; the directory goes last.
    async fn strike(mut self) -> anyhow::Result<()> {
        self.cast.close();
        self.tasks.stop(Duration::from_millis(200)).await;
        self.platform.close().await;
        self.daemon.kill().await?;
        drop(self.scratch);
        Ok(())
    }
}

/// Keeps the progress line fresh.
async fn tick(cast: Arc<Cast>, platform: Platform) {
    let mut clock = tokio::time::interval(TICK);
    loop {
        clock.tick().await;
        let now_ms = cast.narrator.elapsed_ms();
        let tally = cast.tally().clone();
        let [a, b, c] = percent(tally.codes_between(now_ms.saturating_sub(3000), now_ms));
        let shipped = platform.counts().shipped;
        cast.narrator.progress(&format!(
            "orders {} · paid {} · shipped {shipped} │ 微信 {a}% 支付宝 {b}% 银联 {c}%",
            tally.orders, tally.paid
        ));
    }
}

/// The three books, a row a channel, in fen.
fn book_table(sums: &Sums) -> String {
    let name =
        |id: &str| CHANNELS.iter().find(|channel| channel.id == id).map_or(id, |channel| channel.name).to_owned();
    let total = Row { channel: "合计 total".to_owned(), ..sums.total() };
    let rows = sums.rows.iter().chain([&total]).map(|row| {
        let (theirs, ours) = (&row.providers, &row.daemon);
        vec![
            name(&row.channel),
            format!("{}·{}", theirs.payments, theirs.taken),
            format!("{}·{}", theirs.refunds, theirs.returned),
            theirs.taken.saturating_sub(theirs.returned).to_string(),
            ours.taken.saturating_sub(ours.returned).to_string(),
            format!("{}·{}", row.shipments, row.shipped),
        ]
    });
    let heading =
        ["笔·分 count·fen", "渠道收 taken", "渠道退 returned", "渠道净 net", "本系统 daemon", "已发货 shipped"];
    table(&heading, rows.collect())
}
