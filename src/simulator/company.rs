//! The simulated company: its extensions, call queues and their agents.

use fastrand::Rng;

use crate::simulator::random::{choose, hash_seed};

const FIRST_NAMES: [&str; 16] = [
    "Ada", "Bela", "Carmen", "Dario", "Edda", "Farid", "Greta", "Hugo", "Ines", "Jonas", "Kaya",
    "Lars", "Mina", "Noor", "Olga", "Pavel",
];
const LAST_NAMES: [&str; 13] = [
    "Abel", "Brook", "Costa", "Dahl", "Ekholm", "Fink", "Garcia", "Holm", "Ivanov", "Jansen",
    "Keller", "Lund", "Moreau",
];
const QUEUE_NAMES: [&str; 6] = [
    "Sales",
    "Support",
    "Billing",
    "Orders",
    "Returns",
    "Front Desk",
];
const AGENTS_PER_QUEUE: usize = 9;

/// One extension of the account's list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extension {
    /// RingCentral's identifier, larger than 32 bits; not the number to dial.
    pub id: u64,
    /// Number to dial; absent for unassigned extensions.
    pub number: Option<String>,
    /// Name of a fictitious person, or purpose of the extension.
    pub name: String,
    /// `User`, `Department` (a queue), `IvrMenu` or `Announcement`.
    pub kind: &'static str,
    /// `Enabled`, `Disabled`, `NotActivated` or `Unassigned`; sometimes absent, as at RingCentral.
    pub status: Option<&'static str>,
}

/// A call queue and its agents, as positions in [`Company::extensions`].
#[derive(Clone, Debug)]
pub(super) struct Queue {
    pub(super) extension: usize,
    pub(super) agents: Vec<usize>,
}

/// How the queues ring their agents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ringing {
    /// Up to four agents at the same time.
    #[default]
    Simultaneous,
    /// Up to eight agents one after another, with 3 s between them in which no record is live.
    Sequential,
}

/// The company and its extensions.
#[derive(Clone, Debug)]
pub struct Company {
    /// Identifier of the account and of its system extension.
    pub account_id: u64,
    /// All extensions, the system extension first.
    pub extensions: Vec<Extension>,
    /// How the queues ring their agents; default simultaneously.
    pub ringing: Ringing,
    pub(super) users: Vec<usize>,
    pub(super) queues: Vec<Queue>,
}

impl Company {
    /// Creates a company of `size` extensions, but at least 12.
    pub fn new(size: usize, seed: u64) -> Company {
        let mut rng = Rng::with_seed(hash_seed(seed, 0xC0));
        let account_id = 62_000_000_004 + rng.u64(0..100_000_000) * 4;
        let mut company = Company {
            account_id,
            extensions: Vec::new(),
            ringing: Ringing::default(),
            users: Vec::new(),
            queues: Vec::new(),
        };
        company.add_fixtures();
        company.add_users(size, &mut rng);
        company.assign_agents(&mut rng);
        company
    }

    /// Returns the id of the first user's extension, which owns the JWT.
    pub fn owner_id(&self) -> u64 {
        let Some(position) = self.users.first() else {
            return self.account_id;
        };
        match self.extensions.get(*position) {
            Some(extension) => extension.id,
            None => self.account_id,
        }
    }

    fn add(
        &mut self,
        number: Option<u32>,
        name: &str,
        kind: &'static str,
        status: Option<&'static str>,
    ) {
        let position = self.extensions.len() as u64;
        self.extensions.push(Extension {
            id: self.account_id + position * 12,
            number: number.map(|number| number.to_string()),
            name: name.to_owned(),
            kind,
            status,
        });
    }

    fn add_fixtures(&mut self) {
        self.add(Some(101), "Main Line", "User", Some("Enabled"));
        for (number, name) in (9001..).zip(QUEUE_NAMES) {
            self.queues.push(Queue {
                extension: self.extensions.len(),
                agents: Vec::new(),
            });
            self.add(Some(number), name, "Department", Some("Enabled"));
        }
        self.add(Some(9101), "Welcome Menu", "IvrMenu", Some("Enabled"));
        self.add(Some(9102), "Opening Hours", "Announcement", None);
    }

    /// Adds users: most are enabled, a few are disabled, not activated or without a number.
    fn add_users(&mut self, size: usize, rng: &mut Rng) {
        let count = size.max(self.extensions.len() + 3) - self.extensions.len();
        let numbers = (102..221).chain(2001..9000).chain(10_000..);
        for (position, number) in numbers.take(count).enumerate() {
            let others = [(35, "Disabled"), (25, "NotActivated"), (20, "Unassigned")];
            let status = if position < 3 {
                "Enabled"
            } else {
                choose(rng, "Enabled", &others)
            };
            if status == "Enabled" {
                self.users.push(self.extensions.len());
            }
            let number = (status != "Unassigned").then_some(number);
            self.add(number, &person_name(position), "User", Some(status));
        }
    }

    fn assign_agents(&mut self, rng: &mut Rng) {
        let users = &self.users;
        for queue in &mut self.queues {
            let offset = rng.usize(0..users.len());
            let agents = users.iter().cycle().skip(offset);
            queue
                .agents
                .extend(agents.take(AGENTS_PER_QUEUE.min(users.len())));
        }
    }
}

fn person_name(position: usize) -> String {
    let first = FIRST_NAMES.get(position % FIRST_NAMES.len());
    let last = LAST_NAMES.get(position % LAST_NAMES.len());
    format!("{} {}", first.unwrap_or(&""), last.unwrap_or(&""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn company_has_requested_size_and_unique_ids() {
        for size in [200, 10_000] {
            let company = Company::new(size, 1);
            assert_eq!(company.extensions.len(), size);
            let ids: HashSet<u64> = company.extensions.iter().map(|e| e.id).collect();
            assert_eq!(ids.len(), size);
            let numbers: Vec<&String> = company
                .extensions
                .iter()
                .filter_map(|e| e.number.as_ref())
                .collect();
            assert_eq!(numbers.iter().collect::<HashSet<_>>().len(), numbers.len());
            assert!(numbers.iter().all(|number| (3..=5).contains(&number.len())));
        }
    }

    #[test]
    fn system_extension_has_the_id_of_the_account() {
        let company = Company::new(200, 7);
        assert_eq!(company.extensions.first().unwrap().id, company.account_id);
        assert!(company.account_id > u64::from(u32::MAX));
    }

    #[test]
    fn company_has_every_extension_type_and_status() {
        let company = Company::new(200, 1);
        let count = |kind| company.extensions.iter().filter(|e| e.kind == kind).count();
        assert_eq!(
            (count("Department"), count("IvrMenu"), count("Announcement")),
            (6, 1, 1)
        );
        for status in ["Disabled", "NotActivated", "Unassigned"] {
            assert!(
                company.extensions.iter().any(|e| e.status == Some(status)),
                "{status}"
            );
        }
        let unassigned = company
            .extensions
            .iter()
            .filter(|e| e.status == Some("Unassigned"));
        assert!(
            unassigned
                .into_iter()
                .all(|extension| extension.number.is_none())
        );
    }

    #[test]
    fn smallest_company_has_users_and_agents() {
        let company = Company::new(0, 1);
        assert!(company.users.len() >= 3);
        assert!(company.queues.iter().all(|queue| !queue.agents.is_empty()));
    }
}
