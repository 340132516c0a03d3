//! The simulated account: permissions, rate limits and the regular response to each request.
//!
//! The time is an argument. Logins are in `login`, lists in `lists`.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::simulator::company::Company;
use crate::simulator::faults::FaultKind;
use crate::simulator::gateway::handshake;
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

/// The account: constant values and, behind a mutex, the [`ServerState`].
pub(super) struct Account {
    pub(super) scenario: Scenario,
    pub(super) switchboard: Switchboard,
    pub(super) client_id: String,
    pub(super) client_secret: String,
    clock: Clock,
    started_ms: i64,
    /// A std mutex, because it is never held across an await.
    state: Mutex<ServerState>,
}

impl Account {
    /// Creates an account with one JWT.
    pub(super) fn new(scenario: Scenario, seed: u64, clock: Clock) -> Account {
        let now = clock();
        let switchboard = switchboard(&scenario, seed, now);
        let state = ServerState::new(&scenario, seed, now);
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
            state: Mutex::new(state),
        };
        account.issue_jwt();
        account
    }

    /// Returns the time of the scenario's clock in Unix milliseconds.
    pub(super) fn now(&self) -> i64 {
        (self.clock)()
    }

    /// Locks the mutable state.
    pub(super) fn state(&self) -> MutexGuard<'_, ServerState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Issues a JWT and invalidates all previous ones.
    pub(super) fn rotate_jwt(&self) -> String {
        self.state().jwts.clear();
        self.issue_jwt()
    }

    /// Issues a JWT in addition to the previous ones.
    pub(super) fn issue_jwt(&self) -> String {
        let issued = self.now() / 1000;
        let lifetime = self.scenario.jwt_lifetime;
        let expires = lifetime.map(|lifetime| issued + lifetime.as_secs() as i64);
        let owner_id = self.switchboard.company().owner_id();
        let mut state = self.state();
        state.jwts_issued += 1;
        let jwt = jwt::issue(owner_id, issued, expires, state.jwts_issued);
        state.jwts.push(jwt.clone());
        jwt
    }

    /// Adds a request to the journal and returns its sequence and the fault to apply.
    pub(super) fn record_arrival(
        &self,
        operation: Option<Operation>,
        target: &str,
        now: i64,
    ) -> (u64, Option<FaultKind>) {
        let mut state = self.state();
        let sequence = state.journal.insert(now, operation, target.to_owned());
        let outage = self.outage(sequence, now);
        let Some(operation) = operation else {
            return (sequence, outage);
        };
        let in_penalty = state.group(operation).1.in_penalty(now);
        state
            .journal
            .update(sequence, |entry| entry.in_penalty = in_penalty);
        let fault = outage.or_else(|| state.faults.take_next(operation));
        (sequence, fault)
    }

    /// Records the response to a request that arrived over an event connection.
    pub(super) fn record_answer(&self, sequence: u64, status: u16) {
        let answered_ms = Some(self.now());
        self.state().journal.update(sequence, |entry| {
            entry.answered_ms = answered_ms;
            entry.status = Some(status);
        });
    }

    /// Returns one of three failures in turn while the API is down.
    fn outage(&self, sequence: u64, now: i64) -> Option<FaultKind> {
        let outage = self.scenario.outage?;
        if !outage.is_down(now - self.started_ms) {
            return None;
        }
        Some(match sequence % 3 {
            0 => FaultKind::from(SimResponse::unavailable(503)),
            1 => FaultKind::from(SimResponse::html(502, "502 Bad Gateway")),
            _ => FaultKind::CloseBeforeResponse,
        })
    }

    /// Counts a request against its rate limit and returns the regular response.
    pub(super) fn handle(&self, request: &ApiRequest, now: i64) -> ListResponse {
        let route = request.route();
        let Some(operation) = route.operation() else {
            return SimResponse::bad_uri().into();
        };
        if request.method != route.method() {
            return SimResponse::bad_method().into();
        }
        if operation == Operation::EventConnection {
            return handshake::upgrade(request).into();
        }
        if !matches!(operation, Operation::Token | Operation::Revoke)
            && let Err(refusal) = self.check_bearer(request, now)
        {
            return refusal.into();
        }
        let decision = self.state().group(operation).1.admit(now);
        let list = match decision {
            Decision::Refused {
                retry_after_seconds,
            } => SimResponse::too_many_requests(Some(retry_after_seconds)).into(),
            Decision::Admitted { .. } => self
                .dispatch(route, request, now)
                .unwrap_or_else(ListResponse::from),
        };
        ListResponse {
            response: self.with_rate_limit(list.response, operation, decision),
            ..list
        }
    }

    /// Adds the headers of the operation's rate limit.
    pub(super) fn with_rate_limit(
        &self,
        response: SimResponse,
        operation: Operation,
        decision: Decision,
    ) -> SimResponse {
        if !self.scenario.rate_limit_headers {
            return response;
        }
        let remaining = match decision {
            Decision::Admitted { remaining } => remaining,
            Decision::Refused { .. } => 0,
        };
        let mut state = self.state();
        let (group, limiter) = state.group(operation);
        let limit = limiter.limit();
        let window_seconds = limit.window.as_millis().div_ceil(1000) as u64;
        response.with_rate_limit(group, limit.requests, remaining, window_seconds)
    }

    fn check_bearer(&self, request: &ApiRequest, now: i64) -> Result<(), SimResponse> {
        let Some(token) = request.credentials("Bearer") else {
            return Err(SimResponse::no_token());
        };
        match self.state().tokens.check(token, now) {
            Ok(()) => Ok(()),
            Err(TokenError::Unknown) => Err(SimResponse::token_not_found()),
            Err(TokenError::Expired) => Err(SimResponse::token_expired()),
        }
    }

    fn dispatch(
        &self,
        route: Route<'_>,
        request: &ApiRequest,
        now: i64,
    ) -> Result<ListResponse, SimResponse> {
        match route {
            Route::Token => Ok(self.log_in(request, now)?.into()),
            Route::Revoke => Ok(self.revoke(request)?.into()),
            Route::ActiveCalls { account, extension } => {
                self.check_account(account)?;
                let extension = match extension {
                    Some(extension) => Some(self.extension_id(extension)?),
                    None => None,
                };
                self.check_call_log(extension)?;
                lists::active_calls(request, &self.scenario, &self.switchboard, extension, now)
            }
            Route::Extensions { account } => {
                self.check_account(account)?;
                if !self.scenario.read_accounts {
                    return Err(SimResponse::app_lacks("ReadAccounts"));
                }
                lists::extensions(request, &self.scenario, &self.switchboard)
            }
            Route::Presence { account } => {
                self.check_account(account)?;
                if !self.scenario.read_presence {
                    return Err(SimResponse::app_lacks("ReadPresence"));
                }
                lists::presence(request, &self.scenario, &self.switchboard, now)
            }
            Route::EventToken => Ok(self.event_token(request, now)?.into()),
            Route::EventConnection | Route::Journal | Route::Listed | Route::Unknown => {
                Err(SimResponse::bad_uri())
            }
        }
    }

    fn check_account(&self, id: &str) -> Result<(), SimResponse> {
        if id == "~" || id == self.switchboard.company().account_id.to_string() {
            Ok(())
        } else {
            Err(SimResponse::not_found("accountId", id))
        }
    }

    fn extension_id(&self, text: &str) -> Result<u64, SimResponse> {
        if text == "~" {
            return Ok(self.switchboard.company().owner_id());
        }
        if let Ok(id) = text.parse() {
            let mut extensions = self.switchboard.extensions().iter();
            if extensions.any(|extension| extension.id == id) {
                return Ok(id);
            }
        }
        Err(SimResponse::not_found("extensionId", text))
    }

    /// Checks the app's scope and that a user without admin rights lists only their own calls.
    fn check_call_log(&self, extension: Option<u64>) -> Result<(), SimResponse> {
        if !self.scenario.read_call_log {
            return Err(SimResponse::app_lacks("ReadCallLog"));
        }
        let is_own = extension == Some(self.switchboard.company().owner_id());
        if !self.scenario.admin && !is_own {
            return Err(SimResponse::user_lacks("ReadCompanyCallLog"));
        }
        Ok(())
    }
}

fn switchboard(scenario: &Scenario, seed: u64, now: i64) -> Switchboard {
    let day_shift_ms = match scenario.local_time_at_start {
        Some(local) => LoadProfile::shift_to(now, local.as_millis() as i64),
        None => 0,
    };
    let profile = LoadProfile {
        calls_per_minute: scenario.calls_per_minute,
        day_shift_ms,
        surge: scenario.surge_factor.map(|factor| Surge {
            started_ms: now,
            factor,
        }),
    };
    let company = Company {
        ringing: scenario.ringing,
        ..Company::new(scenario.extensions, seed)
    };
    Switchboard::new(company, profile, seed)
        .with_missing_live_records(scenario.missing_live_records)
}
