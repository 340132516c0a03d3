//! Accounts that fail, and those beside them that do not notice.

use std::time::Duration;

use ringcentral_exporter::simulator::limiter::OtherTool;
use ringcentral_exporter::simulator::{Fault, FaultKind, Operation, Reply, Scenario};
use tokio::time::interval;

use crate::common::clock::ManualClock;
use crate::common::scrape_response::ScrapeResponse;
use crate::fleet::{Fleet, Member, company, up};

/// What a busy machine may add to a deadline.
const ALLOWANCE: Duration = Duration::from_secs(2);
/// How many seconds Prometheus waits for a scrape.
const TIMEOUT: u32 = 8;

/// Faults that an API may have, by the account that has them.
fn faults() -> [(&'static str, Fault); 8] {
    use Operation::{ActiveCalls, Token};
    let drip = FaultKind::Drip {
        pieces: 40,
        pause: Duration::from_millis(500),
    };
    [
        ("list-hangs", Fault::always(ActiveCalls, FaultKind::Hang)),
        ("login-hangs", Fault::always(Token, FaultKind::Hang)),
        (
            "all-silenced",
            Fault::always(ActiveCalls, Reply::too_many_requests(Some(60))),
        ),
        (
            "broken",
            Fault::always(ActiveCalls, Reply::unavailable(500)),
        ),
        (
            "hotspot",
            Fault::always(
                ActiveCalls,
                FaultKind::Body("<html>Log in here</html>".into()),
            ),
        ),
        ("cut", Fault::always(ActiveCalls, FaultKind::Cut)),
        ("drips", Fault::always(ActiveCalls, drip)),
        (
            "floods",
            Fault::always(ActiveCalls, FaultKind::GzipBomb(64 * 1024 * 1024)),
        ),
    ]
}

/// Ten accounts, each with an illness of its own.
async fn ailing(clock: &ManualClock) -> Vec<Member> {
    let mut members = Vec::new();
    for (place, (name, fault)) in faults().into_iter().enumerate() {
        let member = Member::new(name, clock.attach_to(company(place)), 100 + place as u64).await;
        member.inject(fault);
        members.push(member);
    }
    let other_tool = Some(OtherTool {
        requests: 1_000_000,
        first: Duration::ZERO,
        every: Duration::from_secs(3600),
    });
    let emptied = clock.attach_to(Scenario {
        other_tool,
        ..company(8)
    });
    members.push(Member::new("group-silenced", emptied, 108).await);
    let refused = Member::new("login-refused", clock.attach_to(company(9)), 109).await;
    members.push(Member {
        secret: "not-the-secret".to_owned(),
        ..refused
    });
    members
}

/// Healthy accounts of this many companies.
async fn healthy(count: usize, clock: &ManualClock) -> Vec<Member> {
    let names: Vec<_> = (0..count)
        .map(|place| format!("healthy-{place:02}"))
        .collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    Member::several(&names, |place| clock.attach_to(company(place))).await
}

/// The second lists with the first spread among them.
fn spread(few: Vec<Member>, many: Vec<Member>) -> Vec<Member> {
    let every = many.len() / few.len();
    let (mut members, mut many) = (Vec::new(), many.into_iter());
    for one in few {
        members.push(one);
        members.extend(many.by_ref().take(every));
    }
    members.extend(many);
    members
}

/// When a scrape that Prometheus waits for so many seconds must be answered.
fn deadline(timeout: u32) -> Duration {
    Duration::from_secs(timeout.into()) - Duration::from_millis(500)
}

/// The healthy are exact, the others own up to it, and nobody was waited for.
async fn tells_them_apart(fleet: &Fleet, scraped: &ScrapeResponse, timeout: u32) {
    assert_eq!(scraped.status, 200);
    for member in &fleet.members {
        if member.name.starts_with("healthy") {
            fleet.is_exact(&member.name, scraped).await;
        } else {
            assert_eq!(
                (
                    up(scraped, &member.name),
                    scraped.account_call_samples(&member.name)
                ),
                (0.0, Default::default())
            );
        }
    }
    assert!(
        scraped.elapsed < deadline(timeout) + ALLOWANCE,
        "{:?}",
        scraped.elapsed
    );
}

/// One login in all, one list of extensions at most, and a list of calls for each scrape until it is silenced. A login
/// that ran out of time may be tried again.
fn asked_no_more_than_needed(member: &Member, scrapes: usize) {
    let (name, journal) = (&member.name, member.simulator.journal());
    assert!(
        journal.iter().all(|entry| !entry.in_penalty),
        "{name}: {journal:?}"
    );
    let [logins, lists, extensions] = [
        Operation::Token,
        Operation::ActiveCalls,
        Operation::Extensions,
    ]
    .map(|it| member.count(it));
    let as_needed = match name.as_str() {
        "login-refused" => lists == 0 && extensions == 0,
        "login-hangs" => logins <= scrapes && lists == 0 && extensions == 0,
        "all-silenced" => lists == 1 && extensions == 0,
        "group-silenced" => lists == 1 && extensions <= 1,
        name if name.starts_with("healthy") => lists == scrapes && extensions == 1,
        _ => (1..=scrapes).contains(&lists) && extensions <= 1,
    };
    assert!(
        as_needed && (logins == 1 || name == "login-hangs"),
        "{name}: {journal:?}"
    );
}

#[tokio::test]
async fn ten_of_fifty_fail_each_in_its_own_way_and_forty_are_exact() {
    let clock = ManualClock::new();
    let members = spread(ailing(&clock).await, healthy(40, &clock).await);
    assert_eq!(members.len(), 50);
    let fleet = Fleet::start(members).await;
    for scrape in 1..=2 {
        tells_them_apart(&fleet, &fleet.scrape_within(TIMEOUT).await, TIMEOUT).await;
        fleet
            .members
            .iter()
            .for_each(|member| asked_no_more_than_needed(member, scrape));
        clock.advance(Duration::from_secs(35));
    }
}

/// Thirty are more than are asked at once, and too many for luck: each gives its place to the next while it is waited for.
async fn stand_in_nobodys_way(timeout: u32, every: Duration) {
    let clock = ManualClock::new();
    let mut members = healthy(50, &clock).await;
    for member in &mut members[..30] {
        member.name = member.name.replace("healthy", "hanging");
        member.inject(Fault::always(Operation::ActiveCalls, FaultKind::Hang));
    }
    let fleet = Fleet::start(members).await;
    let mut turns = interval(every);
    for _ in 0..3 {
        turns.tick().await;
        clock.advance(Duration::from_secs(35));
        tells_them_apart(&fleet, &fleet.scrape_within(timeout).await, timeout).await;
    }
}

/// A request has ten seconds, so all have failed between two scrapes, and none within one.
#[tokio::test]
async fn more_accounts_that_hang_than_are_asked_at_once_cost_the_others_nothing() {
    stand_in_nobodys_way(8, Duration::from_secs(13)).await;
}

/// The first requests have not even run out of time when the second scrape is over.
#[tokio::test]
async fn so_it_is_where_scrapes_are_shorter_than_a_request_may_take() {
    stand_in_nobodys_way(5, Duration::from_secs(5)).await;
}

/// Thirty-nine that take two seconds each fill a scrape of three and a half, whoever else is there.
#[tokio::test]
async fn a_new_account_gets_its_turn_beside_many_that_are_slow() {
    let slow = |place| Scenario {
        latency: Duration::from_secs(2),
        ..company(place)
    };
    let names: Vec<_> = (0..40).map(|n| format!("slow-{n}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let mut members = Member::several(&names, slow).await;
    let late = members.pop().unwrap();
    let mut fleet = Fleet::start(members).await;
    for _ in 0..3 {
        fleet.scrape_within(4).await;
    }
    fleet.members.push(late);
    fleet.reload().await;
    for _ in 0..4 {
        fleet.scrape_within(4).await;
    }
    assert!(fleet.member("slow-39").count(Operation::ActiveCalls) > 0);
}
