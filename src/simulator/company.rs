//! Who works at the simulated company: its extensions and who answers which queue.
//!
//! Pure and made once from a size and a seed. Knows nothing of calls or of time.

use std::iter;

use fastrand::Rng;

use crate::simulator::random::{self, choose};

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

/// One extension, as the account's list of extensions knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extension {
    /// RingCentral's id: larger than 32 bits, unlike the number people dial.
    pub id: u64,
    /// What people dial; an unassigned extension has none.
    pub number: Option<String>,
    /// A made-up person or the purpose of the extension.
    pub name: String,
    /// `User`, `Department` (a queue), `IvrMenu`, `Announcement`.
    pub kind: &'static str,
    /// `Enabled`, `Disabled`, `NotActivated`, `Unassigned`; RingCentral leaves it out at times.
    pub status: Option<&'static str>,
}

/// A queue and those who answer it, as positions in [`Company::extensions`].
#[derive(Clone, Debug)]
pub(super) struct Queue {
    pub(super) extension: usize,
    pub(super) agents: Vec<usize>,
}

/// The company and its extensions.
#[derive(Clone, Debug)]
pub struct Company {
    /// The account's id, which is the id of its system extension too.
    pub account_id: u64,
    /// All extensions, the system extension first.
    pub extensions: Vec<Extension>,
    pub(super) users: Vec<usize>,
    pub(super) queues: Vec<Queue>,
}

impl Company {
    /// A company of about `size` extensions (at least the dozen that every company here has).
    pub fn new(size: usize, seed: u64) -> Company {
        let mut rng = Rng::with_seed(random::hash_seed(seed, 0xC0));
        let account_id = 62_000_000_004 + rng.u64(0..100_000_000) * 4;
        let mut company = Company {
            account_id,
            extensions: Vec::new(),
            users: Vec::new(),
            queues: Vec::new(),
        };
        company.add_fixtures();
        company.add_users(size, &mut rng);
        company.assign_agents(&mut rng);
        company
    }

    /// The person whose JWT the simulated app uses: the first user.
    pub fn owner_id(&self) -> u64 {
        let owner = self
            .users
            .first()
            .and_then(|user| self.extensions.get(*user));
        owner.map_or(self.account_id, |extension| extension.id)
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

    /// Most people are enabled; a few left, never came or never got a number.
    fn add_users(&mut self, size: usize, rng: &mut Rng) {
        let wanted = size.max(self.extensions.len() + 3) - self.extensions.len();
        let numbers = (102..221).chain(2001..9000).chain(10_000..);
        for (position, number) in numbers.take(wanted).enumerate() {
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
            self.add(number, &person(position), "User", Some(status));
        }
    }

    fn assign_agents(&mut self, rng: &mut Rng) {
        let users = &self.users;
        for queue in &mut self.queues {
            let offset = rng.usize(0..users.len());
            let circle = users.iter().cycle().skip(offset);
            queue.agents = circle
                .take(AGENTS_PER_QUEUE.min(users.len()))
                .copied()
                .collect();
        }
    }
}

fn person(position: usize) -> String {
    let first = FIRST_NAMES.iter().cycle().nth(position % FIRST_NAMES.len());
    let last = LAST_NAMES.iter().cycle().nth(position % LAST_NAMES.len());
    let name: Vec<&str> = iter::chain(first, last).copied().collect();
    name.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn a_company_has_the_size_asked_for_and_distinct_ids_and_numbers() {
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
    fn the_system_extension_has_the_id_of_the_account() {
        let company = Company::new(200, 7);
        assert_eq!(company.extensions.first().unwrap().id, company.account_id);
        assert!(company.account_id > u64::from(u32::MAX));
    }

    #[test]
    fn a_company_has_queues_a_menu_an_announcement_and_people_who_left() {
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
    fn even_the_smallest_company_has_users_and_agents() {
        let company = Company::new(0, 1);
        assert!(company.users.len() >= 3);
        assert!(company.queues.iter().all(|queue| !queue.agents.is_empty()));
    }
}
