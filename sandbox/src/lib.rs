//! The other side of the wire: WeChat Pay, Alipay and UnionPay servers over real HTTP, with their own ledger, real keys,
//! faults on demand and simulated payers.
//!
//! Written from the providers' documents alone and never from the crate that talks to them, so that two readings meet on
//! the wire. `Sandbox::start` opens four sockets (three providers and a control server with a page for people); several
//! sandboxes may run in one process. Guards: the ledger is the truth a test compares with; without a fault set, every
//! server behaves as documented. Must not know: the daemon.

mod alipay;
mod callbacks;
mod clock;
mod control;
mod dice;
mod faults;
mod formats;
#[cfg(test)]
mod inbox;
mod keys;
mod ledger;
mod options;
mod payers;
mod refunds;
mod serve;
mod statements;
mod tasks;
mod unionpay;
mod wechatpay;
mod wire;
mod world;

use std::net::SocketAddr;
use std::sync::Arc;

use serde::Serialize;

pub use callbacks::{CallbackView, PreparedCallback};
pub use clock::Clock;
pub use faults::{Fault, FaultKind, FaultScope, FaultSetting, Operation, StatementFault};
pub use keys::KeysError;
pub use ledger::{LedgerView, OrderState, OrderView, PaymentView, RefundState, RefundView};
pub use options::{Accounts, AlipayAccount, Options, ProviderName, UnionpayAccount, WechatpayAccount};
pub use payers::{PayerHabits, ScanRefused, ScanRequest, Scanned};
pub use statements::{Fill, FillRefused, Filled, Planted, PlantedKind, Returned};

use wire::Wire;
use world::World;

/// Why a sandbox did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Keys could not be made or read.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// A socket could not be bound.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The client for callbacks could not be built.
    #[error("the callback client could not be built: {0}")]
    Client(#[from] reqwest::Error),
    /// The thread that makes keys died.
    #[error("keys could not be made: {0}")]
    Join(#[from] tokio::task::JoinError),
}

/// Where the servers listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Addresses {
    /// WeChat Pay; the base URL is `http://` and this.
    pub wechatpay: SocketAddr,
    /// Alipay; the gateway is `/gateway.do` there.
    pub alipay: SocketAddr,
    /// UnionPay; the paths are `/gateway/api/….do` there.
    pub unionpay: SocketAddr,
    /// The control server and its page.
    pub control: SocketAddr,
}

/// Running provider servers. Dropping it stops them.
pub struct Sandbox {
    world: Arc<World>,
    addresses: Addresses,
}

impl Sandbox {
    /// Makes or reads the keys and opens the sockets. The first start with an empty `keys_dir` takes a second or two.
    pub async fn start(options: Options) -> Result<Self, StartError> {
        let (keys_dir, accounts) = (options.keys_dir.clone(), options.accounts.clone());
        let keys = tokio::task::spawn_blocking(move || keys::Keys::open(&keys_dir, &accounts)).await??;
        let world = Arc::new(World {
            clock: options.clock.clone(),
            dice: dice::Dice::new(options.seed ^ options.clock.now().unsigned_abs().rotate_left(20)),
            accounts: options.accounts.clone(),
            keys,
            ledger: ledger::Ledger::default(),
            faults: faults::Faults::new(),
            payers: payers::Payers::new(options.payers.clone()),
            callbacks: callbacks::Callbacks::new()?,
            statements: statements::Statements::new(options.statements_ready_at_once),
            tasks: tasks::Tasks::new(),
            unit_ms: options.callback_unit_ms,
        });
        let serve = async |wire: &dyn Wire, address| {
            serve::listen(&world, Some(wire.provider()), address, wire.router(&world))
                .await
                .map_err(|source| StartError::Listen { address, source })
        };
        let wechatpay = serve(&wechatpay::Wechatpay, options.wechatpay).await?;
        let alipay = serve(&alipay::Alipay, options.alipay).await?;
        let unionpay = serve(&unionpay::Unionpay, options.unionpay).await?;
        let address = options.control;
        let control = serve::listen(&world, None, address, control::router(&world))
            .await
            .map_err(|source| StartError::Listen { address, source })?;
        Ok(Self { addresses: Addresses { wechatpay, alipay, unionpay, control }, world })
    }

    /// Where the servers listen.
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// The accounts the servers know.
    pub fn accounts(&self) -> &Accounts {
        &self.world.accounts
    }

    /// A payer scans a code and pays.
    pub fn scan(&self, request: &ScanRequest) -> Result<Scanned, ScanRefused> {
        payers::scan(&self.world, request)
    }

    /// A payer pays and the callback is signed but not sent: its holder sends it. For measuring.
    pub fn pay_and_prepare(&self, request: &ScanRequest) -> Result<PreparedCallback, ScanRefused> {
        let key = payers::pay_untold(&self.world, request)?;
        callbacks::prepare(&self.world, &key).ok_or(ScanRefused::Unknown)
    }

    /// Sets a fault, replacing the one of the same scope.
    pub fn set_fault(&self, setting: FaultSetting) {
        self.world.faults.set(setting);
    }

    /// Removes the fault of one scope.
    pub fn remove_fault(&self, scope: &FaultScope) {
        self.world.faults.remove(scope);
    }

    /// Removes every fault.
    pub fn clear_faults(&self) {
        self.world.faults.clear();
    }

    /// Sets what simulated payers do with codes made from now on.
    pub fn set_payers(&self, habits: PayerHabits) {
        self.world.payers.set(habits);
    }

    /// The providers' books.
    pub fn ledger(&self) -> LedgerView {
        self.world.ledger.read(ledger::Book::view)
    }

    /// Every callback sent so far, oldest first.
    pub fn callbacks(&self) -> Vec<CallbackView> {
        self.world.callbacks.records()
    }

    /// Announces the payment of a paid order once more; false when it is not paid.
    pub fn resend_callback(&self, provider: ProviderName, account: &str, order_no: &str) -> bool {
        let key = ledger::OrderKey { provider, account: account.to_owned(), order_no: order_no.to_owned() };
        callbacks::resend(&self.world, &key)
    }

    /// Brings a pending refund to its end now; false when it is not pending.
    pub fn end_refund(&self, provider: ProviderName, account: &str, refund_no: &str, state: RefundState) -> bool {
        let key = ledger::RefundKey { provider, account: account.to_owned(), refund_no: refund_no.to_owned() };
        refunds::finish(&self.world, key, state)
    }

    /// Changes a refund's state after its end, as a card that is refused days later does, and announces it; false when
    /// there is no such refund or it stands so already.
    pub fn turn_refund(&self, provider: ProviderName, account: &str, refund_no: &str, state: RefundState) -> bool {
        let key = ledger::RefundKey { provider, account: account.to_owned(), refund_no: refund_no.to_owned() };
        refunds::turn(&self.world, key, state)
    }

    /// Books payments and refunds that nobody made over HTTP, spread evenly over a statement's day (`yyyy-MM-dd`), and
    /// answers them in the same order. All of them or, when one is refused, none. No callback is sent.
    pub fn fill(
        &self,
        provider: ProviderName,
        account: &str,
        day: &str,
        wishes: &[Fill],
    ) -> Result<Vec<Filled>, FillRefused> {
        statements::fill(&self.world, (provider, account), day, wishes)
    }

    /// Every difference that faults worked into statements, as each day's file was last asked for.
    pub fn planted(&self) -> Vec<Planted> {
        self.world.statements.planted()
    }

    /// Whether a day's statement is there at once, today's too.
    pub fn set_statements_ready_at_once(&self, at_once: bool) {
        self.world.statements.set_ready_at_once(at_once);
    }

    /// Closes every socket and ends every task.
    pub async fn stop(self) {
        self.world.tasks.stopped().await;
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.world.tasks.stop();
    }
}
