//! The objects of the Prometheus operator, against what its documentation lists. Kubernetes' own schemas do not know them.
//!
//! PrometheusRule has one source, the rule files of Prometheus; what these say is for promtool.

use std::path::Path;
use std::process::Command;

use serde_json::{Map, Value, json};

use crate::overlays::{Overlay, with_operator, with_service_monitor};
use crate::tools::{files, read, read_yaml, run_ok};

const GENERATOR: &str = "deploy/kubernetes/generate";
const GENERATED: &str = "deploy/kubernetes/components/prometheus-rule";
const RULES: &str = "deploy/prometheus/rules";

/// Labels that the operator writes onto what it scrapes; nothing here may write them first.
const TAKEN: [&str; 9] = [
    "job",
    "instance",
    "namespace",
    "pod",
    "container",
    "service",
    "endpoint",
    "node",
    "prometheus",
];

/// The fields of a ServiceMonitor, and of its endpoints.
const MONITOR: [&str; 19] = [
    "attachMetadata",
    "bodySizeLimit",
    "convertClassicHistogramsToNHCB",
    "endpoints",
    "fallbackScrapeProtocol",
    "jobLabel",
    "keepDroppedTargets",
    "labelLimit",
    "labelNameLengthLimit",
    "labelValueLengthLimit",
    "namespaceSelector",
    "podTargetLabels",
    "sampleLimit",
    "scrapeClass",
    "scrapeProtocols",
    "selector",
    "selectorMechanism",
    "targetLabels",
    "targetLimit",
];
const ENDPOINT: [&str; 24] = [
    "authorization",
    "basicAuth",
    "bearerTokenFile",
    "bearerTokenSecret",
    "enableHttp2",
    "filterRunning",
    "followRedirects",
    "honorLabels",
    "honorTimestamps",
    "interval",
    "metricRelabelings",
    "noProxy",
    "oauth2",
    "params",
    "path",
    "port",
    "proxyConnectHeader",
    "proxyUrl",
    "relabelings",
    "scheme",
    "scrapeTimeout",
    "targetPort",
    "tlsConfig",
    "trackTimestampsStaleness",
];
/// The fields of a ScrapeConfig that are of use here, of some fifty; and of an entry of its `httpSDConfigs`.
const CONFIG: [&str; 14] = [
    "authorization",
    "basicAuth",
    "enableCompression",
    "honorLabels",
    "httpSDConfigs",
    "jobName",
    "metricsPath",
    "params",
    "relabelings",
    "scheme",
    "scrapeInterval",
    "scrapeTimeout",
    "staticConfigs",
    "tlsConfig",
];
const LIST: [&str; 7] = [
    "authorization",
    "basicAuth",
    "followRedirects",
    "oauth2",
    "refreshInterval",
    "tlsConfig",
    "url",
];
const TLS: [&str; 10] = [
    "ca",
    "caFile",
    "cert",
    "certFile",
    "insecureSkipVerify",
    "keyFile",
    "keySecret",
    "maxVersion",
    "minVersion",
    "serverName",
];
/// The fields of a PrometheusRule's groups and rules.
const GROUP: [&str; 7] = [
    "interval",
    "labels",
    "limit",
    "name",
    "partial_response_strategy",
    "query_offset",
    "rules",
];
const RULE: [&str; 7] = [
    "alert",
    "annotations",
    "expr",
    "for",
    "keep_firing_for",
    "labels",
    "record",
];

fn only_known(object: &Value, known: &[&str]) {
    let unknown: Vec<_> = object
        .as_object()
        .unwrap()
        .keys()
        .filter(|key| !known.contains(&key.as_str()))
        .collect();
    assert!(unknown.is_empty(), "{unknown:?} in {object:#}");
}

/// Seconds of a duration as the operator allows it: one number and one unit are enough here.
fn seconds(duration: &Value) -> u64 {
    let text = duration.as_str().unwrap();
    let (number, unit) = text.split_at(text.len() - 1);
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => panic!("{text}"),
    };
    number.parse::<u64>().unwrap() * unit
}

#[test]
fn the_operator_knows_every_field_of_the_service_monitor() {
    for overlay in with_service_monitor() {
        let monitor = overlay.single("ServiceMonitor");
        assert_eq!(monitor["apiVersion"], "monitoring.coreos.com/v1");
        only_known(&monitor["spec"], &MONITOR);
        for endpoint in monitor["spec"]["endpoints"].as_array().unwrap() {
            only_known(endpoint, &ENDPOINT);
            assert!(["http", "https"].contains(&endpoint["scheme"].as_str().unwrap()));
            assert!(
                seconds(&endpoint["scrapeTimeout"]) <= seconds(&endpoint["interval"]),
                "the operator refuses it"
            );
            assert!((15..=30).contains(&seconds(&endpoint["interval"])));
        }
    }
}

#[test]
fn the_service_monitor_selects_the_service_and_a_port_that_it_has() {
    for overlay in with_service_monitor() {
        let (monitor, service) = (
            &overlay.single("ServiceMonitor")["spec"],
            overlay.single("Service"),
        );
        let labels = &service["metadata"]["labels"];
        for (label, value) in monitor["selector"]["matchLabels"].as_object().unwrap() {
            assert_eq!(&labels[label], value, "{}", overlay.name);
        }
        assert_eq!(
            monitor["endpoints"][0]["port"],
            service["spec"]["ports"][0]["name"]
        );
        assert_eq!(
            monitor["endpoints"].as_array().unwrap().len(),
            1,
            "{}",
            overlay.name
        );
        let job = labels[monitor["jobLabel"].as_str().unwrap()]
            .as_str()
            .unwrap();
        assert!(
            job.contains("ringcentral"),
            "by it the alert finds an exporter that has never answered: {job}"
        );
    }
}

/// Where the operator would refuse a ScrapeConfig, or Prometheus not find what it names.
fn scrape_config_problems(config: &Value, service: &Value) -> Vec<&'static str> {
    let spec = &config["spec"];
    let (list, own) = (&spec["httpSDConfigs"][0], &spec["staticConfigs"][0]);
    let metadata = &service["metadata"];
    let host = format!(
        "{}.{}.svc",
        metadata["name"].as_str().unwrap(),
        metadata["namespace"].as_str().unwrap()
    );
    let address = format!("{host}:{}", service["spec"]["ports"][0]["port"]);
    let known = |object: &Value, known: &[&str]| {
        object
            .as_object()
            .unwrap()
            .keys()
            .all(|key| known.contains(&key.as_str()))
    };
    let rules = [
        (
            "version",
            config["apiVersion"] == "monitoring.coreos.com/v1alpha1",
        ),
        (
            "field",
            known(spec, &CONFIG) && known(list, &LIST) && known(own, &["labels", "targets"]),
        ),
        (
            "scheme",
            ["HTTP", "HTTPS"].contains(&spec["scheme"].as_str().unwrap()),
        ),
        (
            "time-out",
            seconds(&spec["scrapeTimeout"]) <= seconds(&spec["scrapeInterval"]),
        ),
        (
            "list",
            list["url"] == format!("http://{address}/sd")
                && seconds(&list["refreshInterval"]) == 30,
        ),
        (
            "own",
            *own == json!({"targets": [address], "labels": {"__metrics_path__": "/-/metrics"}}),
        ),
        (
            "job",
            spec["jobName"]
                .as_str()
                .is_some_and(|job| job.contains("ringcentral")),
        ),
    ];
    rules
        .into_iter()
        .filter(|(_, holds)| !holds)
        .map(|(rule, _)| rule)
        .collect()
}

#[test]
fn the_operator_knows_every_field_of_the_scrape_config_and_its_addresses_are_the_service_s() {
    let overlay = Overlay::named("accounts");
    assert_eq!(
        scrape_config_problems(overlay.single("ScrapeConfig"), overlay.single("Service")),
        [""; 0]
    );
    assert_eq!(
        overlay.all("ServiceMonitor").count(),
        0,
        "every call would be counted twice"
    );
    let job = &Overlay::named("kube-prometheus-stack").single("Service")["metadata"]["labels"]["app.kubernetes.io/name"];
    assert_eq!(
        overlay.single("ScrapeConfig")["spec"]["jobName"],
        *job,
        "by either way the job is the same"
    );
}

#[test]
fn a_scrape_config_that_is_wrong_is_found() {
    let overlay = Overlay::named("accounts");
    for (place, value, broken) in [
        ("/apiVersion", json!("monitoring.coreos.com/v1"), "version"),
        (
            "/spec/httpSDConfigs/0/url",
            json!("http://ringcentral-exporter:10072/sd"),
            "list",
        ),
        ("/spec/httpSDConfigs/0/refreshInterval", json!("1d"), "list"),
        ("/spec/scheme", json!("http"), "scheme"),
        ("/spec/scrapeTimeout", json!("20s"), "time-out"),
        ("/spec/staticConfigs/0/labels", json!({}), "own"),
        ("/spec/jobName", json!("calls"), "job"),
        ("/spec/httpSDConfigs/0", json!({"urls": []}), "field"),
    ] {
        let mut config = overlay.single("ScrapeConfig").clone();
        *config.pointer_mut(place).unwrap() = value;
        if config["spec"]["httpSDConfigs"][0]["refreshInterval"].is_null() {
            config["spec"]["httpSDConfigs"][0]["refreshInterval"] = json!("30s");
        }
        assert!(
            scrape_config_problems(&config, overlay.single("Service")).contains(&broken),
            "{place}"
        );
    }
}

#[test]
fn no_label_of_the_operators_is_written() {
    for overlay in with_service_monitor() {
        let spec = &overlay.single("ServiceMonitor")["spec"];
        for field in ["targetLabels", "podTargetLabels"] {
            assert!(spec[field].is_null(), "{field}");
        }
        for field in ["relabelings", "metricRelabelings", "honorLabels"] {
            assert!(spec["endpoints"][0][field].is_null(), "{field}");
        }
        for rule in overlay.all("PrometheusRule").flat_map(rules) {
            let labels = rule["labels"].as_object().into_iter().flat_map(Map::keys);
            assert!(
                !labels
                    .into_iter()
                    .any(|label| TAKEN.contains(&label.as_str())),
                "{rule:#}"
            );
        }
    }
}

#[test]
fn tls_and_login_reach_the_scrape_by_secrets() {
    let endpoint = &Overlay::named("hardened").single("ServiceMonitor")["spec"]["endpoints"][0];
    only_known(&endpoint["tlsConfig"], &TLS);
    assert_eq!(endpoint["scheme"], "https");
    assert!(endpoint["tlsConfig"]["insecureSkipVerify"].is_null());
    assert_eq!(
        endpoint["tlsConfig"]["ca"],
        json!({"secret": {"name": "ringcentral-exporter-tls", "key": "ca.crt"}})
    );
    let login = &endpoint["basicAuth"];
    only_known(login, &["username", "password"]);
    assert!(
        ["username", "password"]
            .iter()
            .all(|part| login[part] == json!({"name": "ringcentral-exporter-login", "key": part}))
    );
}

#[test]
fn with_tls_the_scrape_is_otherwise_the_same() {
    let [plain, mut tls] = ["kube-prometheus-stack", "hardened"]
        .map(|name| Overlay::named(name).single("ServiceMonitor")["spec"].clone());
    let endpoint = tls["endpoints"][0].as_object_mut().unwrap();
    assert!(endpoint.remove("tlsConfig").is_some() && endpoint.remove("basicAuth").is_some());
    endpoint.insert("scheme".to_owned(), json!("http"));
    assert_eq!(tls, plain);
}

#[test]
fn what_the_operator_selects_has_the_label_of_the_chart() {
    for overlay in with_operator() {
        for kind in ["ServiceMonitor", "ScrapeConfig", "PrometheusRule"] {
            let labels = overlay
                .all(kind)
                .map(|object| &object["metadata"]["labels"]["release"]);
            assert!(
                labels
                    .into_iter()
                    .all(|label| label == "kube-prometheus-stack"),
                "{kind} in {}",
                overlay.name
            );
        }
    }
}

fn rules(object: &Value) -> impl Iterator<Item = &Value> {
    object["spec"]["groups"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|group| group["rules"].as_array().unwrap())
}

#[test]
fn the_operator_knows_every_field_of_the_rules() {
    for object in files(GENERATED, ".yaml")
        .iter()
        .map(read_yaml)
        .filter(|object| object["kind"] == "PrometheusRule")
    {
        only_known(&object["spec"], &["groups"]);
        object["spec"]["groups"]
            .as_array()
            .unwrap()
            .iter()
            .for_each(|group| only_known(group, &GROUP));
        for rule in rules(&object) {
            only_known(rule, &RULE);
            assert!(
                rule["alert"].is_string() != rule["record"].is_string(),
                "{rule:#}"
            );
            let durations = ["for", "keep_firing_for"].map(|field| &rule[field]);
            durations
                .into_iter()
                .filter(|duration| !duration.is_null())
                .for_each(|duration| assert!(seconds(duration) > 0));
            for field in ["labels", "annotations"] {
                assert!(
                    rule[field]
                        .as_object()
                        .into_iter()
                        .flatten()
                        .all(|(_, value)| value.is_string()),
                    "{rule:#}"
                );
            }
        }
    }
}

/// What the generator writes from the rules as they are.
fn generate(out: &Path) -> String {
    run_ok(Command::new(GENERATOR).arg(out))
}

#[test]
fn the_committed_rules_of_the_operator_are_what_the_generator_writes() {
    let fresh = tempfile::tempdir().unwrap();
    generate(fresh.path());
    let names = |folder: &str| -> Vec<String> {
        let files = files(folder, ".yaml")
            .into_iter()
            .map(|file| file.file_name().unwrap().to_str().unwrap().to_owned());
        files.filter(|name| name != "kustomization.yaml").collect()
    };
    let written = names(fresh.path().to_str().unwrap());
    assert_eq!(names(GENERATED), written, "`make manifests` writes them");
    for name in &written {
        let fresh = read(fresh.path().join(name));
        assert_eq!(
            read(format!("{GENERATED}/{name}")),
            fresh,
            "`make manifests` writes it"
        );
    }
    assert_eq!(
        read_yaml(format!("{GENERATED}/kustomization.yaml"))["resources"],
        json!(written)
    );
}

#[test]
fn every_group_of_the_rules_is_in_each_overlay_with_the_operator_and_no_other() {
    let sources = files(RULES, ".yml");
    let mut source: Vec<_> = sources
        .iter()
        .flat_map(|file| read_yaml(file)["groups"].as_array().unwrap().clone())
        .collect();
    source.sort_by_key(|group| group["name"].to_string());
    for overlay in with_operator() {
        let objects = overlay.all("PrometheusRule");
        let mut groups: Vec<_> = objects
            .flat_map(|object| object["spec"]["groups"].as_array().unwrap().clone())
            .collect();
        groups.sort_by_key(|group| group["name"].to_string());
        assert_eq!(groups, source, "{}", overlay.name);
    }
}

#[test]
fn prometheus_takes_the_rules_as_the_operator_gets_them() {
    let folder = tempfile::tempdir().unwrap();
    let objects = Overlay::named("kube-prometheus-stack").all("PrometheusRule");
    let mut command = Command::new("promtool");
    command.args(["check", "rules"]);
    for (n, object) in objects.enumerate() {
        // JSON is YAML: what the operator writes for Prometheus is the specification as it stands.
        let file = folder.path().join(format!("{n}.yml"));
        std::fs::write(&file, object["spec"].to_string()).unwrap();
        command.arg(file);
    }
    let said = run_ok(&mut command);
    assert_eq!(
        said.matches("SUCCESS").count(),
        files(RULES, ".yml").len(),
        "{said}"
    );
}

#[test]
fn the_generator_refuses_a_file_that_it_would_cut() {
    let folder = tempfile::tempdir().unwrap();
    let copy = |path: &str| folder.path().join(path);
    std::fs::create_dir_all(copy("prometheus/rules")).unwrap();
    std::fs::create_dir_all(copy("kubernetes/out")).unwrap();
    std::fs::copy(GENERATOR, copy("kubernetes/generate")).unwrap();
    std::fs::write(
        copy("prometheus/rules/a.yml"),
        "# Fine.\n\nnamespace: lost\ngroups:\n  - name: a\n",
    )
    .unwrap();
    let output =
        crate::tools::run(Command::new(copy("kubernetes/generate")).arg(copy("kubernetes/out")));
    assert!(!output.status.success());
    assert!(
        crate::tools::all_output(&output).contains("not understood"),
        "{}",
        crate::tools::all_output(&output)
    );
}
