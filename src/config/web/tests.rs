//! Valid and invalid files, with the exact error for each mistake.

use std::path::Path;
use std::time::Duration;

use super::*;

const HASH: &str = "$2y$10$mDwo.lAisC94iLAyP81MCesa29IzH37oigHC/42V2pdJlUprsJPze";
const TLS: &str = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n";

fn parse(text: &str) -> Result<WebConfig, String> {
    WebConfig::parse(Path::new("/etc/web.yml"), text).map_err(|error| error.0)
}

#[track_caller]
fn error_of(text: &str) -> String {
    let error = parse(text).err().unwrap_or_else(|| panic!("valid: {text}"));
    assert!(!error.contains('\n'), "{error}");
    error
        .strip_prefix("--web.config.file: /etc/web.yml")
        .unwrap()
        .to_owned()
}

/// Returns the error for a line in `tls_server_config`, which is line 4 of the file.
#[track_caller]
fn tls_error(line: &str) -> String {
    error_of(&format!("{TLS}  {line}\n"))
}

#[test]
fn toolkit_examples_are_valid() {
    let web = parse(include_str!("../../../tests/web/files/toolkit-sample.yml")).unwrap();
    assert!(web.tls.is_some() && web.users.contains_key("alice") && web.users.contains_key("bob"));
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
fn pem_text_as_path_is_an_error_without_the_text() {
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
            let error = error_of(&format!("tls_server_config:\n  {file}: {text}\n"));
            let line = if text.starts_with('|') { 3 } else { 2 };
            let reason = "PEM text instead of a path: expected a path; PEM text belongs in";
            assert_eq!(
                error,
                format!(" line {line}: tls_server_config.{file}: {reason} {inline}")
            );
        }
    }
}

#[test]
fn unsupported_tls_names_are_errors() {
    let suites = "TLS_AES_128_GCM_SHA256, TLS_AES_256_GCM_SHA384, TLS_CHACHA20_POLY1305_SHA256, \
        TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, \
        TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, \
        TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256";
    let cases = [
        (
            "min_version: TLS10",
            r#"min_version: rustls does not support "TLS10": expected TLS12 or TLS13"#,
        ),
        (
            "max_version: TLS11",
            r#"max_version: rustls does not support "TLS11": expected TLS12 or TLS13"#,
        ),
        (
            "min_version: TLS111",
            r#"min_version: invalid value "TLS111": expected TLS12 or TLS13"#,
        ),
        (
            "curve_preferences: [CurveP521]",
            r#"curve_preferences[0]: rustls does not support "CurveP521": expected one of X25519, CurveP256, CurveP384"#,
        ),
        (
            "curve_preferences: [X25519, CurveP257]",
            r#"curve_preferences[1]: invalid value "CurveP257": expected one of X25519, CurveP256, CurveP384"#,
        ),
        (
            "client_auth_type: MaybeClientCert",
            r#"client_auth_type: invalid value "MaybeClientCert": expected NoClientCert, RequestClientCert, RequireAnyClientCert, VerifyClientCertIfGiven or RequireAndVerifyClientCert"#,
        ),
    ];
    for (line, message) in cases {
        assert_eq!(
            tls_error(line),
            format!(" line 4: tls_server_config.{message}")
        );
    }
    let weak = tls_error("cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA]");
    let reason = r#"rustls does not support "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA""#;
    assert_eq!(
        weak,
        format!(" line 4: tls_server_config.cipher_suites[0]: {reason}: expected one of {suites}")
    );
    let unknown = tls_error("cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA2048]");
    let reason = r#"invalid value "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA2048""#;
    assert_eq!(
        unknown,
        format!(" line 4: tls_server_config.cipher_suites[0]: {reason}: expected one of {suites}")
    );
}

#[test]
fn tls_names_keep_their_order() {
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
fn conflicting_or_missing_tls_keys_are_errors() {
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
            " line 1: tls_server_config.cert_file: conflicts with cert: expected only one of them",
        ),
    ];
    for (text, message) in cases {
        assert_eq!(error_of(text), message);
    }
    let ineffective =
        "has no effect with this client_auth_type: expected RequireAndVerifyClientCert";
    for auth_type in [
        "NoClientCert",
        "''",
        "RequestClientCert",
        "RequireAnyClientCert",
        "RequireClientCert",
    ] {
        for (line, key) in [
            ("client_ca: a", "client_ca_file or client_ca"),
            ("client_ca_file: a", "client_ca_file or client_ca"),
            ("client_allowed_sans: [a]", "client_allowed_sans"),
        ] {
            let error = tls_error(&format!("client_auth_type: {auth_type}\n  {line}"));
            let expected = format!(" line 2: tls_server_config: {key} {ineffective}");
            assert_eq!(error, expected, "{auth_type}");
        }
    }
    assert_eq!(
        tls_error("client_auth_type: RequireAndVerifyClientCert"),
        " line 2: tls_server_config: client_ca_file or client_ca is missing: expected the CA of the clients"
    );
    assert_eq!(
        tls_error("client_allowed_sans: []"),
        " line 4: tls_server_config.client_allowed_sans: the list is empty: expected at least one name"
    );
    assert_eq!(
        error_of(&format!(
            "{TLS}  min_version: TLS13\n  max_version: TLS12\n"
        )),
        r#" line 5: tls_server_config.max_version: invalid value "TLS12": expected a version that is not below min_version"#
    );
}

#[test]
fn client_auth_types_map_to_required_and_ca() {
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
fn unknown_keys_are_errors_with_path_and_line() {
    let keys = "cert, cert_file, key, key_file, client_ca, client_ca_file, client_auth_type, client_allowed_sans, \
        min_version, max_version, cipher_suites, prefer_server_cipher_suites, curve_preferences";
    assert_eq!(
        tls_error("cert_filse: server.crt"),
        format!(" line 4: unknown key `tls_server_config.cert_filse`: expected one of {keys}")
    );
    assert_eq!(
        error_of("tls_config: {}"),
        " line 1: unknown key `tls_config`: expected one of tls_server_config, http_server_config, basic_auth_users, rate_limit"
    );
    assert_eq!(
        error_of("http_server_config:\n  http3: true"),
        " line 2: unknown key `http_server_config.http3`: expected one of http2, headers"
    );
}

#[test]
fn only_toolkit_headers_are_valid() {
    let expected = "Content-Security-Policy, X-Frame-Options, X-Content-Type-Options, X-XSS-Protection, Strict-Transport-Security";
    let header_error =
        |header: &str| error_of(&format!("http_server_config:\n  headers:\n    {header}\n"));
    assert_eq!(
        header_error("Content-Type: foo"),
        format!(
            " line 3: http_server_config.headers.Content-Type: unknown header: expected one of {expected}"
        )
    );
    assert_eq!(
        header_error("X-Frame-Options: foo"),
        r#" line 3: http_server_config.headers.X-Frame-Options: invalid value "foo": expected deny or sameorigin"#
    );
    assert_eq!(
        header_error("X-Content-Type-Options: sniff"),
        r#" line 3: http_server_config.headers.X-Content-Type-Options: invalid value "sniff": expected nosniff"#
    );
    assert!(
        header_error(r#"X-XSS-Protection: "1\r\nSet-Cookie: a""#)
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
fn invalid_hash_is_an_error_without_the_hash() {
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
        let error = error_of(&format!("basic_auth_users:\n  alice: '{hash}'\n"));
        assert!(
            error.starts_with(" line 2: basic_auth_users.alice: not a bcrypt hash: expected"),
            "{error}"
        );
        assert!(hash.is_empty() || !error.contains(hash));
    }
    let exchanged = error_of(&format!("basic_auth_users:\n  {HASH}: alice\n"));
    assert!(
        exchanged.starts_with(" line 2: basic_auth_users.(redacted): not a bcrypt hash"),
        "{exchanged}"
    );
    let colon = error_of(&format!("basic_auth_users:\n  'a:b': {HASH}\n"));
    assert!(
        colon.ends_with(
            "a user name with a colon cannot log in: expected a user name without a colon"
        ),
        "{colon}"
    );
}

#[test]
fn rate_limit_without_burst_is_an_error() {
    let limit = |text: &str| parse(text).unwrap().rate_limit;
    assert_eq!(limit("rate_limit: {interval: 0, burst: 0}"), None);
    assert_eq!(limit("rate_limit: {interval: 0s}"), None);
    let half = Some(RateLimit {
        interval: Duration::from_millis(500),
        burst: 3,
    });
    assert_eq!(limit("rate_limit: {interval: 500ms, burst: 3}"), half);
    assert_eq!(
        error_of("rate_limit: {interval: 1s}"),
        " line 1: rate_limit: burst is missing: expected a whole number from 1 to 1000000"
    );
    assert_eq!(
        error_of("rate_limit: {interval: 1s, burst: 0}"),
        r#" line 1: rate_limit.burst: invalid value "0": expected a whole number from 1 to 1000000"#
    );
    assert_eq!(
        error_of("rate_limit: {interval: 1, burst: 1}"),
        r#" line 1: rate_limit.interval: invalid value "1": expected a duration such as 500ms or 1s, or 0 for no limit"#
    );
}

#[test]
fn debug_hides_key_and_hash() {
    let text = format!(
        "tls_server_config: {{cert: a, key: sesame}}\nbasic_auth_users: {{alice: {HASH}}}\n"
    );
    let debug = format!("{:?}", parse(&text).unwrap());
    assert!(
        !debug.contains("sesame") && !debug.contains("mDwo"),
        "{debug}"
    );
}

#[test]
fn booleans_accept_the_spellings_of_yaml() {
    let preference = |text: &str| {
        let line = format!("{TLS}  prefer_server_cipher_suites: {text}\n");
        parse(&line).map(|web| web.tls.unwrap().prefer_server_cipher_suites)
    };
    let http2 = |text: &str| parse(&format!("http_server_config:\n  http2: {text}\n")).map(|_| ());
    for text in ["true", "True", "TRUE", "!!bool true", "~", "null", ""] {
        assert_eq!(preference(text), Ok(true), "{text}");
        assert_eq!(http2(text), Ok(()), "{text}");
    }
    for text in ["false", "False", "FALSE"] {
        assert_eq!(preference(text), Ok(false), "{text}");
        assert_eq!(http2(text), Ok(()), "{text}");
    }
    for (text, value) in [
        ("yes", "yes"),
        ("on", "on"),
        ("No", "No"),
        ("off", "off"),
        ("y", "y"),
        ("1", "1"),
        ("0", "0"),
        ("1.5", "1.5"),
        ("tRUE", "tRUE"),
        ("'true'", "true"),
        ("\"false\"", "false"),
        ("!!str true", "true"),
        ("''", ""),
    ] {
        let expected = format!("invalid value \"{value}\": expected true or false, without quotes");
        assert_eq!(
            preference(text).unwrap_err(),
            format!(
                "--web.config.file: /etc/web.yml line 4: tls_server_config.prefer_server_cipher_suites: {expected}"
            )
        );
        assert_eq!(
            http2(text).unwrap_err(),
            format!("--web.config.file: /etc/web.yml line 2: http_server_config.http2: {expected}")
        );
    }
    for text in ["[true]", "{a: true}"] {
        let expected = "line 2: http_server_config.http2: expected true or false";
        assert!(http2(text).unwrap_err().ends_with(expected), "{text}");
    }
}

#[test]
fn allowed_sans_are_names_that_certificates_have() {
    let policy =
        "client_auth_type: RequireAndVerifyClientCert\n  client_ca: a\n  client_allowed_sans:";
    let sans = |text: &str| {
        parse(&format!("{TLS}  {policy} {text}\n"))
            .map(|web| web.tls.unwrap().clients.unwrap().allowed_sans)
    };
    for absent in ["", "~", "null"] {
        assert_eq!(sans(absent), Ok(Vec::new()), "{absent}");
    }
    assert_eq!(
        sans("[a, 192.0.2.1]"),
        Ok(vec!["a".to_owned(), "192.0.2.1".to_owned()])
    );
    assert_eq!(
        sans("['2001:DB8:0::1']"),
        Ok(vec!["2001:db8::1".to_owned()])
    );
    let origin = "--web.config.file: /etc/web.yml line 6: tls_server_config.client_allowed_sans";
    let name = "expected a DNS name, IP address, e-mail address or URI";
    for (text, error) in [
        (
            "[]",
            ": the list is empty: expected at least one name".to_owned(),
        ),
        ("['']", format!("[0]: invalid value \"\": {name}")),
        ("[a, ' ']", format!("[1]: invalid value \" \": {name}")),
        ("[' a']", format!("[0]: invalid value \" a\": {name}")),
        ("[a b]", format!("[0]: invalid value \"a b\": {name}")),
    ] {
        assert_eq!(sans(text), Err(format!("{origin}{error}")), "{text}");
    }
    for text in ["a", "''", "{a: b}", "[~]", "[[a]]"] {
        let error = sans(text).expect_err(text);
        assert!(
            error.contains("line 6: tls_server_config.client_allowed_sans"),
            "{error}"
        );
    }
}

/// As in the exporter-toolkit, where an empty one is the default.
#[test]
fn other_empty_lists_and_mappings_are_the_default() {
    let usual = parse(TLS).unwrap().tls.unwrap();
    for empty in ["[]", "~", ""] {
        let lines = format!("{TLS}  cipher_suites: {empty}\n  curve_preferences: {empty}\n");
        let tls = parse(&lines).unwrap().tls.unwrap();
        assert_eq!(tls.suites, usual.suites, "{empty}");
        assert_eq!(tls.kx_groups.len(), usual.kx_groups.len(), "{empty}");
    }
    for empty in ["{}", "~", ""] {
        let web = parse(&format!(
            "basic_auth_users: {empty}\nrate_limit: {empty}\nhttp_server_config: {empty}\n"
        ));
        let web = web.unwrap();
        assert!(web.users.is_empty() && web.rate_limit.is_none() && web.headers.is_empty());
        assert!(parse(&format!("http_server_config: {{headers: {empty}}}")).is_ok());
    }
}

#[test]
fn tls_section_with_only_null_values_is_an_error() {
    assert_eq!(
        error_of("tls_server_config: {cert_file: }"),
        " line 1: tls_server_config: cert_file or cert is missing"
    );
    for empty in ["tls_server_config:", "tls_server_config: {}"] {
        assert!(parse(empty).unwrap().tls.is_none(), "{empty}");
    }
}
