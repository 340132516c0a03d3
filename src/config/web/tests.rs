//! What is accepted, and the exact line for what is not.

use std::path::Path;
use std::time::Duration;

use super::*;

const HASH: &str = "$2y$10$mDwo.lAisC94iLAyP81MCesa29IzH37oigHC/42V2pdJlUprsJPze";
const TLS: &str = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n";

fn parse(text: &str) -> Result<WebConfig, String> {
    WebConfig::parse(Path::new("/etc/web.yml"), text).map_err(|error| error.0)
}

#[track_caller]
fn complaint(text: &str) -> String {
    let complaint = parse(text)
        .err()
        .unwrap_or_else(|| panic!("accepted: {text}"));
    assert!(!complaint.contains('\n'), "{complaint}");
    complaint
        .strip_prefix("--web.config.file: /etc/web.yml")
        .unwrap()
        .to_owned()
}

/// The complaint about a line in `tls_server_config`, which is the fourth.
#[track_caller]
fn tls_complaint(line: &str) -> String {
    complaint(&format!("{TLS}  {line}\n"))
}

#[test]
fn the_examples_of_the_toolkit_are_accepted() {
    let web = parse(include_str!("../../../tests/web/files/toolkit-sample.yml")).unwrap();
    assert!(
        web.tls.is_some() && web.users.get("alice").is_some() && web.users.get("bob").is_some()
    );
    assert_eq!(
        web.rate_limit,
        Some(RateLimit {
            interval: Duration::from_secs(1),
            burst: 20
        })
    );
    let web = parse(include_str!("../../../tests/web/files/toolkit-headers.yml")).unwrap();
    assert_eq!(web.headers.len(), 5);
    let web = parse(include_str!("../../../tests/web/files/toolkit-whole.yml")).unwrap();
    assert!(web.tls.unwrap().clients.unwrap().required);
    assert!(parse("").unwrap().tls.is_none());
}

#[test]
fn paths_are_relative_to_the_file() {
    let files = |text| {
        parse(text)
            .unwrap()
            .tls
            .unwrap()
            .files()
            .map(Path::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        files(TLS),
        [Path::new("/etc/server.crt"), Path::new("/etc/server.key")]
    );
    let absolute = "tls_server_config: {cert_file: /tls/tls.crt, key_file: ../tls.key}";
    assert_eq!(
        files(absolute),
        [Path::new("/tls/tls.crt"), Path::new("/etc/../tls.key")]
    );
}

#[test]
fn a_text_in_the_place_of_a_path_is_told_and_never_shown() {
    for (file, inline) in [
        ("cert_file", "cert"),
        ("key_file", "key"),
        ("client_ca_file", "client_ca"),
    ] {
        for text in [
            "|\n    -----BEGIN PRIVATE KEY-----\n    sesame",
            "-----BEGIN sesame",
            "' -----sesame'",
            "\"a\\rsesame\"",
        ] {
            let told = complaint(&format!("tls_server_config:\n  {file}: {text}\n"));
            let what = "this is a PEM text, not a path; accepted is a path; a text goes under";
            assert_eq!(
                told,
                format!(" line 2: tls_server_config.{file}: {what} {inline}")
            );
        }
    }
}

#[test]
fn each_version_suite_and_curve_that_rustls_lacks_names_itself() {
    let suites = "TLS_AES_128_GCM_SHA256, TLS_AES_256_GCM_SHA384, TLS_CHACHA20_POLY1305_SHA256, \
        TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, \
        TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, \
        TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256";
    let cases = [
        (
            "min_version: TLS10",
            r#"min_version: "TLS10" is not spoken by rustls; accepted is TLS12 or TLS13"#,
        ),
        (
            "max_version: TLS11",
            r#"max_version: "TLS11" is not spoken by rustls; accepted is TLS12 or TLS13"#,
        ),
        (
            "min_version: TLS111",
            r#"min_version: "TLS111" is not accepted; accepted is TLS12 or TLS13"#,
        ),
        (
            "curve_preferences: [CurveP521]",
            r#"curve_preferences[0]: "CurveP521" is a curve that ring lacks; accepted is X25519, CurveP256, CurveP384"#,
        ),
        (
            "curve_preferences: [X25519, CurveP257]",
            r#"curve_preferences[1]: "CurveP257" is not accepted; accepted is X25519, CurveP256, CurveP384"#,
        ),
        (
            "client_auth_type: MaybeClientCert",
            r#"client_auth_type: "MaybeClientCert" is not accepted; accepted is NoClientCert, RequestClientCert, RequireAnyClientCert, VerifyClientCertIfGiven or RequireAndVerifyClientCert"#,
        ),
    ];
    for (line, message) in cases {
        assert_eq!(
            tls_complaint(line),
            format!(" line 4: tls_server_config.{message}")
        );
    }
    let weak = tls_complaint("cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA]");
    let why = r#""TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA" is too weak for rustls, which lacks it"#;
    assert_eq!(
        weak,
        format!(" line 4: tls_server_config.cipher_suites[0]: {why}; accepted is {suites}")
    );
    let invented = tls_complaint("cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA2048]");
    let why = r#""TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA2048" is not accepted"#;
    assert_eq!(
        invented,
        format!(" line 4: tls_server_config.cipher_suites[0]: {why}; accepted is {suites}")
    );
}

#[test]
fn versions_suites_and_curves_are_taken_in_their_order() {
    let tls = |lines| parse(&format!("{TLS}{lines}")).unwrap().tls.unwrap();
    assert_eq!(tls("").versions.len(), 2);
    assert_eq!(
        tls("  min_version: TLS13\n").versions,
        [&rustls::version::TLS13]
    );
    assert_eq!(
        tls("  max_version: TLS12\n").versions,
        [&rustls::version::TLS12]
    );
    let named = tls(
        "  cipher_suites: [TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]\n",
    );
    let older: Vec<_> = named
        .suites
        .iter()
        .filter(|suite| suite.tls13().is_none())
        .map(|suite| suite.suite())
        .collect();
    use rustls::CipherSuite::{
        TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 as SMALL,
        TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 as LARGE,
    };
    assert_eq!(older, [LARGE, SMALL]);
    assert_eq!(
        named.suites.len(),
        5,
        "those of TLS 1.3 are always there, as in Go"
    );
    let curves = tls("  curve_preferences: [CurveP384, X25519]\n").kx_groups;
    assert_eq!(
        curves.iter().map(|curve| curve.name()).collect::<Vec<_>>(),
        [rustls::NamedGroup::secp384r1, rustls::NamedGroup::X25519]
    );
    assert!(
        tls("").prefer_server_cipher_suites
            && !tls("  prefer_server_cipher_suites: false\n").prefer_server_cipher_suites
    );
}

#[test]
fn keys_that_do_not_go_together_are_told() {
    let cases = [
        (
            "tls_server_config: {cert_file: a}",
            " line 1: tls_server_config: key_file or key is missing",
        ),
        (
            "tls_server_config: {min_version: TLS13}",
            " line 1: tls_server_config: cert_file or cert is missing",
        ),
        (
            "tls_server_config: {cert_file: '', key_file: a}",
            " line 1: tls_server_config: cert_file or cert is missing",
        ),
        (
            "tls_server_config: {cert: a, cert_file: b, key_file: c}",
            " line 1: tls_server_config: cert and cert_file are both given; give one of them",
        ),
    ];
    for (text, message) in cases {
        assert_eq!(complaint(text), message);
    }
    assert_eq!(
        tls_complaint("client_ca_file: ca.pem"),
        " line 1: tls_server_config: client_ca_file or client_ca without a client_auth_type that asks for a certificate; accepted is RequireAndVerifyClientCert beside it"
    );
    assert_eq!(
        tls_complaint("client_allowed_sans: [prometheus]"),
        " line 1: tls_server_config: client_allowed_sans without a client_auth_type that asks for a certificate; accepted is RequireAndVerifyClientCert beside it"
    );
    for policy in [
        "RequestClientCert",
        "RequireAnyClientCert",
        "RequireClientCert",
    ] {
        for (line, key) in [
            ("client_ca: a", "client_ca_file or client_ca"),
            ("client_allowed_sans: [a]", "client_allowed_sans"),
        ] {
            let told = tls_complaint(&format!("client_auth_type: {policy}\n  {line}"));
            let what = "without a client_auth_type that verifies certificates";
            let expected = format!(
                " line 1: tls_server_config: {key} {what}; accepted is RequireAndVerifyClientCert beside it"
            );
            assert_eq!(told, expected, "{policy}");
        }
    }
    assert_eq!(
        tls_complaint("client_auth_type: RequireAndVerifyClientCert"),
        " line 1: tls_server_config: RequireAndVerifyClientCert needs client_ca_file or client_ca: whose certificates to believe"
    );
    assert_eq!(
        complaint(&format!(
            "{TLS}  min_version: TLS13\n  max_version: TLS12\n"
        )),
        r#" line 5: tls_server_config.max_version: "TLS12" is not accepted; accepted is a version that is not below min_version"#
    );
}

#[test]
fn the_five_policies_ask_what_they_say() {
    let clients = |policy: &str| {
        let ca = if policy.contains("Verify") {
            "ca.pem"
        } else {
            ""
        };
        let lines = format!("  client_auth_type: {policy}\n  client_ca_file: {ca}\n");
        parse(&format!("{TLS}{lines}"))
            .unwrap()
            .tls
            .unwrap()
            .clients
            .unwrap()
    };
    for (policy, required, verified) in [
        ("RequestClientCert", false, false),
        ("RequireAnyClientCert", true, false),
        ("VerifyClientCertIfGiven", false, true),
        ("RequireAndVerifyClientCert", true, true),
    ] {
        let clients = clients(policy);
        assert_eq!(
            (clients.required, clients.ca.is_some()),
            (required, verified),
            "{policy}"
        );
    }
    assert!(
        parse(&format!("{TLS}  client_auth_type: NoClientCert\n"))
            .unwrap()
            .tls
            .unwrap()
            .clients
            .is_none()
    );
    let named = format!(
        "{TLS}  client_auth_type: VerifyClientCertIfGiven\n  client_ca: a\n  client_allowed_sans: [a]\n"
    );
    assert!(
        parse(&named)
            .unwrap()
            .tls
            .unwrap()
            .clients
            .unwrap()
            .required,
        "no certificate has no allowed name"
    );
}

#[test]
fn unknown_keys_are_told_with_path_and_line() {
    let keys = "cert, cert_file, key, key_file, client_ca, client_ca_file, client_auth_type, client_allowed_sans, \
        min_version, max_version, cipher_suites, prefer_server_cipher_suites, curve_preferences";
    assert_eq!(
        tls_complaint("cert_filse: server.crt"),
        format!(" line 4: tls_server_config.cert_filse: there is no such key; accepted are {keys}")
    );
    assert_eq!(
        complaint("tls_config: {}"),
        " line 1: tls_config: there is no such key; accepted are tls_server_config, http_server_config, basic_auth_users, rate_limit"
    );
    assert_eq!(
        complaint("http_server_config:\n  http3: true"),
        " line 2: http_server_config.http3: there is no such key; accepted are http2, headers"
    );
}

#[test]
fn headers_are_those_of_the_toolkit_alone() {
    let accepted = "Content-Security-Policy, X-Frame-Options, X-Content-Type-Options, X-XSS-Protection or Strict-Transport-Security";
    let complaint =
        |header: &str| complaint(&format!("http_server_config:\n  headers:\n    {header}\n"));
    assert_eq!(
        complaint("Content-Type: foo"),
        format!(
            " line 3: http_server_config.headers.Content-Type: a header that cannot be set; accepted is {accepted}"
        )
    );
    assert_eq!(
        complaint("X-Frame-Options: foo"),
        r#" line 3: http_server_config.headers.X-Frame-Options: "foo" is not accepted; accepted is deny or sameorigin"#
    );
    assert_eq!(
        complaint("X-Content-Type-Options: sniff"),
        r#" line 3: http_server_config.headers.X-Content-Type-Options: "sniff" is not accepted; accepted is nosniff"#
    );
    assert!(
        complaint(r#"X-XSS-Protection: "1\r\nSet-Cookie: a""#)
            .contains("one line of visible characters")
    );
    assert!(
        parse("http_server_config: {http2: false, headers: {X-Frame-Options: ''}}")
            .unwrap()
            .headers
            .is_empty()
    );
}

#[test]
fn a_hash_that_is_none_is_never_shown() {
    for hash in [
        "doe",
        "sesame-street-sesame-street-sesame-street-sesame-street-sesam",
        &HASH[..59],
        &HASH.replace("$10$", "$03$"),
        &HASH.replace("$10$", "$32$"),
        &HASH.replace("$2y$", "$2x$"),
        &HASH.replace("$2y$", "$1y$"),
        "",
    ] {
        let complaint = complaint(&format!("basic_auth_users:\n  alice: '{hash}'\n"));
        assert!(
            complaint.starts_with(
                " line 2: basic_auth_users.alice: this is no bcrypt hash; accepted is"
            ),
            "{complaint}"
        );
        assert!(hash.is_empty() || !complaint.contains(hash));
    }
    let exchanged = complaint(&format!("basic_auth_users:\n  {HASH}: alice\n"));
    assert!(
        exchanged.starts_with(" line 2: basic_auth_users.(a key): this is no bcrypt hash"),
        "{exchanged}"
    );
    let colon = complaint(&format!("basic_auth_users:\n  'a:b': {HASH}\n"));
    assert!(
        colon.ends_with("a name with a colon can never log in; accepted is a name without one"),
        "{colon}"
    );
}

#[test]
fn a_rate_limit_that_would_refuse_everything_is_told() {
    let limit = |text: &str| parse(text).unwrap().rate_limit;
    assert_eq!(limit("rate_limit: {interval: 0, burst: 0}"), None);
    assert_eq!(limit("rate_limit: {interval: 0s}"), None);
    let half = Some(RateLimit {
        interval: Duration::from_millis(500),
        burst: 3,
    });
    assert_eq!(limit("rate_limit: {interval: 500ms, burst: 3}"), half);
    assert_eq!(
        complaint("rate_limit: {interval: 1s}"),
        " line 1: rate_limit: burst is missing; accepted is a whole number from 1 to 1000000"
    );
    assert_eq!(
        complaint("rate_limit: {interval: 1s, burst: 0}"),
        r#" line 1: rate_limit.burst: "0" is not accepted; accepted is a whole number from 1 to 1000000"#
    );
    assert_eq!(
        complaint("rate_limit: {interval: 1, burst: 1}"),
        r#" line 1: rate_limit.interval: "1" is not accepted; accepted is a duration such as 500ms or 1s, or 0 for no limit"#
    );
}

#[test]
fn debug_shows_neither_key_nor_hash() {
    let text = format!(
        "tls_server_config: {{cert: a, key: sesame}}\nbasic_auth_users: {{alice: {HASH}}}\n"
    );
    let debug = format!("{:?}", parse(&text).unwrap());
    assert!(
        !debug.contains("sesame") && !debug.contains("mDwo"),
        "{debug}"
    );
}
