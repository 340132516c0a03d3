//! The account's directory of extensions and its refresh schedule.
//!
//! The directory is read at the start and then every hour; after a failure, or if a call names a new extension, after
//! only five minutes. Reads that find no new extension become rarer, up to an hour. A list that is longer than a rate
//! limit window is read in several parts; a page that fails is requested again without those before it. The previous
//! directory is kept until a new one is complete.

use std::sync::Arc;
use std::time::Duration;

use crate::account::state::TimedDirectory;
use crate::calls::{Directory, NewExtensions};
use crate::clock::Moment;
use crate::ringcentral::extensions::{ExtensionRead, ReadProgress};
use crate::ringcentral::{Error, Operation, Reason};

const REFRESH_INTERVAL: Duration = Duration::from_secs(60 * 60);
const MIN_REFRESH_INTERVAL: Duration = Duration::from_secs(5 * 60);
/// The wait before a failed page is requested again.
const PAGE_RETRY_INTERVAL: Duration = Duration::from_secs(60);
/// The number of consecutive failures of a page after which the read starts again at the first page.
const MAX_PAGE_FAILURES: u32 = 3;

/// The directory of one account and the result of the last attempt to read it.
pub(crate) struct DirectoryCache {
    enabled: bool,
    last_attempt: Option<Moment>,
    /// The present read, if it has begun.
    pub(crate) read: ExtensionRead,
    /// The number of pages before the one that failed last.
    failed_page: u32,
    /// The number of consecutive failures of that page.
    page_failures: u32,
    /// The minimum time between two reads because of new extensions.
    early_interval: Duration,
    /// The failure of the last attempt.
    pub(crate) failure: Option<Error>,
    /// The directory that was last read.
    pub(crate) directory: Option<TimedDirectory>,
}

impl DirectoryCache {
    /// Creates an empty cache. A disabled one is never due.
    pub(crate) fn new(enabled: bool) -> Self {
        Self {
            enabled,
            last_attempt: None,
            read: ExtensionRead::default(),
            failed_page: 0,
            page_failures: 0,
            early_interval: MIN_REFRESH_INTERVAL,
            failure: None,
            directory: None,
        }
    }

    /// Resets the cache to its initial state.
    pub(crate) fn reset(&mut self) {
        *self = Self::new(self.enabled);
    }

    /// Returns whether the directory has never been requested.
    pub(crate) fn needs_initial_load(&self) -> bool {
        self.enabled && self.last_attempt.is_none()
    }

    /// Returns whether the directory should be read now, or a read that has begun should continue.
    pub(crate) fn is_due(&self, now: Moment, has_new_extension: bool) -> bool {
        if !self.enabled {
            return false;
        }
        let Some(last_attempt) = self.last_attempt else {
            return true;
        };
        now.saturating_duration_since(last_attempt) >= self.interval(has_new_extension)
    }

    /// Records the result of a part of a read and returns the directory if it is complete. Of consecutive failures only
    /// the first is logged as a warning.
    pub(crate) fn record_result(
        &mut self,
        account: &str,
        result: Result<ReadProgress, Error>,
        now: Moment,
    ) -> Option<Arc<Directory>> {
        let former_attempt = self.last_attempt.replace(now);
        match result {
            Ok(ReadProgress::Complete(directory)) => {
                Some(self.set_directory(account, directory, now))
            }
            Ok(ReadProgress::Paused) => {
                self.record_pause(account);
                None
            }
            // The request was not sent, so that the page has not failed.
            Err(error) if error.reason == Reason::Budget => {
                if self.read.page_count() == 0 {
                    self.last_attempt = former_attempt;
                }
                self.record_pause(account);
                None
            }
            Err(error) => {
                self.record_failure(account, error);
                None
            }
        }
    }

    /// Records what the directory has of the extensions because of which it was read before its time.
    pub(crate) fn record_new_extensions(&mut self, new: NewExtensions) {
        self.early_interval = match new {
            NewExtensions::None => return,
            NewExtensions::Found => MIN_REFRESH_INTERVAL,
            NewExtensions::Missing => REFRESH_INTERVAL.min(self.early_interval * 2),
        };
    }

    /// Returns the time between the last attempt and the next.
    fn interval(&self, has_new_extension: bool) -> Duration {
        let has_begun = self.read.has_begun();
        if self.failure.is_some() && has_begun {
            PAGE_RETRY_INTERVAL
        } else if self.failure.is_some() {
            MIN_REFRESH_INTERVAL
        } else if has_begun {
            Duration::ZERO
        } else if has_new_extension {
            self.early_interval
        } else {
            REFRESH_INTERVAL
        }
    }

    fn set_directory(
        &mut self,
        account: &str,
        directory: Directory,
        now: Moment,
    ) -> Arc<Directory> {
        let extensions = directory.entries().len();
        tracing::info!(account, extensions, "extension list fetched");
        let directory = Arc::new(directory);
        self.failure = None;
        self.page_failures = 0;
        self.directory = Some(TimedDirectory {
            directory: directory.clone(),
            fetched_at: now,
        });
        directory
    }

    fn record_pause(&mut self, account: &str) {
        self.failure = None;
        let pages = self.read.page_count();
        tracing::debug!(
            account,
            pages,
            "extension list fetched in part, continuing later"
        );
    }

    fn record_failure(&mut self, account: &str, error: Error) {
        if self.failure.is_some() {
            tracing::debug!(account, %error, "extension list fetch failed again");
        } else {
            tracing::warn!(
                account,
                reason = error.reason.as_str(),
                cause = error.cause.as_str(),
                request_id = error.request_id.as_deref(),
                hint = error.hint(),
                %error,
                "extension list fetch failed, labelling extensions without a number by id"
            );
        }
        let page = self.read.page_count();
        if page != self.failed_page {
            self.failed_page = page;
            self.page_failures = 0;
        }
        self.page_failures += 1;
        // A page that does not exist means that the list has become shorter.
        let is_gone = matches!(error.reason, Reason::NotFound | Reason::ClientError)
            && error.operation == Operation::Extensions;
        if is_gone || self.page_failures >= MAX_PAGE_FAILURES {
            self.read = ExtensionRead::default();
            self.page_failures = 0;
        }
        self.failure = Some(error);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calls::{Extension, ExtensionLabel, LabelLimiter};
    use crate::ringcentral::Cause;
    use crate::ringcentral::wire::ApiError;

    fn at(start: Moment, minutes: u64) -> Moment {
        start.after(Duration::from_secs(60 * minutes))
    }

    fn success() -> Result<ReadProgress, Error> {
        Ok(ReadProgress::Complete(Directory::default()))
    }

    fn failure() -> Result<ReadProgress, Error> {
        let cause = Cause::ExtensionsForbidden;
        Err(Error::new(Operation::Extensions, cause, "no"))
    }

    fn not_found() -> Result<ReadProgress, Error> {
        let body = ApiError::default();
        Err(Error::from_response(Operation::Extensions, 404, body, None))
    }

    /// Returns a cache that has read some pages of a list.
    fn cache_with_pages(pages: u32, now: Moment) -> DirectoryCache {
        let mut cache = DirectoryCache::new(true);
        cache.read = ExtensionRead::with_pages(pages);
        cache.record_result("a", Ok(ReadProgress::Paused), now);
        cache
    }

    #[test]
    fn directory_due_hourly_or_after_new_extension() {
        let (mut cache, start) = (DirectoryCache::new(true), Moment::now());
        assert!(cache.is_due(start, false));
        assert!(cache.record_result("a", success(), start).is_some());
        assert!(!cache.is_due(at(start, 59), false) && cache.is_due(at(start, 60), false));
        assert!(!cache.is_due(at(start, 4), true) && cache.is_due(at(start, 5), true));
    }

    #[test]
    fn failed_read_keeps_directory_and_is_retried() {
        let (mut cache, start) = (DirectoryCache::new(true), Moment::now());
        cache.record_result("a", success(), start);
        assert!(cache.record_result("a", failure(), start).is_none());
        assert!(cache.directory.is_some());
        assert!(cache.is_due(start.after(MIN_REFRESH_INTERVAL), false));
    }

    #[test]
    fn disabled_directory_is_never_due() {
        assert!(!DirectoryCache::new(false).is_due(Moment::now(), true));
    }

    #[test]
    fn paused_read_is_due_immediately() {
        let start = Moment::now();
        let mut cache = cache_with_pages(32, start);
        assert!(cache.is_due(start, false) && cache.failure.is_none());
        let no_budget = Error::new(Operation::Extensions, Cause::NoBudget, "no");
        assert!(cache.record_result("a", Err(no_budget), start).is_none());
        assert_eq!(
            (cache.read.page_count(), cache.is_due(start, false)),
            (32, true)
        );
        assert!(
            cache.failure.is_none(),
            "an unsent request is not a failure"
        );
    }

    #[test]
    fn failed_page_is_retried_without_those_before() {
        let start = Moment::now();
        let mut cache = cache_with_pages(20, start);
        for minute in [0, 1] {
            cache.record_result("a", failure(), at(start, minute));
            assert_eq!(cache.read.page_count(), 20);
            assert!(!cache.is_due(at(start, minute), false));
            assert!(cache.is_due(at(start, minute + 1), false));
        }
        cache.record_result("a", failure(), at(start, 2));
        assert_eq!(cache.read.page_count(), 0, "three failures of one page");
        assert!(!cache.is_due(at(start, 6), false) && cache.is_due(at(start, 7), false));
    }

    #[test]
    fn failures_of_different_pages_do_not_add_up() {
        let start = Moment::now();
        let mut cache = DirectoryCache::new(true);
        for pages in 1..=10 {
            cache.read = ExtensionRead::with_pages(pages);
            cache.record_result("a", failure(), start);
            assert_eq!(cache.read.page_count(), pages);
        }
    }

    #[test]
    fn page_that_is_gone_restarts_the_read() {
        let start = Moment::now();
        let mut cache = cache_with_pages(20, start);
        cache.record_result("a", not_found(), start);
        assert_eq!(cache.read.page_count(), 0);
    }

    #[test]
    fn refused_login_keeps_the_pages_of_a_read() {
        let start = Moment::now();
        let mut cache = cache_with_pages(20, start);
        let body = ApiError::default();
        let refused = Error::from_response(Operation::Token, 400, body, None);
        cache.record_result("a", Err(refused), start);
        assert_eq!(cache.read.page_count(), 20);
    }

    /// Counts the reads of two hours with a scrape every 15 s, whose records name the unknown extensions of `ids`.
    fn reads_in_two_hours(ids: impl Fn(u32) -> Vec<String>) -> u32 {
        let start = Moment::now();
        let mut labels = LabelLimiter::new(ExtensionLabel::Number, 10);
        let mut cache = DirectoryCache::new(true);
        let mut reads = 0;
        for scrape in 0..2 * 60 * 4 {
            let now = start.after(Duration::from_secs(15) * scrape);
            let mut seen = || {
                for id in ids(scrape) {
                    let extension = Extension::new(Some(id.as_str().into()), None);
                    labels.admit_extension(extension.as_ref());
                }
            };
            if cache.needs_initial_load() {
                let directory = cache.record_result("a", success(), now).unwrap();
                labels.set_directory(directory);
                reads += 1;
                continue;
            }
            seen();
            if cache.is_due(now, labels.has_new_extension()) {
                let directory = cache.record_result("a", success(), now).unwrap();
                let new = labels.set_directory(directory);
                cache.record_new_extensions(new);
                reads += 1;
            }
        }
        reads
    }

    #[test]
    fn unknown_extension_causes_one_early_read() {
        let main_number = |_| vec!["400131426008".to_owned()];
        assert_eq!(reads_in_two_hours(|_| Vec::new()), 2);
        assert_eq!(reads_in_two_hours(main_number), 3);
    }

    #[test]
    fn ever_new_unknown_extensions_back_off() {
        let one_each = |scrape: u32| vec![scrape.to_string()];
        // After 5, 10, 20 and 40 minutes.
        assert_eq!(reads_in_two_hours(one_each), 5);
        let thousands = |scrape: u32| {
            (0..5000)
                .map(|id| (scrape * 5000 + id).to_string())
                .collect()
        };
        assert_eq!(reads_in_two_hours(thousands), 5);
    }

    #[test]
    fn found_extension_ends_the_back_off() {
        let start = Moment::now();
        let mut cache = DirectoryCache::new(true);
        cache.record_result("a", success(), start);
        for minutes in [10, 20, 40, 60, 60] {
            cache.record_new_extensions(NewExtensions::Missing);
            let due_at = at(start, minutes);
            assert!(cache.is_due(due_at, true) && !cache.is_due(at(start, minutes - 1), true));
        }
        cache.record_new_extensions(NewExtensions::None);
        assert!(!cache.is_due(at(start, 59), true));
        cache.record_new_extensions(NewExtensions::Found);
        assert!(cache.is_due(at(start, 5), true));
    }
}
