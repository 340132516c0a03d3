//! Fetches the list of the account's extensions, in as many rate limit windows as its pages need.

use crate::calls::Directory;
use crate::calls::directory::DirectoryEntry;
use crate::clock::Moment;
use crate::ringcentral::list_read::{ListEntry, ListRead};
use crate::ringcentral::wire::{ListPage, ParseError, parse_extensions_after};
use crate::ringcentral::{Client, Error, Operation};

const OPERATION: Operation = Operation::Extensions;

/// An unfinished read of the list.
pub(crate) type ExtensionRead = ListRead<DirectoryEntry>;

/// What a part of a read has led to.
pub(crate) enum ReadProgress {
    /// All pages were received.
    Complete(Directory),
    /// The rate limit or the time for one part is used up; the read continues at the next page.
    Paused,
}

impl ListEntry for DirectoryEntry {
    const OPERATION: Operation = OPERATION;
    const PATH: &str = "extension";

    fn parse_page(body: &[u8], earlier_records: usize) -> Result<ListPage<Self>, ParseError> {
        parse_extensions_after(body, earlier_records)
    }
}

impl Client {
    /// Returns whether a page of the list may be fetched: the budget allows a request that does not postpone the next
    /// fetch of the calls, and there is a token.
    pub(crate) fn can_fetch_extensions(&self, now: Moment) -> bool {
        let budget = &self.transport.budget;
        self.has_token(now)
            && budget.next_request_at(OPERATION, now).is_past(now)
            && budget.leaves_room_for_fetch(OPERATION, now)
    }

    /// Continues to read the list by at least one page, see [`Client::read_list`]. Of an extension on two pages the
    /// later entry is kept.
    ///
    /// # Errors
    /// Returns an error if a page cannot be fetched or is invalid. `read` keeps the pages before it.
    pub(crate) async fn fetch_extensions(
        &mut self,
        read: &mut ExtensionRead,
        pause_at: Option<Moment>,
    ) -> Result<ReadProgress, Error> {
        let entries = self.read_list(read, pause_at, Self::can_fetch_extensions);
        match entries.await? {
            Some(entries) => Ok(ReadProgress::Complete(Directory::new(entries))),
            None => Ok(ReadProgress::Paused),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use tokio::net::TcpListener;

    use super::*;
    use crate::config::{Account, Level, Network, PresenceMode, Timeouts};
    use crate::ringcentral::client::Users;
    use crate::ringcentral::http_client::HttpClient;
    use crate::ringcentral::metrics::ApiMetrics;
    use crate::ringcentral::rate_limit::registry::UsageRegistry;
    use crate::ringcentral::{Cause, ClientConfig, Reason};
    use crate::secret::SecretSource;
    use crate::simulator::{self, Fault, FaultKind, Scenario, SimResponse, Simulator};

    /// Starts an account of 200 extensions on 10 pages, and a client that is logged in.
    async fn start() -> (Simulator, Client) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let scenario = Scenario {
            max_per_page: 20,
            ..Scenario::normal()
        };
        let simulator = Simulator::start(listener, scenario, 1).unwrap();
        let account = Account {
            name: "default".to_owned(),
            server: simulator.url().parse().unwrap(),
            client_id: simulator.client_id(),
            client_secret: SecretSource::Value(simulator.client_secret().into()),
            jwt: SecretSource::Value(simulator.jwt().into()),
            account_id: "~".to_owned(),
            level: Level::Account,
            presence: PresenceMode::Off,
            concurrent_calls_limit: None,
            ca: None,
        };
        let http = HttpClient::new(&account.server, None, &Network::default()).unwrap();
        let config = ClientConfig {
            account: Arc::new(account),
            http,
        };
        let metrics = Arc::new(ApiMetrics::new("default", Moment::now()).unwrap());
        let users = Users {
            logins: Arc::default(),
            usages: Arc::new(UsageRegistry::new(None)),
        };
        let mut client = Client::new(config, Timeouts::default(), Duration::ZERO, metrics, users);
        client.ensure_token(Moment::now()).await.unwrap();
        (simulator, client)
    }

    fn requests(simulator: &Simulator) -> usize {
        let journal = simulator.journal().into_iter();
        let operation = Some(simulator::Operation::Extensions);
        journal.filter(|entry| entry.operation == operation).count()
    }

    /// Injects the fault of a page that is gone into the third page of the next reads.
    fn remove_third_page(simulator: &Simulator, reads: usize) {
        let operation = simulator::Operation::Extensions;
        for _ in 0..reads {
            for _ in 0..2 {
                simulator.inject(Fault::once(operation, FaultKind::Delay(Duration::ZERO)));
            }
            simulator.inject(Fault::once(operation, SimResponse::not_found("page", "3")));
        }
    }

    #[tokio::test]
    async fn read_starts_again_once_if_a_page_is_gone() {
        let (simulator, mut client) = start().await;
        remove_third_page(&simulator, 1);
        let mut read = ExtensionRead::default();
        let Ok(ReadProgress::Complete(directory)) = client.fetch_extensions(&mut read, None).await
        else {
            panic!("the read is not complete");
        };
        assert_eq!((directory.entries().len(), requests(&simulator)), (200, 13));
        remove_third_page(&simulator, 2);
        let Err(error) = client.fetch_extensions(&mut read, None).await else {
            panic!("the read has started a third time");
        };
        assert_eq!((error.cause, requests(&simulator)), (Cause::PageGone, 19));
    }

    #[tokio::test]
    async fn futile_restart_is_not_repeated_until_success() {
        let (simulator, mut client) = start().await;
        // The requests of a read whose third page is gone, and then of a complete one.
        for (reads, requested) in [(2, 6), (1, 3), (1, 3)] {
            remove_third_page(&simulator, reads);
            let before = requests(&simulator);
            let mut read = ExtensionRead::default();
            let result = client.fetch_extensions(&mut read, None).await;
            let cause = result.err().map(|error| error.cause);
            assert_eq!(cause, Some(Cause::PageGone));
            assert_eq!(requests(&simulator) - before, requested);
        }
        let mut read = ExtensionRead::default();
        assert!(client.fetch_extensions(&mut read, None).await.is_ok());
        remove_third_page(&simulator, 1);
        assert!(client.fetch_extensions(&mut read, None).await.is_ok());
    }

    #[tokio::test]
    async fn refused_login_on_second_page_is_its_own_error() {
        let (simulator, mut client) = start().await;
        let operation = simulator::Operation::Extensions;
        let regular = FaultKind::Delay(Duration::ZERO);
        simulator.inject(Fault::once(operation, regular));
        simulator.inject(Fault::once(operation, SimResponse::token_expired()));
        let refused = SimResponse::invalid_grant("expired");
        simulator.inject(Fault::once(simulator::Operation::Token, refused));
        let mut read = ExtensionRead::default();
        let Err(error) = client.fetch_extensions(&mut read, None).await else {
            panic!("the login was not refused");
        };
        assert_eq!(error.cause, Cause::JwtRefused);
        assert_eq!((read.page_count(), requests(&simulator)), (1, 2));
    }

    #[tokio::test]
    async fn read_that_starts_again_may_pause() {
        let (simulator, mut client) = start().await;
        remove_third_page(&simulator, 1);
        let mut read = ExtensionRead::default();
        for _ in 0..3 {
            let pause_at = Some(Moment::now());
            let progress = client.fetch_extensions(&mut read, pause_at).await;
            assert!(matches!(progress, Ok(ReadProgress::Paused)) && read.has_begun());
        }
        assert_eq!(read.page_count(), 0);
    }

    /// Injects a fault into the third page.
    async fn fail_third_page(
        fault: impl Into<FaultKind>,
    ) -> (Simulator, Client, ExtensionRead, Error) {
        let (simulator, mut client) = start().await;
        let operation = simulator::Operation::Extensions;
        let regular = FaultKind::Delay(Duration::ZERO);
        simulator.inject(Fault::once(operation, regular.clone()));
        simulator.inject(Fault::once(operation, regular));
        simulator.inject(Fault::once(operation, fault));
        let mut read = ExtensionRead::default();
        let Err(error) = client.fetch_extensions(&mut read, None).await else {
            panic!("the fault has no effect");
        };
        (simulator, client, read, error)
    }

    #[tokio::test]
    async fn failed_page_keeps_those_before() {
        let fault = SimResponse::unavailable(503);
        let (simulator, mut client, mut read, error) = fail_third_page(fault).await;
        assert_eq!((error.reason, read.page_count()), (Reason::ServerError, 2));
        let Ok(ReadProgress::Complete(directory)) = client.fetch_extensions(&mut read, None).await
        else {
            panic!("the read is not complete");
        };
        assert_eq!(directory.entries().len(), 200);
        assert_eq!((read.page_count(), requests(&simulator)), (0, 11));
    }

    #[tokio::test]
    async fn read_pauses_for_the_next_fetch() {
        let (_simulator, mut client) = start().await;
        let mut read = ExtensionRead::default();
        for pages in 1..10 {
            let pause_at = Some(Moment::now());
            let progress = client.fetch_extensions(&mut read, pause_at).await;
            assert!(matches!(progress, Ok(ReadProgress::Paused)));
            assert_eq!(read.page_count(), pages);
        }
    }

    #[tokio::test]
    async fn repeated_page_starts_the_read_again() {
        let first = "/restapi/v1.0/account/~/extension?perPage=1000".to_owned();
        let fault = FaultKind::NextPage(first);
        let (_simulator, _client, read, error) = fail_third_page(fault).await;
        assert_eq!(
            (error.reason, read.page_count()),
            (Reason::InvalidResponse, 0)
        );
    }
}
