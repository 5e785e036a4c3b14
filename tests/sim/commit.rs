//! A durable write: whole, absent or unknown, and perhaps the process's last.

use crate::faults::Fault;
use crate::world::{Crash, Event, Inner};
use tongdao::ports::{Batch, StoreError, Urgency};
use tongdao_core::ids::ChargeId;
use tongdao_core::planted::{Defect, planted};

impl Inner {
    /// A durable write, which may be the process's last.
    pub(crate) fn commit(&mut self, batch: &Batch, urgency: Urgency) -> Crash {
        if self.dead {
            return Crash::Yes;
        }
        if self.poisoned {
            return Crash::No(Err(StoreError::Closed));
        }
        let kind = kind_of(batch);
        if urgency == Urgency::Vital || self.dice.per_mille(500) {
            let share = self.plan.overload / 4;
            if self.strikes(share, Fault::Overloaded) {
                return Crash::No(Err(StoreError::Overloaded));
            }
        }
        if self.healed_at.is_none() && self.plan.crash > 0 && self.dice.per_mille(self.plan.crash) {
            return self.crash_in_commit(batch, kind);
        }
        Crash::No(self.write(batch))
    }

    fn crash_in_commit(&mut self, batch: &Batch, kind: &'static str) -> Crash {
        let way = self.dice.below(3);
        let fault = [Fault::CrashBefore, Fault::CrashAfter, Fault::CrashUnknown][way as usize];
        *self.crashed_on.entry((kind, fault.words())).or_default() += 1;
        if way == 2 {
            self.fired(fault);
            self.poisoned = true;
            if self.dice.per_mille(500) {
                drop(self.write(batch));
            }
            self.after(5, Event::Crash);
            return Crash::No(Err(StoreError::Unknown));
        }
        if way == 1 {
            drop(self.write(batch));
        }
        if way == 0 && planted(Defect::StoreAnswersEarly) {
            self.after(500, Event::Crash);
            return Crash::No(Ok(()));
        }
        self.die(fault);
        Crash::Yes
    }

    fn write(&mut self, batch: &Batch) -> Result<(), StoreError> {
        let mut batch = std::borrow::Cow::Borrowed(batch);
        if planted(Defect::StoreLosesTimers) && self.dice.per_mille(20) {
            batch.to_mut().timers.clear();
        }
        if planted(Defect::StoreIgnoresVersions) {
            let stored = |id: &ChargeId| self.kept.charges.get(id).map(|charge| charge.version);
            if let Some(write) = &mut batch.to_mut().charge {
                write.read_at_version = stored(&write.charge.id);
            }
        }
        let before = batch.charge.as_ref().and_then(|write| self.kept.charges.get(&write.charge.id).cloned());
        self.kept.apply(&batch)?;
        if let Some(write) = &batch.charge {
            let words = || {
                let kinds: Vec<String> = batch.events.iter().map(|event| event.kind.as_str().to_owned()).collect();
                format!(
                    "{} v{} {:?} {kinds:?}",
                    write.charge.merchant_order_no,
                    write.charge.version,
                    write.charge.status()
                )
            };
            let number = write.charge.merchant_order_no.len() as u64;
            self.note(&[write.charge.version, number, batch.events.len() as u64], words);
            self.check_step(before.as_ref(), &write.charge, &batch);
        }
        Ok(())
    }
}

/// What a durable write is about: its first event, or what else is in it.
fn kind_of(batch: &Batch) -> &'static str {
    match (batch.events.first(), &batch.charge) {
        (Some(event), _) => event.kind.as_str(),
        (None, Some(_)) => "timers and numbers",
        (None, None) if !batch.breaks.is_empty() => "break alone",
        (None, None) => "kept values",
    }
}
