//! The Pod Security profile `restricted`, with a read-only root file system and no service account token in addition.
//!
//! The rules are implemented field by field, so that the tests need no cluster. The mutations prove that each rule can
//! fail.

use serde_json::{Value, json};

use crate::helm;
use crate::overlays::{ALL, parse_objects};

/// Volume types that the profile allows.
const ALLOWED_VOLUMES: [&str; 8] = [
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
];

/// Lists the rules that a pod violates.
fn violations(pod: &Value) -> Vec<String> {
    let spec = &pod["spec"];
    let mut found = check_pod(spec);
    for kind in ["containers", "initContainers", "ephemeralContainers"] {
        for container in spec[kind].as_array().into_iter().flatten() {
            found.extend(check_container(spec, container));
        }
    }
    found.extend(check_volumes(spec));
    found
}

/// Lists the violations of the pod fields.
fn check_pod(spec: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for host in ["hostNetwork", "hostPID", "hostIPC"] {
        expect(&mut found, host, !is_true(&spec[host]));
    }
    let context = &spec["securityContext"];
    expect(
        &mut found,
        "automountServiceAccountToken",
        spec["automountServiceAccountToken"] == false,
    );
    expect(
        &mut found,
        "pod runAsUser",
        context["runAsUser"].as_u64() != Some(0),
    );
    expect(
        &mut found,
        "supplementalGroups",
        !contains_item(&context["supplementalGroups"], 0),
    );
    expect(
        &mut found,
        "sysctls",
        context["sysctls"].as_array().is_none_or(Vec::is_empty),
    );
    found.extend(
        check_security_context(context)
            .into_iter()
            .map(|rule| format!("pod {rule}")),
    );
    found
}

/// Lists the violations of the fields that a pod and a container have in common.
fn check_security_context(context: &Value) -> Vec<String> {
    let mut found = Vec::new();
    expect(
        &mut found,
        "seLinuxOptions",
        context["seLinuxOptions"].is_null(),
    );
    expect(
        &mut found,
        "hostProcess",
        !is_true(&context["windowsOptions"]["hostProcess"]),
    );
    expect(
        &mut found,
        "appArmorProfile",
        context["appArmorProfile"]["type"] != "Unconfined",
    );
    expect(
        &mut found,
        "seccompProfile",
        context["seccompProfile"]["type"] != "Unconfined",
    );
    found
}

/// Lists the violations of a container.
fn check_container(spec: &Value, container: &Value) -> Vec<String> {
    let (own, pod) = (&container["securityContext"], &spec["securityContext"]);
    let inherited = |field: &str| {
        if own[field].is_null() {
            &pod[field]
        } else {
            &own[field]
        }
    };
    let mut found = check_security_context(own);
    expect(&mut found, "privileged", !is_true(&own["privileged"]));
    expect(
        &mut found,
        "allowPrivilegeEscalation",
        own["allowPrivilegeEscalation"] == false,
    );
    expect(
        &mut found,
        "drop ALL",
        contains_item(&own["capabilities"]["drop"], "ALL"),
    );
    expect(
        &mut found,
        "add",
        added_capabilities(own)
            .iter()
            .all(|capability| *capability == "NET_BIND_SERVICE"),
    );
    expect(
        &mut found,
        "procMount",
        matches!(own["procMount"].as_str(), None | Some("Default")),
    );
    expect(
        &mut found,
        "runAsNonRoot",
        *inherited("runAsNonRoot") == true,
    );
    expect(
        &mut found,
        "runAsUser",
        inherited("runAsUser").as_u64().is_some_and(|user| user > 0),
    );
    let seccomp = inherited("seccompProfile")["type"].as_str();
    expect(
        &mut found,
        "seccomp type",
        matches!(seccomp, Some("RuntimeDefault" | "Localhost")),
    );
    expect(
        &mut found,
        "hostPort",
        ports(container).all(|port| port["hostPort"].as_u64().unwrap_or(0) == 0),
    );
    expect(
        &mut found,
        "readOnlyRootFilesystem",
        own["readOnlyRootFilesystem"] == true,
    );
    expect(
        &mut found,
        "probe host",
        probes(container).all(|probe| probe["host"].is_null()),
    );
    found
}

/// Lists the disallowed volumes.
fn check_volumes(spec: &Value) -> Vec<String> {
    let volumes = spec["volumes"].as_array().into_iter().flatten();
    let kinds = volumes
        .flat_map(|volume| volume.as_object().unwrap().keys())
        .filter(|key| *key != "name");
    kinds
        .filter(|kind| !ALLOWED_VOLUMES.contains(&kind.as_str()))
        .map(|kind| format!("volume {kind}"))
        .collect()
}

/// Adds a violation of a rule unless the condition is true.
fn expect(found: &mut Vec<String>, rule: &str, condition: bool) {
    if !condition {
        found.push(rule.to_owned());
    }
}

/// Returns whether a value is present and not false.
fn is_true(value: &Value) -> bool {
    !value.is_null() && *value != false
}

/// Returns whether a list contains an item.
fn contains_item(list: &Value, item: impl Into<Value>) -> bool {
    list.as_array()
        .is_some_and(|list| list.contains(&item.into()))
}

/// Returns the added capabilities.
fn added_capabilities(context: &Value) -> Vec<&Value> {
    context["capabilities"]["add"]
        .as_array()
        .into_iter()
        .flatten()
        .collect()
}

/// Returns the ports of a container.
fn ports(container: &Value) -> impl Iterator<Item = &Value> {
    container["ports"].as_array().into_iter().flatten()
}

/// Returns the HTTP and TCP probes of a container.
fn probes(container: &Value) -> impl Iterator<Item = &Value> {
    let probes = ["livenessProbe", "readinessProbe", "startupProbe"].map(|name| &container[name]);
    probes
        .into_iter()
        .flat_map(|probe| [&probe["httpGet"], &probe["tcpSocket"]])
}

#[test]
fn every_pod_conforms_to_the_restricted_profile() {
    for overlay in ALL.iter() {
        assert_eq!(violations(overlay.pod()), [""; 0], "{}", overlay.name);
    }
    for values in [
        helm::all_values_of_one_account(),
        helm::all_values_of_many_accounts(),
    ] {
        let objects = parse_objects(&helm::render(&values));
        let deployment = objects.iter().find(|object| object["kind"] == "Deployment");
        assert_eq!(
            violations(&deployment.unwrap()["spec"]["template"]),
            [""; 0]
        );
    }
}

/// Returns changes of a pod: path, new value and the rule that this violates.
fn mutations() -> Vec<(&'static str, Value, &'static str)> {
    let container =
        |path| -> &'static str { Box::leak(format!("/spec/containers/0/{path}").into_boxed_str()) };
    vec![
        ("/spec/hostNetwork", json!(true), "hostNetwork"),
        ("/spec/hostPID", json!(true), "hostPID"),
        ("/spec/hostIPC", json!(true), "hostIPC"),
        (
            "/spec/automountServiceAccountToken",
            json!(true),
            "automountServiceAccountToken",
        ),
        (
            "/spec/automountServiceAccountToken",
            json!(null),
            "automountServiceAccountToken",
        ),
        ("/spec/securityContext/runAsUser", json!(0), "pod runAsUser"),
        ("/spec/securityContext/runAsUser", json!(null), "runAsUser"),
        (
            "/spec/securityContext/runAsNonRoot",
            json!(null),
            "runAsNonRoot",
        ),
        (
            "/spec/securityContext/supplementalGroups",
            json!([0]),
            "supplementalGroups",
        ),
        (
            "/spec/securityContext/sysctls",
            json!([{"name": "a", "value": "b"}]),
            "sysctls",
        ),
        (
            "/spec/securityContext/seLinuxOptions",
            json!({"user": "system_u"}),
            "pod seLinuxOptions",
        ),
        (
            "/spec/securityContext/windowsOptions",
            json!({"hostProcess": true}),
            "pod hostProcess",
        ),
        (
            "/spec/securityContext/appArmorProfile",
            json!({"type": "Unconfined"}),
            "pod appArmorProfile",
        ),
        (
            "/spec/securityContext/seccompProfile",
            json!({"type": "Unconfined"}),
            "pod seccompProfile",
        ),
        (
            "/spec/securityContext/seccompProfile",
            json!(null),
            "seccomp type",
        ),
        (
            container("securityContext/privileged"),
            json!(true),
            "privileged",
        ),
        (
            container("securityContext/allowPrivilegeEscalation"),
            json!(null),
            "allowPrivilegeEscalation",
        ),
        (
            container("securityContext/capabilities"),
            json!({"drop": ["NET_RAW"]}),
            "drop ALL",
        ),
        (
            container("securityContext/capabilities"),
            json!({"drop": ["ALL"], "add": ["SYS_TIME"]}),
            "add",
        ),
        (
            container("securityContext/procMount"),
            json!("Unmasked"),
            "procMount",
        ),
        (
            container("securityContext/runAsNonRoot"),
            json!(false),
            "runAsNonRoot",
        ),
        (
            container("securityContext/runAsUser"),
            json!(0),
            "runAsUser",
        ),
        (
            container("securityContext/seccompProfile"),
            json!({"type": "Unconfined"}),
            "seccomp type",
        ),
        (
            container("securityContext/readOnlyRootFilesystem"),
            json!(false),
            "readOnlyRootFilesystem",
        ),
        (container("ports/0/hostPort"), json!(10072), "hostPort"),
        (
            container("readinessProbe/httpGet/host"),
            json!("169.254.169.254"),
            "probe host",
        ),
        (
            "/spec/volumes/0/hostPath",
            json!({"path": "/"}),
            "volume hostPath",
        ),
        (
            "/spec/initContainers",
            json!([{"name": "root"}]),
            "allowPrivilegeEscalation",
        ),
    ]
}

#[test]
fn profile_rules_detect_their_mutations() {
    let pod = crate::overlays::Overlay::named("minimal").pod();
    for (path, value, rule) in mutations() {
        let mut changed = pod.clone();
        let (parent, field) = path.rsplit_once('/').unwrap();
        changed
            .pointer_mut(parent)
            .unwrap_or_else(|| panic!("{path}"))[field] = value;
        assert!(
            violations(&changed)
                .iter()
                .any(|violation| violation == rule),
            "{path}: {:?}",
            violations(&changed)
        );
    }
}
