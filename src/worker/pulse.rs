//! Four times a second the router's time moves on, and what it wants to ask its providers is asked.
//!
//! Invariant: questions are bounded, at once and in waiting; one that finds no room is dropped, because the attempt's own
//! timer asks anyway. If all this stops, charges are still routed and money is still watched.

use crate::flow::{Flow, Question};
use crate::tasks::Tasks;
use std::sync::Arc;
use tokio::sync::Semaphore;

const EVERY_MS: i64 = 250;
/// Questions on their way to providers: a channel's own limits leave room for charges beside them.
const AT_ONCE_MAX: usize = 16;
const WAITING_MAX: usize = 1024;

/// Runs until the tasks are told to stop.
pub async fn pulse(flow: Arc<Flow>, tasks: Tasks) {
    let (at_once, waiting) = (Arc::new(Semaphore::new(AT_ONCE_MAX)), Arc::new(Semaphore::new(WAITING_MAX)));
    loop {
        for question in flow.pulse() {
            let Ok(place) = waiting.clone().try_acquire_owned() else {
                tracing::debug!("the router's questions wait in a crowd: this one is not asked");
                break;
            };
            let (flow, at_once) = (flow.clone(), at_once.clone());
            tasks.spawn("question", async move {
                let turn = at_once.acquire().await;
                ask(&flow, question).await;
                drop((turn, place));
            });
        }
        tokio::select! {
            () = tasks.stopped() => return,
            () = flow.clock.sleep_until(flow.clock.now().plus_ms(EVERY_MS)) => {}
        }
    }
}

async fn ask(flow: &Flow, question: Question) {
    if let Err(error) = flow.ask_for_router(question).await {
        tracing::debug!(%error, "a question of the router's came to nothing");
    }
}
