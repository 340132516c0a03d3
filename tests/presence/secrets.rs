//! No token of the stream is in the log at any level, on the page or in `/status`, whatever happens to the connection; and
//! the gateway is connected to through the proxy.

use ringcentral_exporter::simulator::limiter::Limit;
use ringcentral_exporter::simulator::scenario::Limits;
use ringcentral_exporter::simulator::{
    Fault, FaultKind, GatewayFault, Operation, Scenario, SimResponse, Simulator, Times,
};
use tokio::process::Command;

use crate::common::exporter_process::{ExporterProcess, command_for_simulator};
use crate::common::get;
use crate::harness::bind_loopback;

/// The prefix of all access tokens and event tokens of the simulated account.
const TOKEN_PREFIX: &str = "U0pDMTFQ";

async fn simulator() -> Simulator {
    let scenario = Scenario {
        extensions: 30,
        // Enough for one attempt after the other.
        limits: Limits {
            auth: Limit::per_minute(60),
            ..Limits::default()
        },
        ..Scenario::normal()
    };
    Simulator::start(bind_loopback().await, scenario, 1).unwrap()
}

fn command(simulator: &Simulator) -> Command {
    let flags = [
        "--web.listen-address=127.0.0.1:0",
        "--log.level=trace",
        "--ringcentral.presence=events",
    ];
    command_for_simulator(simulator, &flags)
}

fn inject(simulator: &Simulator, operation: Operation, kind: impl Into<FaultKind>) {
    simulator.inject(Fault::once(operation, kind));
}

/// Stops the exporter and asserts that none of its texts contains a secret.
async fn assert_no_secret(mut program: ExporterProcess, simulator: &Simulator, url: &str) {
    let page = get(url).await;
    let status = get(&format!("{url}/status")).await;
    let metrics = get(&format!("{url}/metrics")).await;
    program.signal("TERM").await;
    program.wait_for_exit().await;
    for secret in [
        simulator.client_secret(),
        simulator.jwt(),
        TOKEN_PREFIX.to_owned(),
        "access_token".to_owned(),
        "Bearer".to_owned(),
        "Basic ".to_owned(),
        "sesame".to_owned(),
    ] {
        for text in [&program.log, &page, &status, &metrics] {
            assert!(!text.contains(&secret), "{secret} in {text}");
        }
    }
}

#[tokio::test]
async fn trace_log_of_events_has_no_secret() {
    let simulator = simulator().await;
    let token = format!("{TOKEN_PREFIX}0123456789");
    let echo = format!(r#"{{"errorCode":"CMN-1","message":"bad access_token={token}"}}"#);
    let body = |uri: &str| {
        let body = format!(r#"{{"uri":"{uri}","ws_access_token":"{token}","expires_in":60}}"#);
        FaultKind::Body(body.into())
    };
    // Each of these is an attempt that fails.
    inject(
        &simulator,
        Operation::EventToken,
        body("ws://127.0.0.1:1/ws"),
    );
    inject(
        &simulator,
        Operation::EventToken,
        body(&format!("ws://gateway.invalid/ws?x={token}")),
    );
    inject(
        &simulator,
        Operation::EventConnection,
        FaultKind::CloseBeforeResponse,
    );
    inject(
        &simulator,
        Operation::EventConnection,
        FaultKind::Status {
            status: 503,
            body: echo.into(),
            headers: Vec::new(),
        },
    );
    let mut program = ExporterProcess::start(command(&simulator));
    let url = program.wait_for_url().await;
    get(&format!("{url}/metrics")).await;
    program.wait_for_log("no event connection").await;
    program.wait_for_log("receiving presence events").await;
    let failing = GatewayFault::Close {
        code: 4401,
        reason: format!("access_token={token}"),
    };
    for fault in [
        GatewayFault::Text(token.clone()),
        GatewayFault::Text(format!(
            r#"[{{"type":"{token}"}},{{"access_token":"{token}"}}]"#
        )),
        GatewayFault::Text(format!(
            r#"[{{"type":"ServerNotification"}},{{"uuid":"{token}"}}]"#
        )),
        failing,
    ] {
        inject(&simulator, Operation::EventStream, fault);
    }
    program.wait_for_log("event connection lost").await;
    let page = get(&url).await;
    assert!(!page.contains(TOKEN_PREFIX), "{page}");
    program.wait_for_log("receiving presence events").await;
    assert_no_secret(program, &simulator, &url).await;
}

#[tokio::test]
async fn gateway_is_connected_to_through_the_proxy() {
    let simulator = simulator().await;
    let refusal = SimResponse::html(407, "Proxy Authentication Required");
    simulator.inject(Fault {
        operation: Operation::EventConnection,
        kind: refusal.into(),
        times: Times::N(1),
    });
    // By CONNECT, which the simulated account refuses.
    let tls = r#"{"uri":"wss://gateway.invalid/ws","ws_access_token":"t","expires_in":60}"#;
    inject(
        &simulator,
        Operation::EventToken,
        FaultKind::Body(tls.into()),
    );
    let proxy = simulator.url().replace("http://", "http://user:sesame@");
    let mut command = command(&simulator);
    command.env("RC_SERVER_URL", "http://platform.ringcentral.invalid");
    for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"] {
        command.env(name, &proxy);
    }
    let mut program = ExporterProcess::start(command);
    let url = program.wait_for_url().await;
    get(&format!("{url}/metrics")).await;
    let refused = program.wait_for_log("no event connection").await;
    assert!(refused.contains("proxy"), "{refused}");
    program.wait_for_log("receiving presence events").await;
    let metrics = get(&format!("{url}/metrics")).await;
    for expected in [
        "\nringcentral_up{account=\"default\"} 1\n",
        "ringcentral_event_connections_total{account=\"default\",result=\"failed\"} 2\n",
    ] {
        assert!(metrics.contains(expected), "{metrics}");
    }
    assert_no_secret(program, &simulator, &url).await;
}
