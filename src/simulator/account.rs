//! The account behind the API: who may ask and how often. Who is let in is in `login`.
//!
//! Decides what the right answer to a request is, with the time as an argument. Does no I/O and
//! knows no faults beyond handing them out.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::simulator::company::Company;
use crate::simulator::faults::FaultKind;
use crate::simulator::jwt;
use crate::simulator::limiter::Decision;
use crate::simulator::lists::{self, ListResponse};
use crate::simulator::load_profile::{LoadProfile, Surge};
use crate::simulator::random::hash_seed;
use crate::simulator::request::{ApiRequest, Route};
use crate::simulator::request_log::Operation;
use crate::simulator::response::SimResponse;
use crate::simulator::scenario::{Clock, Scenario};
use crate::simulator::state::ServerState;
use crate::simulator::switchboard::Switchboard;
use crate::simulator::tokens::TokenError;

/// The account. What never changes is open; what does is on the [`Desk`].
pub(super) struct Account {
    pub(super) scenario: Scenario,
    pub(super) switchboard: Switchboard,
    pub(super) client_id: String,
    pub(super) client_secret: String,
    clock: Clock,
    started_ms: i64,
    /// A std mutex: it is held for the time of one decision, never across an await.
    desk: Mutex<ServerState>,
}

impl Account {
    pub(super) fn open(scenario: Scenario, seed: u64, clock: Clock) -> Account {
        let now = clock();
        let switchboard = switchboard(&scenario, seed, now);
        let desk = ServerState::new(&scenario, seed, now);
        let account = Account {
            scenario,
            switchboard,
            client_id: format!("sim-{:016x}", hash_seed(seed, 0x1D)),
            client_secret: format!(
                "{:016x}{:016x}",
                hash_seed(seed, 0x5E),
                hash_seed(seed, 0xC7)
            ),
            clock,
            started_ms: now,
            desk: Mutex::new(desk),
        };
        account.issue_jwt();
        account
    }

    pub(super) fn now(&self) -> i64 {
        (self.clock)()
    }

    pub(super) fn desk(&self) -> MutexGuard<'_, ServerState> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the user a new JWT; those before are worth nothing from now on.
    pub(super) fn rotate_jwt(&self) -> String {
        self.desk().jwts.clear();
        self.issue_jwt()
    }

    /// Gives the user a further JWT.
    pub(super) fn issue_jwt(&self) -> String {
        let issued = self.now() / 1000;
        let expires = self
            .scenario
            .jwt_life
            .map(|life| issued + life.as_secs() as i64);
        let mut desk = self.desk();
        desk.jwts_issued += 1;
        let jwt = jwt::issue(
            self.switchboard.company().owner_id(),
            issued,
            expires,
            desk.jwts_issued,
        );
        desk.jwts.push(jwt.clone());
        jwt
    }

    /// Notes a request in the journal and says which fault meets it.
    pub(super) fn record_arrival(&self, ask: &ApiRequest, now: i64) -> (u64, Option<FaultKind>) {
        let mut desk = self.desk();
        let operation = ask.route().operation();
        let sequence = desk.journal.open(now, operation, ask.target());
        let Some(operation) = operation else {
            return (sequence, self.outage(sequence, now));
        };
        let in_penalty = desk.group(operation).1.in_penalty(now);
        desk.journal
            .complete(sequence, |entry| entry.in_penalty = in_penalty);
        let fault = self
            .outage(sequence, now)
            .or_else(|| desk.faults.take(operation));
        (sequence, fault)
    }

    /// While the API is down, three ways of being so take turns.
    fn outage(&self, sequence: u64, now: i64) -> Option<FaultKind> {
        let outage = self.scenario.outage?;
        outage
            .is_down(now - self.started_ms)
            .then(|| match sequence % 3 {
                0 => FaultKind::from(SimResponse::unavailable(503)),
                1 => FaultKind::from(SimResponse::html(502, "502 Bad Gateway")),
                _ => FaultKind::CloseBeforeAnswer,
            })
    }

    /// The right answer to a request of the API.
    pub(super) fn answer(&self, ask: &ApiRequest, now: i64) -> ListResponse {
        let route = ask.route();
        let Some(operation) = route.operation() else {
            return SimResponse::bad_uri().into();
        };
        if ask.method != route.method() {
            return SimResponse::bad_method().into();
        }
        let needs_token = !matches!(operation, Operation::Token | Operation::Revoke);
        if let Some(refusal) = needs_token.then(|| self.bearer_flaw(ask, now)).flatten() {
            return refusal.into();
        }
        let verdict = self.desk().group(operation).1.admit(now);
        let answer = match verdict {
            Decision::Refused {
                retry_after_seconds,
            } => SimResponse::too_many_requests(Some(retry_after_seconds)).into(),
            Decision::Admitted { .. } => self
                .dispatch(route, ask, now)
                .unwrap_or_else(ListResponse::from),
        };
        ListResponse {
            reply: self.with_rate_limit(answer.reply, operation, verdict),
            ..answer
        }
    }

    fn with_rate_limit(
        &self,
        reply: SimResponse,
        operation: Operation,
        verdict: Decision,
    ) -> SimResponse {
        if !self.scenario.rate_limit_headers {
            return reply;
        }
        let remaining = match verdict {
            Decision::Admitted { remaining } => remaining,
            Decision::Refused { .. } => 0,
        };
        let mut desk = self.desk();
        let (group, limiter) = desk.group(operation);
        let limit = limiter.limit();
        reply.with_rate_limit(
            group,
            limit.requests,
            remaining,
            limit.window.as_millis().div_ceil(1000) as u64,
        )
    }

    fn bearer_flaw(&self, ask: &ApiRequest, now: i64) -> Option<SimResponse> {
        let Some(token) = ask.credentials("Bearer") else {
            return Some(SimResponse::no_token());
        };
        match self.desk().tokens.check(token, now) {
            Ok(()) => None,
            Err(TokenError::Unknown) => Some(SimResponse::token_not_found()),
            Err(TokenError::Expired) => Some(SimResponse::token_expired()),
        }
    }

    fn dispatch(
        &self,
        route: Route<'_>,
        ask: &ApiRequest,
        now: i64,
    ) -> Result<ListResponse, SimResponse> {
        match route {
            Route::Token => self.log_in(ask, now).map(ListResponse::from),
            Route::Revoke => self.revoke(ask).map(ListResponse::from),
            Route::ActiveCalls { account, extension } => {
                self.check_account(account)?;
                let extension = extension
                    .map(|given| self.extension_id(given))
                    .transpose()?;
                self.check_call_log(extension)?;
                lists::active_calls(ask, &self.scenario, &self.switchboard, extension, now)
            }
            Route::Extensions { account } => {
                self.check_account(account)?;
                if !self.scenario.read_accounts {
                    return Err(SimResponse::app_lacks("ReadAccounts"));
                }
                lists::extensions(ask, &self.scenario, &self.switchboard)
            }
            Route::Journal | Route::Listed | Route::Unknown => Err(SimResponse::bad_uri()),
        }
    }

    fn check_account(&self, given: &str) -> Result<(), SimResponse> {
        let known = given == "~" || given == self.switchboard.company().account_id.to_string();
        if known {
            Ok(())
        } else {
            Err(SimResponse::not_found("accountId", given))
        }
    }

    fn extension_id(&self, given: &str) -> Result<u64, SimResponse> {
        if given == "~" {
            return Ok(self.switchboard.company().owner_id());
        }
        let id = given.parse().ok().filter(|id| {
            self.switchboard
                .extensions()
                .iter()
                .any(|extension| extension.id == *id)
        });
        id.ok_or_else(|| SimResponse::not_found("extensionId", given))
    }

    /// The app needs its scope; the user may always see his own calls, an admin those of all.
    fn check_call_log(&self, extension: Option<u64>) -> Result<(), SimResponse> {
        let own = extension == Some(self.switchboard.company().owner_id());
        match (self.scenario.read_call_log, self.scenario.admin || own) {
            (false, _) => Err(SimResponse::app_lacks("ReadCallLog")),
            (true, false) => Err(SimResponse::user_lacks("ReadCompanyCallLog")),
            (true, true) => Ok(()),
        }
    }
}

fn switchboard(scenario: &Scenario, seed: u64, now: i64) -> Switchboard {
    let local = scenario.local_time_at_start;
    let curve = LoadProfile {
        calls_per_minute: scenario.calls_per_minute,
        day_shift_ms: local.map_or(0, |local| {
            LoadProfile::shift_to(now, local.as_millis() as i64)
        }),
        surge: scenario.surge_factor.map(|factor| Surge {
            started_ms: now,
            factor,
        }),
    };
    Switchboard::new(Company::new(scenario.extensions, seed), curve, seed)
}
