//! The Dockerfile: its rules, and its build steps run in a shell without a container engine.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::tools::{all_output, read, run, run_ok, tool};

/// Path of the Dockerfile.
const DOCKERFILE: &str = "deploy/docker/Dockerfile";

/// Instruction of a Dockerfile.
struct Instruction {
    name: String,
    arguments: String,
}

/// Parses the instructions of each stage; a stage starts with FROM.
fn parse_stages(dockerfile: &str) -> Vec<Vec<Instruction>> {
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
            let (name, arguments) = line.trim().split_once(' ').unwrap();
            Instruction {
                name: name.to_owned(),
                arguments: arguments.split_whitespace().collect::<Vec<_>>().join(" "),
            }
        });
    let mut stages: Vec<Vec<Instruction>> = Vec::new();
    for instruction in instructions {
        if instruction.name == "FROM" {
            stages.push(Vec::new());
        }
        stages
            .last_mut()
            .expect("FROM is the first instruction")
            .push(instruction);
    }
    stages
}

/// Returns the arguments of all instructions of this name.
fn arguments<'a>(stage: &'a [Instruction], name: &str) -> Vec<&'a str> {
    stage
        .iter()
        .filter(|instruction| instruction.name == name)
        .map(|instruction| instruction.arguments.as_str())
        .collect()
}

/// Lists the rules that a Dockerfile violates.
fn violations(dockerfile: &str) -> Vec<&'static str> {
    let stages = parse_stages(dockerfile);
    let [certificates, builder, image] = &stages[..] else {
        return vec!["there are three stages"];
    };
    let instructions: Vec<_> = stages.iter().flatten().collect();
    let mentions_secret = |text: &str| {
        ["secret", "jwt", "password", "token"]
            .iter()
            .any(|word| text.to_lowercase().contains(word))
    };
    let tag = base_tag(builder);
    let certificates_tag = base_tag(certificates);
    let rules = [
        (
            tag.chars().filter(|c| *c == '.').count() >= 2 && tag.ends_with("-alpine"),
            "the builder tag is pinned",
        ),
        (
            certificates.len() == 1 && certificates_tag.starts_with("3."),
            "the certificates come from a pinned release",
        ),
        (has_all_labels(image), "the image has all labels that apply"),
        (
            arguments(image, "FROM") == ["scratch"],
            "the image is based on scratch",
        ),
        (
            arguments(image, "USER") == ["65532:65532"],
            "the user is numeric",
        ),
        (
            arguments(image, "ENTRYPOINT") == [r#"["/ringcentral-exporter"]"#],
            "the program is the entry point",
        ),
        (
            arguments(image, "EXPOSE") == ["10072"],
            "the port is exposed",
        ),
        (
            arguments(image, "RUN").is_empty(),
            "the image has no RUN instruction",
        ),
        (
            arguments(image, "CMD").is_empty(),
            "the image has no default arguments",
        ),
        (has_health_check(image), "the image has a health check"),
        (
            has_expected_files(image),
            "the image has the program, certificates and licences",
        ),
        (
            !instructions
                .iter()
                .any(|instruction| instruction.name == "ADD"),
            "ADD is not used",
        ),
        (
            !instructions
                .iter()
                .any(|instruction| mentions_secret(&instruction.arguments)),
            "no secret is used",
        ),
        (
            !arguments(builder, "COPY").contains(&". ."),
            "only build inputs are copied",
        ),
    ];
    rules
        .into_iter()
        .filter(|(passed, _)| !passed)
        .map(|(_, rule)| rule)
        .collect()
}

/// Returns the tag of the image that a stage starts from, without a digest.
fn base_tag(stage: &[Instruction]) -> &str {
    let base = arguments(stage, "FROM")[0]
        .split([' ', '@'])
        .next()
        .unwrap();
    base.split_once(':').map_or("latest", |(_, tag)| tag)
}

/// Returns whether the image has the labels of the OCI specification, except the name and digest of a base image, which
/// it does not have, a vendor, which does not exist, and the name of a reference, which the registry knows.
fn has_all_labels(image: &[Instruction]) -> bool {
    let labels = arguments(image, "LABEL").concat();
    let mut keys: Vec<_> = labels
        .split("org.opencontainers.image.")
        .skip(1)
        .filter_map(|label| label.split_once("=\"").map(|(key, _)| key))
        .collect();
    keys.sort_unstable();
    keys == [
        "authors",
        "created",
        "description",
        "documentation",
        "licenses",
        "revision",
        "source",
        "title",
        "url",
        "version",
    ]
}

/// Returns whether the image has the expected health check.
fn has_health_check(image: &[Instruction]) -> bool {
    let checks = arguments(image, "HEALTHCHECK");
    checks.len() == 1 && checks[0].ends_with(r#"CMD ["/ringcentral-exporter", "health"]"#)
}

/// Returns whether the image contains exactly the expected files.
fn has_expected_files(image: &[Instruction]) -> bool {
    let certificates = "/etc/ssl/certs/ca-certificates.crt";
    arguments(image, "COPY")
        == [
            &format!("--from=certificates {certificates} {certificates}"),
            "LICENSE-APACHE LICENSE-MIT /licenses/",
            "--from=builder /ringcentral-exporter-$TARGETARCH /ringcentral-exporter",
            "--from=builder --chown=65532:65532 /build/state /var/lib/ringcentral-exporter",
        ]
}

#[test]
fn dockerfile_violates_no_rule() {
    assert_eq!(violations(&read(DOCKERFILE)), [""; 0]);
}

#[test]
fn hadolint_reports_no_problem() {
    assert_eq!(run_ok(tool("hadolint").arg(DOCKERFILE)), "");
    let folder = tempfile::tempdir().unwrap();
    let invalid = folder.path().join("Dockerfile");
    fs::write(
        &invalid,
        read(DOCKERFILE).replace("rust:1.95.0-alpine", "rust"),
    )
    .unwrap();
    assert!(all_output(&run(tool("hadolint").arg(invalid))).contains("DL3006"));
}

#[test]
fn dockerfile_rules_detect_their_mutations() {
    for (original, replacement, rule) in [
        (
            "rust:1.95.0-alpine",
            "rust:alpine",
            "the builder tag is pinned",
        ),
        (
            "FROM alpine:3.23",
            "FROM alpine",
            "the certificates come from a pinned release",
        ),
        (
            "image.created=",
            "image.date=",
            "the image has all labels that apply",
        ),
        (
            "FROM scratch",
            "FROM debian:12",
            "the image is based on scratch",
        ),
        ("USER 65532:65532", "USER nonroot", "the user is numeric"),
        ("USER 65532:65532\n", "", "the user is numeric"),
        ("EXPOSE 10072", "EXPOSE 80", "the port is exposed"),
        (
            "EXPOSE 10072",
            "EXPOSE 10072\nCMD [\"serve\"]",
            "the image has no default arguments",
        ),
        (
            "EXPOSE 10072",
            "RUN true\nEXPOSE 10072",
            "the image has no RUN instruction",
        ),
        ("\"health\"", "\"check\"", "the image has a health check"),
        (
            "ENTRYPOINT [\"/ringcentral-exporter\"]",
            "ENTRYPOINT /ringcentral-exporter",
            "the program is the entry point",
        ),
        ("COPY src src", "ADD src src", "ADD is not used"),
        ("COPY src src", "COPY . .", "only build inputs are copied"),
        (
            "COPY src src",
            "COPY src src\nENV RC_JWT=x",
            "no secret is used",
        ),
        (
            "COPY LICENSE",
            "COPY secrets /secrets/\nCOPY LICENSE",
            "the image has the program, certificates and licences",
        ),
    ] {
        let dockerfile = read(DOCKERFILE);
        assert!(dockerfile.contains(original), "{original}");
        let found = violations(&dockerfile.replacen(original, replacement, 1));
        assert!(found.contains(&rule), "{replacement}: {found:?}");
    }
}

#[test]
fn base_images_may_have_a_digest() {
    let dockerfile = read(DOCKERFILE).replace(" AS ", "@sha256:0a AS ");
    assert_eq!(dockerfile.matches("@sha256:").count(), 2);
    assert_eq!(violations(&dockerfile), [""; 0]);
}

#[test]
fn version_and_toolchain_equal_the_package() {
    let dockerfile = read(DOCKERFILE);
    assert!(dockerfile.contains(&format!(
        "org.opencontainers.image.version=\"{}\"",
        env!("CARGO_PKG_VERSION")
    )));
    assert!(dockerfile.contains(&format!(
        "FROM rust:{}.0-alpine",
        env!("CARGO_PKG_RUST_VERSION")
    )));
    for (label, value) in [
        ("revision", "$BUILD_REVISION"),
        ("created", "$CREATED"),
        ("title", env!("CARGO_PKG_NAME")),
        ("licenses", env!("CARGO_PKG_LICENSE")),
        ("source", env!("CARGO_PKG_REPOSITORY")),
    ] {
        let line = format!("org.opencontainers.image.{label}=\"{value}\"");
        assert!(dockerfile.contains(&line), "{line}");
    }
}

#[test]
fn changed_revision_reuses_the_dependency_layer() {
    let stages = parse_stages(&read(DOCKERFILE));
    let names: Vec<_> = stages[1]
        .iter()
        .map(|instruction| instruction.name.as_str())
        .collect();
    assert_eq!(
        names,
        [
            "FROM", "WORKDIR", "COPY", "RUN", "COPY", "ARG", "ARG", "RUN"
        ]
    );
    assert_eq!(
        arguments(&stages[1], "COPY")[0],
        "Cargo.toml Cargo.lock build.rs ./"
    );
    assert!(read("build.rs").contains("\"BUILD_REVISION\""));
}

/// Returns the build context: the exceptions in `.dockerignore`, which ignores everything else.
fn build_context() -> Vec<String> {
    let ignore = read(".dockerignore");
    let lines: Vec<_> = ignore
        .lines()
        .filter(|line| !line.starts_with('#'))
        .collect();
    assert_eq!(lines[0], "*", "the first line ignores everything");
    lines[1..]
        .iter()
        .map(|line| {
            line.strip_prefix('!')
                .expect("all other lines are exceptions")
                .to_owned()
        })
        .collect()
}

#[test]
fn build_context_equals_the_copied_files() {
    let stages = parse_stages(&read(DOCKERFILE));
    let copies = stages
        .iter()
        .flat_map(|stage| arguments(stage, "COPY"))
        .filter(|copy| !copy.starts_with("--from"));
    let mut copied: Vec<_> = copies
        .flat_map(|copy| copy.rsplit_once(' ').unwrap().0.split(' '))
        .collect();
    let mut context = build_context();
    copied.sort_unstable();
    context.sort_unstable();
    assert_eq!(copied, context);
    assert!(
        context.iter().all(|path| Path::new(path).exists()),
        "{context:?}"
    );
}

/// Fake cargo that checks the manifest and records its arguments.
const FAKE_CARGO: &str = "#!/bin/sh\nset -e\necho \"$BUILD_REVISION $*\" >>../arguments\n\
    \"$REAL_CARGO\" metadata --format-version 1 --no-deps --locked --offline >/dev/null\n\
    mkdir -p target/release && touch target/release/ringcentral-exporter\n";

#[test]
fn build_steps_run_with_the_copied_files() {
    let folder = tempfile::tempdir().unwrap();
    let build = folder.path().join("build");
    let programs = folder.path().join("bin");
    fs::create_dir_all(&build).unwrap();
    fs::create_dir_all(&programs).unwrap();
    fs::write(programs.join("cargo"), FAKE_CARGO).unwrap();
    fs::set_permissions(programs.join("cargo"), fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    for instruction in &parse_stages(&read(DOCKERFILE))[1] {
        let line = match instruction.name.as_str() {
            "COPY" => copy_command(&instruction.arguments, &build),
            "RUN" => instruction
                .arguments
                .replace("\"/ringcentral-exporter-", "\"../ringcentral-exporter-"),
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
                .env("BUILD_REVISION", "0123456789ab")
                .env("TARGETARCH", "arm64"),
        );
    }
    let arguments = read(folder.path().join("arguments"));
    assert_eq!(
        arguments,
        "0123456789ab build --release --locked --bin ringcentral-exporter\n".repeat(2)
    );
    assert!(folder.path().join("ringcentral-exporter-arm64").exists());
    assert_eq!(
        fs::read(build.join("src/main.rs")).unwrap(),
        fs::read("src/main.rs").unwrap(),
        "the last copied source is the original"
    );
}

/// Converts the arguments of COPY to a shell command that copies the content of folders.
fn copy_command(arguments: &str, build: &Path) -> String {
    let package = env!("CARGO_MANIFEST_DIR");
    let (sources, target) = arguments.rsplit_once(' ').unwrap();
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

/// Architectures of images, each with its number in the header of a program.
const ARCHITECTURES: [(&str, u8); 2] = [("amd64", 0x3e), ("arm64", 0xb7)];

/// Returns the beginning of a program for an architecture.
fn program(machine: u8) -> Vec<u8> {
    let mut header = b"\x7fELF".to_vec();
    header.resize(18, 0);
    header.extend([machine, 0]);
    header
}

/// Fake docker that records its arguments and writes the metadata of a pushed image.
const FAKE_DOCKER: &str = "#!/bin/sh\necho \"$BUILDAH_FORMAT $*\" >>target/arguments\n\
    printf '{\\n  \"containerimage.config.digest\": \"sha256:1\",\\n  \"containerimage.digest\": \"sha256:0a\"\\n}\\n' \
    >target/image.json\n";

/// Copies what `make image-push` reads to a folder, with an archive for each architecture.
fn release_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    fs::create_dir_all(root.join("target/dist")).unwrap();
    fs::create_dir_all(root.join("deploy/docker")).unwrap();
    fs::create_dir_all(root.join("bin")).unwrap();
    for file in ["Makefile", "Cargo.toml", "deploy/docker/programs"] {
        fs::copy(file, root.join(file)).unwrap();
    }
    fs::write(root.join("bin/docker"), FAKE_DOCKER).unwrap();
    fs::set_permissions(root.join("bin/docker"), fs::Permissions::from_mode(0o755)).unwrap();
    for (architecture, machine) in ARCHITECTURES {
        write_archive(root, architecture, machine);
    }
    folder
}

/// Writes an archive with a program and another file of the same name.
fn write_archive(root: &Path, name: &str, machine: u8) {
    let name = format!("ringcentral-exporter-1.2.3-{name}");
    let completions = root.join(&name).join("completions");
    fs::create_dir_all(&completions).unwrap();
    fs::write(completions.join("ringcentral-exporter"), "other").unwrap();
    fs::write(
        root.join(&name).join("ringcentral-exporter"),
        program(machine),
    )
    .unwrap();
    let archive = format!("target/dist/{name}.tar.gz");
    let mut tar = Command::new("tar");
    run_ok(
        tar.args(["--create", "--gzip", "--file", &archive, &name])
            .current_dir(root),
    );
}

/// Runs make with the fake docker, and returns the arguments of the latter.
fn run_make(folder: &Path, arguments: &[&str]) -> String {
    let path = std::env::var("PATH").unwrap();
    let mut make = Command::new("make");
    make.args(arguments)
        .current_dir(folder)
        .env("PATH", format!("{}/bin:{path}", folder.display()));
    run_ok(&mut make);
    read(folder.join("target/arguments"))
}

#[test]
fn image_is_built_in_a_format_with_health_checks() {
    let folder = release_folder();
    fs::rename(
        folder.path().join("bin/docker"),
        folder.path().join("bin/podman"),
    )
    .unwrap();
    let arguments = run_make(folder.path(), &["image", "CONTAINER_ENGINE=podman"]);
    let version = env!("CARGO_PKG_VERSION");
    let expected = format!(
        "docker build --file {DOCKERFILE} --tag ringcentral-exporter:{version} --build-arg BUILD_REVISION="
    );
    assert!(arguments.starts_with(&expected), "{arguments}");
    for name in ["BUILD_REVISION", "CREATED"] {
        assert!(arguments.contains(&format!(" --build-arg {name}=")));
        assert!(read(DOCKERFILE).contains(&format!("ARG {name}=\n")));
    }
}

#[test]
fn pushed_image_has_the_programs_of_the_archives() {
    let folder = release_folder();
    let arguments = run_make(
        folder.path(),
        &["image-push", "IMAGE=registry.test/exporter"],
    );
    let target = folder.path().join("target");
    let version = env!("CARGO_PKG_VERSION");
    for expected in [
        "buildx build --file deploy/docker/Dockerfile ",
        &format!(" --tag registry.test/exporter:{version} "),
        " --platform linux/amd64,linux/arm64 --build-context builder=target/image ",
        " --push .\n",
    ] {
        assert!(arguments.contains(expected), "{expected}: {arguments}");
    }
    assert_eq!(
        read(target.join("image.sha256")),
        "0a  registry.test/exporter\n"
    );
    assert_replaces_the_builder(&target.join("image"));
}

/// Asserts that a folder has all that the image copies from its stage `builder`.
fn assert_replaces_the_builder(folder: &Path) {
    let stages = parse_stages(&read(DOCKERFILE));
    for copy in arguments(&stages[2], "COPY") {
        let mut words = copy.split(' ').filter(|word| !word.starts_with("--chown"));
        if words.next() != Some("--from=builder") {
            continue;
        }
        let source = words.next().unwrap();
        for (architecture, machine) in ARCHITECTURES {
            let path = format!("{}{source}", folder.display()).replace("$TARGETARCH", architecture);
            let mode = fs::metadata(&path).expect(&path).permissions().mode();
            assert_eq!(mode & 0o777, 0o755, "{path}");
            if source.contains("$TARGETARCH") {
                assert_eq!(fs::read(&path).unwrap(), program(machine));
            }
        }
    }
}

#[test]
fn archives_of_other_architectures_fail() {
    let folder = release_folder();
    let programs = |dist: &str| {
        let mut command = Command::new("deploy/docker/programs");
        run(command
            .arg(folder.path().join(dist))
            .arg(folder.path().join("image")))
    };
    assert!(programs("target/dist").status.success());
    fs::remove_file(
        folder
            .path()
            .join("target/dist/ringcentral-exporter-1.2.3-arm64.tar.gz"),
    )
    .unwrap();
    assert!(all_output(&programs("target/dist")).contains("lacks the archive"));
    write_archive(folder.path(), "riscv64", 0xf3);
    let output = programs("target/dist");
    assert!(!output.status.success());
    assert!(all_output(&output).contains("riscv64.tar.gz has no program for"));
}
