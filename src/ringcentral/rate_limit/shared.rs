//! The limits of one user and app, shared by its accounts and, with a state directory, by processes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::clock::Moment;
use crate::ringcentral::rate_limit::presence::PresencePages;
use crate::ringcentral::rate_limit::saved::SavedUsage;
use crate::ringcentral::rate_limit::usage::Usage;
use crate::state_directory::StateDirectory;

/// A usage that accounts share. With a file, each change is one step with a read before and a write after it, so
/// that no two processes send the same request of the limit, and a killed one leaves what it has used.
#[derive(Debug)]
pub struct SharedUsage {
    process: u64,
    // Never held across an await. A panic inside is a bug that leaves counts that are too high at worst.
    usage: Mutex<Usage>,
    file: Option<UsageFile>,
}

/// The place of a usage in the state directory.
#[derive(Debug)]
pub(crate) struct UsageFile {
    pub(crate) directory: Arc<StateDirectory>,
    pub(crate) name: String,
}

impl SharedUsage {
    /// Creates a usage and reads its file, if it has one. `process` is the id of this process.
    pub(crate) fn new(process: u64, file: Option<UsageFile>, now: Moment) -> Self {
        let shared = Self {
            process,
            file,
            ..Self::unshared()
        };
        shared.refresh(now);
        shared
    }

    /// Creates a usage that nothing else shares.
    pub(crate) fn unshared() -> Self {
        Self {
            process: 0,
            usage: Mutex::new(Usage::new()),
            file: None,
        }
    }

    /// Reads what other processes have written.
    pub(crate) fn refresh(&self, now: Moment) {
        if let Some(file) = &self.file
            && let Some(saved) = file.directory.read(&file.name)
        {
            let mut usage = self.lock();
            usage.adopt(saved, self.process, now);
            usage.update_share(now);
        }
    }

    /// Returns what `read` finds in the usage, as far as this process knows it.
    pub(crate) fn read<R>(&self, read: impl FnOnce(&Usage) -> R) -> R {
        read(&self.lock())
    }

    /// Changes the usage, after reading what other processes have written, and saves it.
    pub(crate) fn update<R>(&self, now: Moment, change: impl FnOnce(&mut Usage) -> R) -> R {
        let mut usage = self.lock();
        let Some(file) = &self.file else {
            let result = change(&mut usage);
            usage.update_share(now);
            return result;
        };
        file.directory
            .update(&file.name, |saved: Option<SavedUsage>| {
                if let Some(saved) = saved {
                    usage.adopt(saved, self.process, now);
                }
                let result = change(&mut usage);
                usage.update_share(now);
                (usage.saved(self.process, now), result)
            })
    }

    /// Takes over what the response to a login has reported, and what the former usage has recorded, unless that is the
    /// usage of another user.
    pub(crate) fn take_over(&self, former: &Self, was_other_user: bool, now: Moment) {
        let former_usage = former.read(Usage::clone);
        let saved = former_usage.saved(former.process, now);
        self.update(now, |usage| {
            if !was_other_user {
                usage.absorb(saved, now);
            }
            usage.take_login_report(&former_usage);
        });
    }

    /// Records that an account waits for room in the window. Other processes need not know.
    pub(crate) fn record_wait(&self, account: u64, pages: u32, now: Moment) {
        self.lock().record_wait(account, pages, now);
    }

    /// Sets the presence pages of an account. Only their number matters to other processes, see [`SharedUsage::update`].
    pub(crate) fn set_presence(&self, account: u64, presence: PresencePages, now: Moment) {
        let mut usage = self.lock();
        usage.set_presence(account, presence);
        usage.update_share(now);
    }

    /// Forgets an account whose budget is dropped.
    pub(crate) fn remove_account(&self, account: u64) {
        self.lock().remove_account(account);
    }

    /// Returns whether nothing is known that a later request depends on.
    pub(crate) fn is_unused(&self, now: Moment) -> bool {
        self.read(|usage| usage.is_unused(now))
    }

    fn lock(&self) -> MutexGuard<'_, Usage> {
        self.usage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
