//! The Dockerfile: its rules, and its build steps with cargo itself. No container engine is needed, and none builds it here.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::tools::{all_output, read, run, run_ok, tool};

const DOCKERFILE: &str = "deploy/docker/Dockerfile";

/// An instruction and what follows it.
struct Instruction {
    name: String,
    rest: String,
}

/// The instructions, stage by stage; a stage begins with FROM.
fn stages(dockerfile: &str) -> Vec<Vec<Instruction>> {
    let joined = dockerfile
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .collect::<Vec<_>>()
        .join("\n");
    let joined = joined.replace("\\\n", " ");
    let instructions = joined
        .lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| {
            let (name, rest) = line.trim().split_once(' ').unwrap();
            Instruction {
                name: name.to_owned(),
                rest: rest.split_whitespace().collect::<Vec<_>>().join(" "),
            }
        });
    let mut stages: Vec<Vec<Instruction>> = Vec::new();
    for instruction in instructions {
        if instruction.name == "FROM" {
            stages.push(Vec::new());
        }
        stages
            .last_mut()
            .expect("FROM is the first")
            .push(instruction);
    }
    stages
}

/// What follows each instruction of this name.
fn all<'a>(stage: &'a [Instruction], name: &str) -> Vec<&'a str> {
    stage
        .iter()
        .filter(|instruction| instruction.name == name)
        .map(|instruction| instruction.rest.as_str())
        .collect()
}

/// Where a Dockerfile breaks our rules.
fn complaints(dockerfile: &str) -> Vec<&'static str> {
    let stages = stages(dockerfile);
    let [builder, image] = &stages[..] else {
        return vec!["two stages"];
    };
    let everything: Vec<_> = stages.iter().flatten().collect();
    let secret = |text: &str| {
        ["secret", "jwt", "password", "token"]
            .iter()
            .any(|word| text.to_lowercase().contains(word))
    };
    let pinned = all(builder, "FROM")[0]
        .split(' ')
        .next()
        .unwrap()
        .split_once(':');
    let tag = pinned.map_or("latest", |(_, tag)| tag);
    let rules = [
        (
            tag.chars().filter(|c| *c == '.').count() >= 2 && tag.ends_with("-alpine"),
            "the builder's tag is pinned",
        ),
        (
            all(image, "FROM") == ["scratch"],
            "the image is empty at first",
        ),
        (all(image, "USER") == ["65532:65532"], "a numeric user"),
        (
            all(image, "ENTRYPOINT") == [r#"["/ringcentral-exporter"]"#],
            "the program is the entry point",
        ),
        (all(image, "EXPOSE") == ["10072"], "the port"),
        (
            all(image, "RUN").is_empty(),
            "nothing can run in it but the program",
        ),
        (all(image, "CMD").is_empty(), "no arguments but the user's"),
        (health(image), "it is asked whether it is healthy"),
        (
            copies(image),
            "it holds the program, certificates and licences",
        ),
        (
            !everything
                .iter()
                .any(|instruction| instruction.name == "ADD"),
            "nothing is added unseen",
        ),
        (
            !everything
                .iter()
                .any(|instruction| secret(&instruction.rest)),
            "no secret",
        ),
        (
            !all(builder, "COPY").contains(&". ."),
            "only what is built from is copied",
        ),
    ];
    rules
        .into_iter()
        .filter(|(kept, _)| !kept)
        .map(|(_, rule)| rule)
        .collect()
}

fn health(image: &[Instruction]) -> bool {
    let checks = all(image, "HEALTHCHECK");
    checks.len() == 1 && checks[0].ends_with(r#"CMD ["/ringcentral-exporter", "health"]"#)
}

fn copies(image: &[Instruction]) -> bool {
    let certificates = "/etc/ssl/certs/ca-certificates.crt";
    all(image, "COPY")
        == [
            &format!("--from=builder {certificates} {certificates}"),
            "LICENSE-APACHE LICENSE-MIT /licenses/",
            "--from=builder /ringcentral-exporter /ringcentral-exporter",
        ]
}

#[test]
fn the_dockerfile_keeps_the_rules() {
    assert_eq!(complaints(&read(DOCKERFILE)), [""; 0]);
}

#[test]
fn hadolint_has_nothing_to_say() {
    assert_eq!(run_ok(tool("hadolint").arg(DOCKERFILE)), "");
    let folder = tempfile::tempdir().unwrap();
    let worse = folder.path().join("Dockerfile");
    fs::write(
        &worse,
        read(DOCKERFILE).replace("rust:1.95.0-alpine", "rust"),
    )
    .unwrap();
    assert!(all_output(&run(tool("hadolint").arg(worse))).contains("DL3006"));
}

#[test]
fn each_rule_of_the_dockerfile_can_be_broken() {
    for (right, wrong, rule) in [
        (
            "rust:1.95.0-alpine",
            "rust:alpine",
            "the builder's tag is pinned",
        ),
        (
            "FROM scratch",
            "FROM debian:12",
            "the image is empty at first",
        ),
        ("USER 65532:65532", "USER nonroot", "a numeric user"),
        ("USER 65532:65532\n", "", "a numeric user"),
        ("EXPOSE 10072", "EXPOSE 80", "the port"),
        (
            "EXPOSE 10072",
            "EXPOSE 10072\nCMD [\"serve\"]",
            "no arguments but the user's",
        ),
        (
            "EXPOSE 10072",
            "RUN true\nEXPOSE 10072",
            "nothing can run in it but the program",
        ),
        (
            "\"health\"",
            "\"check\"",
            "it is asked whether it is healthy",
        ),
        (
            "ENTRYPOINT [\"/ringcentral-exporter\"]",
            "ENTRYPOINT /ringcentral-exporter",
            "the program is the entry point",
        ),
        ("COPY src src", "ADD src src", "nothing is added unseen"),
        (
            "COPY src src",
            "COPY . .",
            "only what is built from is copied",
        ),
        ("COPY src src", "COPY src src\nENV RC_JWT=x", "no secret"),
        (
            "COPY LICENSE",
            "COPY secrets /secrets/\nCOPY LICENSE",
            "it holds the program, certificates and licences",
        ),
    ] {
        let dockerfile = read(DOCKERFILE);
        assert!(dockerfile.contains(right), "{right}");
        let found = complaints(&dockerfile.replacen(right, wrong, 1));
        assert!(found.contains(&rule), "{wrong}: {found:?}");
    }
}

#[test]
fn version_and_toolchain_are_those_of_the_package() {
    let dockerfile = read(DOCKERFILE);
    assert!(dockerfile.contains(&format!(
        "org.opencontainers.image.version=\"{}\"",
        env!("CARGO_PKG_VERSION")
    )));
    assert!(dockerfile.contains(&format!(
        "FROM rust:{}.0-alpine",
        env!("CARGO_PKG_RUST_VERSION")
    )));
    assert!(dockerfile.contains("org.opencontainers.image.revision=\"$BUILD_REVISION\""));
}

#[test]
fn a_changed_revision_does_not_build_the_dependencies_anew() {
    let stages = stages(&read(DOCKERFILE));
    let names: Vec<_> = stages[0]
        .iter()
        .map(|instruction| instruction.name.as_str())
        .collect();
    assert_eq!(
        names,
        ["FROM", "WORKDIR", "COPY", "RUN", "COPY", "ARG", "RUN"]
    );
    assert_eq!(
        all(&stages[0], "COPY")[0],
        "Cargo.toml Cargo.lock build.rs ./"
    );
    assert!(read("build.rs").contains("\"BUILD_REVISION\""));
}

/// The context of a build as `.dockerignore` lets it through: all is ignored but what is named.
fn context() -> Vec<String> {
    let ignore = read(".dockerignore");
    let lines: Vec<_> = ignore
        .lines()
        .filter(|line| !line.starts_with('#'))
        .collect();
    assert_eq!(lines[0], "*", "all is ignored first");
    lines[1..]
        .iter()
        .map(|line| {
            line.strip_prefix('!')
                .expect("then only exceptions")
                .to_owned()
        })
        .collect()
}

#[test]
fn the_builder_gets_what_it_copies_and_no_more() {
    let stages = stages(&read(DOCKERFILE));
    let copies = stages
        .iter()
        .flat_map(|stage| all(stage, "COPY"))
        .filter(|copy| !copy.starts_with("--from"));
    let mut copied: Vec<_> = copies
        .flat_map(|copy| copy.rsplit_once(' ').unwrap().0.split(' '))
        .collect();
    let mut context = context();
    copied.sort_unstable();
    context.sort_unstable();
    assert_eq!(copied, context);
    assert!(
        context.iter().all(|path| Path::new(path).exists()),
        "{context:?}"
    );
}

/// A cargo that looks whether it could build, and notes what it was asked for.
const CARGO: &str = "#!/bin/sh\nset -e\necho \"$BUILD_REVISION $*\" >>../asked\n\
    \"$REAL_CARGO\" metadata --format-version 1 --no-deps --locked --offline >/dev/null\n\
    mkdir -p target/release && touch target/release/ringcentral-exporter\n";

#[test]
fn the_build_steps_run_with_what_they_are_given() {
    let folder = tempfile::tempdir().unwrap();
    let build = folder.path().join("build");
    let programs = folder.path().join("bin");
    fs::create_dir_all(&build).unwrap();
    fs::create_dir_all(&programs).unwrap();
    fs::write(programs.join("cargo"), CARGO).unwrap();
    fs::set_permissions(programs.join("cargo"), fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    for instruction in &stages(&read(DOCKERFILE))[0] {
        let line = match instruction.name.as_str() {
            "COPY" => copy(&instruction.rest, &build),
            "RUN" => instruction
                .rest
                .replace(" /ringcentral-exporter", " ../ringcentral-exporter"),
            _ => continue,
        };
        let mut command = Command::new("sh");
        command
            .args(["-e", "-c", &line])
            .current_dir(&build)
            .env("PATH", &path);
        run_ok(
            command
                .env("REAL_CARGO", env!("CARGO"))
                .env("BUILD_REVISION", "0123456789ab"),
        );
    }
    let asked = read(folder.path().join("asked"));
    assert_eq!(
        asked,
        "0123456789ab build --release --locked --bin ringcentral-exporter\n".repeat(2)
    );
    assert!(folder.path().join("ringcentral-exporter").exists());
    assert_eq!(
        fs::read(build.join("src/main.rs")).unwrap(),
        fs::read("src/main.rs").unwrap(),
        "ours, in the end"
    );
}

/// A COPY as the shell does it: a folder's content, not the folder.
fn copy(rest: &str, build: &Path) -> String {
    let package = env!("CARGO_MANIFEST_DIR");
    let (sources, target) = rest.rsplit_once(' ').unwrap();
    let source = |name: &str| {
        if Path::new(name).is_dir() {
            format!("{package}/{name}/.")
        } else {
            format!("{package}/{name}")
        }
    };
    let sources: Vec<_> = sources.split(' ').map(source).collect();
    format!("cp -r {} {}/{target}", sources.join(" "), build.display())
}
