//! Requests for a subscription, which clients send over the event connection.

use serde_json::{Value, json};

use crate::simulator::account::Account;
use crate::simulator::gateway::filters::Filter;
use crate::simulator::gateway::frames::ClientRequest;
use crate::simulator::gateway::hub::{SUBSCRIPTION_LIFETIME_MS, Subscription};
use crate::simulator::limiter::Decision;
use crate::simulator::presence::wire::{merge, timestamp};
use crate::simulator::request_log::Operation;
use crate::simulator::response::SimResponse;

const PATH: &str = "/restapi/v1.0/subscription";

impl Account {
    /// Returns the response to a request of a session; with `disabled` all its filters are.
    pub(super) fn handle_subscription(
        &self,
        session: u64,
        request: &ClientRequest,
        disabled: bool,
        now: i64,
    ) -> SimResponse {
        let Some(rest) = request.path.strip_prefix(PATH) else {
            return SimResponse::bad_uri();
        };
        let id = rest.trim_matches('/');
        let decision = match request.method.as_str() {
            "GET" => return self.read_subscription(session, id, now),
            _ => self.state().group(Operation::Subscription).1.admit(now),
        };
        let response = match decision {
            Decision::Refused {
                retry_after_seconds,
            } => SimResponse::too_many_requests(Some(retry_after_seconds)),
            Decision::Admitted { .. } => self
                .change_subscription(session, id, request, disabled, now)
                .unwrap_or_else(|refusal| refusal),
        };
        self.with_rate_limit(response, Operation::Subscription, decision)
    }

    fn change_subscription(
        &self,
        session: u64,
        id: &str,
        request: &ClientRequest,
        disabled: bool,
        now: i64,
    ) -> Result<SimResponse, SimResponse> {
        if !matches!(request.method.as_str(), "POST" | "DELETE") {
            self.check_subscription(session, id)?;
        }
        match request.method.as_str() {
            "POST" | "PUT" => {
                check_delivery_mode(&request.body)?;
                let filters = self.requested_filters(&request.body)?;
                let (filters, refused) = if disabled || !self.scenario.read_accounts {
                    (Vec::new(), filters)
                } else {
                    (filters, Vec::new())
                };
                self.subscribe(session, &request.method, filters, &refused, now)
            }
            "DELETE" => {
                if !self.state().hub.delete_subscription(id, now) {
                    return Err(SimResponse::not_found("subscriptionId", id));
                }
                Ok(SimResponse {
                    status: 204,
                    headers: Vec::new(),
                    body: Default::default(),
                })
            }
            _ => Err(SimResponse::bad_method()),
        }
    }

    fn subscribe(
        &self,
        session: u64,
        method: &str,
        filters: Vec<Filter>,
        refused: &[Filter],
        now: i64,
    ) -> Result<SimResponse, SimResponse> {
        let state = &mut *self.state();
        // What happened before belongs to the former subscriptions.
        state.hub.advance(&self.switchboard, &mut state.faults, now);
        let subscription = if method == "PUT" {
            state.hub.set_filters(session, filters)
        } else {
            if state.hub.other_subscriptions(session, now) >= self.scenario.max_subscriptions {
                return Err(SimResponse::too_many_subscriptions());
            }
            state.hub.subscribe(session, filters, now)
        };
        let subscription = subscription.ok_or_else(SimResponse::bad_uri)?;
        Ok(SimResponse::json(200, &info(subscription, refused, now)))
    }

    /// Returns the session's subscription: by its id, or in a list.
    fn read_subscription(&self, session: u64, id: &str, now: i64) -> SimResponse {
        let state = self.state();
        let own = state.hub.subscription(session);
        if id.is_empty() {
            let records: Vec<Value> = own.iter().map(|own| info(own, &[], now)).collect();
            return SimResponse::json(200, &json!({"uri": PATH, "records": records}));
        }
        match own {
            Some(own) if own.id == id => SimResponse::json(200, &info(own, &[], now)),
            _ => SimResponse::not_found("subscriptionId", id),
        }
    }

    fn check_subscription(&self, session: u64, id: &str) -> Result<(), SimResponse> {
        let state = self.state();
        match state.hub.subscription(session) {
            Some(subscription) if subscription.id == id => Ok(()),
            _ => Err(SimResponse::not_found("subscriptionId", id)),
        }
    }

    fn requested_filters(&self, body: &Value) -> Result<Vec<Filter>, SimResponse> {
        let company = self.switchboard.company();
        let mut filters = Vec::new();
        let requested = body.get("eventFilters").and_then(Value::as_array);
        for filter in requested.into_iter().flatten() {
            let text = filter.as_str().unwrap_or_default();
            match Filter::parse(text, company.account_id, company.owner_id()) {
                Some(filter) => filters.push(filter),
                None => return Err(SimResponse::invalid_filters()),
            }
        }
        if filters.is_empty() {
            return Err(SimResponse::invalid_filters());
        }
        Ok(filters)
    }
}

fn check_delivery_mode(body: &Value) -> Result<(), SimResponse> {
    let transport = body.pointer("/deliveryMode/transportType");
    match transport.and_then(Value::as_str) {
        Some("WebSocket") => Ok(()),
        other => Err(SimResponse::bad_parameter(
            "deliveryMode.transportType",
            other.unwrap_or_default(),
        )),
    }
}

/// Returns the JSON of a subscription.
fn info(subscription: &Subscription, disabled: &[Filter], now: i64) -> Value {
    let expires_ms = subscription.created_ms + SUBSCRIPTION_LIFETIME_MS;
    let filters: Vec<&String> = subscription.filters.iter().map(|f| &f.text).collect();
    let info = json!({
        "uri": format!("{PATH}/{}", subscription.id),
        "id": subscription.id,
        "creationTime": timestamp(subscription.created_ms),
        "status": "Active",
        "eventFilters": filters,
        "expirationTime": timestamp(expires_ms),
        "expiresIn": (expires_ms - now) / 1_000,
        "deliveryMode": {"transportType": "WebSocket", "encryption": false},
    });
    let disabled: Vec<Value> = disabled.iter().map(disabled_filter).collect();
    if disabled.is_empty() {
        return info;
    }
    merge(info, json!({"disabledFilters": disabled}))
}

fn disabled_filter(filter: &Filter) -> Value {
    json!({
        "filter": filter.text,
        "reason": "InsufficientPermissions",
        "message": "Not enough permissions to subscribe for the event",
    })
}
