//! The objects of the Prometheus operator, compared with the fields in its documentation.
//!
//! The PrometheusRule objects are generated from the rule files, which promtool tests.

use std::path::Path;
use std::process::Command;

use serde_json::{Map, Value, json};

use crate::overlays::{Overlay, with_operator, with_service_monitor};
use crate::tools::{files, read, read_yaml, run_ok};

/// Program that generates the PrometheusRule objects.
const GENERATOR: &str = "deploy/kubernetes/generate";
/// Folder of the generated objects.
const GENERATED_FOLDER: &str = "deploy/kubernetes/components/prometheus-rule";
/// Folder of the rule files.
const RULES_FOLDER: &str = "deploy/prometheus/rules";

/// Labels that the operator adds to scraped series and that the manifests must not set.
const OPERATOR_LABELS: [&str; 9] = [
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

/// Fields of a ServiceMonitor.
const MONITOR_FIELDS: [&str; 19] = [
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
/// Fields of an endpoint of a ServiceMonitor.
const ENDPOINT_FIELDS: [&str; 24] = [
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
/// Fields of a ScrapeConfig that may be used, about a third of all.
const SCRAPE_CONFIG_FIELDS: [&str; 15] = [
    "authorization",
    "basicAuth",
    "enableCompression",
    "honorLabels",
    "httpSDConfigs",
    "jobName",
    "metricRelabelings",
    "metricsPath",
    "params",
    "relabelings",
    "scheme",
    "scrapeInterval",
    "scrapeTimeout",
    "staticConfigs",
    "tlsConfig",
];
/// Fields of an entry of `httpSDConfigs`.
const HTTP_SD_FIELDS: [&str; 7] = [
    "authorization",
    "basicAuth",
    "followRedirects",
    "oauth2",
    "refreshInterval",
    "tlsConfig",
    "url",
];
/// Fields of `tlsConfig`.
const TLS_FIELDS: [&str; 10] = [
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
/// Fields of a group of a PrometheusRule.
const GROUP_FIELDS: [&str; 7] = [
    "interval",
    "labels",
    "limit",
    "name",
    "partial_response_strategy",
    "query_offset",
    "rules",
];
/// Fields of a rule of a PrometheusRule.
const RULE_FIELDS: [&str; 7] = [
    "alert",
    "annotations",
    "expr",
    "for",
    "keep_firing_for",
    "labels",
    "record",
];

/// Asserts that an object has only known fields.
fn assert_known_fields(object: &Value, known: &[&str]) {
    let unknown: Vec<_> = object
        .as_object()
        .unwrap()
        .keys()
        .filter(|key| !known.contains(&key.as_str()))
        .collect();
    assert!(unknown.is_empty(), "{unknown:?} in {object:#}");
}

/// Parses a duration of one number and unit into seconds.
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
fn service_monitor_has_only_known_fields() {
    for overlay in with_service_monitor() {
        let monitor = overlay.single("ServiceMonitor");
        assert_eq!(monitor["apiVersion"], "monitoring.coreos.com/v1");
        assert_known_fields(&monitor["spec"], &MONITOR_FIELDS);
        for endpoint in monitor["spec"]["endpoints"].as_array().unwrap() {
            assert_known_fields(endpoint, &ENDPOINT_FIELDS);
            assert!(["http", "https"].contains(&endpoint["scheme"].as_str().unwrap()));
            assert!(
                seconds(&endpoint["scrapeTimeout"]) <= seconds(&endpoint["interval"]),
                "the operator rejects a timeout above the interval"
            );
            assert!((15..=30).contains(&seconds(&endpoint["interval"])));
        }
    }
}

#[test]
fn service_monitor_selects_the_service_and_its_port() {
    for overlay in with_service_monitor() {
        let monitor = &overlay.single("ServiceMonitor")["spec"];
        let service = overlay.single("Service");
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
            "the alert for missing exporters matches the job: {job}"
        );
    }
}

/// Lists why the operator would reject a ScrapeConfig or Prometheus would not reach its targets.
fn scrape_config_problems(config: &Value, service: &Value) -> Vec<&'static str> {
    let spec = &config["spec"];
    let (discovery, exporter) = (&spec["httpSDConfigs"][0], &spec["staticConfigs"][0]);
    let metadata = &service["metadata"];
    let host = format!(
        "{}.{}.svc",
        metadata["name"].as_str().unwrap(),
        metadata["namespace"].as_str().unwrap()
    );
    let address = format!("{host}:{}", service["spec"]["ports"][0]["port"]);
    let has_only = |object: &Value, known: &[&str]| {
        object
            .as_object()
            .unwrap()
            .keys()
            .all(|key| known.contains(&key.as_str()))
    };
    let checks = [
        (
            "version",
            config["apiVersion"] == "monitoring.coreos.com/v1alpha1",
        ),
        (
            "field",
            has_only(spec, &SCRAPE_CONFIG_FIELDS)
                && has_only(discovery, &HTTP_SD_FIELDS)
                && has_only(exporter, &["labels", "targets"]),
        ),
        (
            "scheme",
            ["HTTP", "HTTPS"].contains(&spec["scheme"].as_str().unwrap()),
        ),
        (
            "timeout",
            seconds(&spec["scrapeTimeout"]) <= seconds(&spec["scrapeInterval"]),
        ),
        (
            "discovery",
            discovery["url"] == format!("http://{address}/sd")
                && seconds(&discovery["refreshInterval"]) == 30,
        ),
        (
            "exporter target",
            *exporter
                == json!({"targets": [address], "labels": {"__metrics_path__": "/-/metrics"}}),
        ),
        (
            "job",
            spec["jobName"]
                .as_str()
                .is_some_and(|job| job.contains("ringcentral")),
        ),
    ];
    checks
        .into_iter()
        .filter(|(_, passed)| !passed)
        .map(|(problem, _)| problem)
        .collect()
}

#[test]
fn scrape_config_has_known_fields_and_service_address() {
    let overlay = Overlay::named("accounts");
    assert_eq!(
        scrape_config_problems(overlay.single("ScrapeConfig"), overlay.single("Service")),
        [""; 0]
    );
    assert_eq!(
        overlay.all("ServiceMonitor").count(),
        0,
        "a ServiceMonitor in addition would count every call twice"
    );
    let job = &Overlay::named("kube-prometheus-stack").single("Service")["metadata"]["labels"]["app.kubernetes.io/name"];
    assert_eq!(
        overlay.single("ScrapeConfig")["spec"]["jobName"],
        *job,
        "both ways of scraping use the same job"
    );
}

#[test]
fn invalid_scrape_config_is_reported() {
    let overlay = Overlay::named("accounts");
    for (path, value, expected) in [
        ("/apiVersion", json!("monitoring.coreos.com/v1"), "version"),
        (
            "/spec/httpSDConfigs/0/url",
            json!("http://ringcentral-exporter:10072/sd"),
            "discovery",
        ),
        (
            "/spec/httpSDConfigs/0/refreshInterval",
            json!("1d"),
            "discovery",
        ),
        ("/spec/scheme", json!("http"), "scheme"),
        ("/spec/scrapeTimeout", json!("20s"), "timeout"),
        ("/spec/staticConfigs/0/labels", json!({}), "exporter target"),
        ("/spec/jobName", json!("calls"), "job"),
        ("/spec/httpSDConfigs/0", json!({"urls": []}), "field"),
    ] {
        let mut config = overlay.single("ScrapeConfig").clone();
        *config.pointer_mut(path).unwrap() = value;
        if config["spec"]["httpSDConfigs"][0]["refreshInterval"].is_null() {
            config["spec"]["httpSDConfigs"][0]["refreshInterval"] = json!("30s");
        }
        assert!(
            scrape_config_problems(&config, overlay.single("Service")).contains(&expected),
            "{path}"
        );
    }
}

/// Returns the step that drops the created times of counters as series, from the Prometheus configuration.
fn drop_created() -> Value {
    let text = read("deploy/prometheus/prometheus.yml");
    let text = text.replace("source_labels", "sourceLabels");
    let config: Value = serde_saphyr::from_str(&text).unwrap();
    let steps = &config["scrape_configs"][0]["metric_relabel_configs"];
    assert_eq!(steps.as_array().unwrap().len(), 1);
    steps.clone()
}

#[test]
fn all_scrape_configurations_drop_created_series() {
    let local = &read_yaml("deploy/prometheus/prometheus.yml")["scrape_configs"][0];
    for file in [
        "deploy/prometheus/prometheus.accounts.yml",
        "deploy/prometheus/prometheus.sharded.yml",
        "deploy/compose/prometheus.yml",
        "deploy/compose/prometheus.accounts.yml",
    ] {
        let job = &read_yaml(file)["scrape_configs"][0];
        let name = "metric_relabel_configs";
        assert_eq!(job[name], local[name], "{file}");
    }
    for overlay in with_service_monitor() {
        let endpoint = &overlay.single("ServiceMonitor")["spec"]["endpoints"][0];
        assert_eq!(endpoint["metricRelabelings"], drop_created());
    }
    let config = Overlay::named("accounts").single("ScrapeConfig");
    assert_eq!(config["spec"]["metricRelabelings"], drop_created());
}

#[test]
fn manifests_set_no_label_of_the_operator() {
    for overlay in with_service_monitor() {
        let spec = &overlay.single("ServiceMonitor")["spec"];
        for field in ["targetLabels", "podTargetLabels"] {
            assert!(spec[field].is_null(), "{field}");
        }
        for field in ["relabelings", "honorLabels"] {
            assert!(spec["endpoints"][0][field].is_null(), "{field}");
        }
        let steps = &spec["endpoints"][0]["metricRelabelings"];
        assert_eq!(*steps, drop_created(), "it changes no label");
        for rule in overlay.all("PrometheusRule").flat_map(rules) {
            let mut labels = rule["labels"].as_object().into_iter().flat_map(Map::keys);
            assert!(
                !labels.any(|label| OPERATOR_LABELS.contains(&label.as_str())),
                "{rule:#}"
            );
        }
    }
}

#[test]
fn tls_and_basic_auth_come_from_secrets() {
    let endpoint = &Overlay::named("hardened").single("ServiceMonitor")["spec"]["endpoints"][0];
    assert_known_fields(&endpoint["tlsConfig"], &TLS_FIELDS);
    assert_eq!(endpoint["scheme"], "https");
    assert!(endpoint["tlsConfig"]["insecureSkipVerify"].is_null());
    assert_eq!(
        endpoint["tlsConfig"]["ca"],
        json!({"secret": {"name": "ringcentral-exporter-tls", "key": "ca.crt"}})
    );
    let basic_auth = &endpoint["basicAuth"];
    assert_known_fields(basic_auth, &["username", "password"]);
    assert!(
        ["username", "password"]
            .iter()
            .all(|part| basic_auth[part]
                == json!({"name": "ringcentral-exporter-login", "key": part}))
    );
}

#[test]
fn hardened_service_monitor_adds_only_tls_and_auth() {
    let [plain, mut tls] = ["kube-prometheus-stack", "hardened"]
        .map(|name| Overlay::named(name).single("ServiceMonitor")["spec"].clone());
    let endpoint = tls["endpoints"][0].as_object_mut().unwrap();
    assert!(endpoint.remove("tlsConfig").is_some() && endpoint.remove("basicAuth").is_some());
    endpoint.insert("scheme".to_owned(), json!("http"));
    assert_eq!(tls, plain);
}

#[test]
fn operator_objects_have_the_release_label() {
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

/// Returns the rules of a PrometheusRule.
fn rules(object: &Value) -> impl Iterator<Item = &Value> {
    object["spec"]["groups"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|group| group["rules"].as_array().unwrap())
}

#[test]
fn prometheus_rules_have_only_known_fields() {
    for object in files(GENERATED_FOLDER, ".yaml")
        .iter()
        .map(read_yaml)
        .filter(|object| object["kind"] == "PrometheusRule")
    {
        assert_known_fields(&object["spec"], &["groups"]);
        object["spec"]["groups"]
            .as_array()
            .unwrap()
            .iter()
            .for_each(|group| assert_known_fields(group, &GROUP_FIELDS));
        for rule in rules(&object) {
            assert_known_fields(rule, &RULE_FIELDS);
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

/// Runs the generator with an output folder.
fn generate(out: &Path) {
    run_ok(Command::new(GENERATOR).arg(out));
}

#[test]
fn committed_prometheus_rules_are_up_to_date() {
    let folder = tempfile::tempdir().unwrap();
    generate(folder.path());
    let names = |folder: &str| -> Vec<String> {
        let files = files(folder, ".yaml")
            .into_iter()
            .map(|file| file.file_name().unwrap().to_str().unwrap().to_owned());
        files.filter(|name| name != "kustomization.yaml").collect()
    };
    let generated = names(folder.path().to_str().unwrap());
    assert_eq!(names(GENERATED_FOLDER), generated, "run `make manifests`");
    for name in &generated {
        let expected = read(folder.path().join(name));
        assert_eq!(
            read(format!("{GENERATED_FOLDER}/{name}")),
            expected,
            "run `make manifests`"
        );
    }
    assert_eq!(
        read_yaml(format!("{GENERATED_FOLDER}/kustomization.yaml"))["resources"],
        json!(generated)
    );
}

#[test]
fn operator_overlays_have_every_rule_group() {
    let sources = files(RULES_FOLDER, ".yml");
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
fn promtool_accepts_the_rules_of_the_overlay() {
    let folder = tempfile::tempdir().unwrap();
    let objects = Overlay::named("kube-prometheus-stack").all("PrometheusRule");
    let mut command = Command::new("promtool");
    command.args(["check", "rules"]);
    for (n, object) in objects.enumerate() {
        // The operator writes the unmodified specification as a rule file. JSON is valid YAML.
        let file = folder.path().join(format!("{n}.yml"));
        std::fs::write(&file, object["spec"].to_string()).unwrap();
        command.arg(file);
    }
    let output = run_ok(&mut command);
    assert_eq!(
        output.matches("SUCCESS").count(),
        files(RULES_FOLDER, ".yml").len(),
        "{output}"
    );
}

#[test]
fn generator_rejects_a_file_with_unknown_content() {
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
        crate::tools::all_output(&output).contains("unsupported line before the groups"),
        "{}",
        crate::tools::all_output(&output)
    );
}
