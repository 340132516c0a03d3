//! Workflows, issue forms and settings of GitHub: their schemas, their rules, and the make targets that they call.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Map, Value};

use crate::tools::{all_output, assert_root, files, read, read_yaml, run, run_ok, tool};

const TEST: &str = ".github/workflows/test.yml";
const RELEASE: &str = ".github/workflows/release.yml";
const DEPENDABOT: &str = ".github/dependabot.yml";
const BUG: &str = ".github/ISSUE_TEMPLATE/bug.yml";
const QUESTION: &str = ".github/ISSUE_TEMPLATE/question.yml";
const ISSUE_CONFIG: &str = ".github/ISSUE_TEMPLATE/config.yml";

/// Schemas of GitHub with the files that must match them.
const SCHEMAS: [(&str, &[&str]); 5] = [
    ("vendor.github-workflows", &[TEST, RELEASE]),
    ("custom.github-workflows-require-timeout", &[TEST, RELEASE]),
    ("vendor.dependabot", &[DEPENDABOT]),
    ("vendor.github-issue-forms", &[BUG, QUESTION]),
    ("vendor.github-issue-config", &[ISSUE_CONFIG]),
];

/// Creates a command that validates files.
fn validate(schema: &str, files: &[&str]) -> Command {
    let mut command = tool("check-jsonschema");
    command.args(["--builtin-schema", schema]).args(files);
    command
}

#[test]
fn files_match_the_schemas_of_github() {
    for (schema, files) in SCHEMAS {
        run_ok(&mut validate(schema, files));
    }
    let forms = [
        files(".github/ISSUE_TEMPLATE", ".yml"),
        files(".github/workflows", ".yml"),
    ]
    .concat();
    for form in forms {
        let form = form.to_str().unwrap();
        assert!(
            SCHEMAS.iter().any(|(_, files)| files.contains(&form)),
            "{form}"
        );
    }
}

#[test]
fn schemas_reject_broken_files() {
    let folder = tempfile::tempdir().unwrap();
    for (file, schema, original, replacement) in [
        (TEST, "vendor.github-workflows", "runs-on:", "runs:"),
        (
            TEST,
            "vendor.github-workflows",
            "contents: read",
            "contents: admin",
        ),
        (
            TEST,
            "custom.github-workflows-require-timeout",
            "timeout-minutes:",
            "env: {} #",
        ),
        (
            DEPENDABOT,
            "vendor.dependabot",
            "interval: monthly",
            "interval: rarely",
        ),
        (
            BUG,
            "vendor.github-issue-forms",
            "type: dropdown",
            "type: menu",
        ),
        (ISSUE_CONFIG, "vendor.github-issue-config", "url:", "link:"),
    ] {
        let text = read(file);
        assert!(text.contains(original), "{file}: {original}");
        let broken = folder.path().join("broken.yml");
        fs::write(&broken, text.replacen(original, replacement, 1)).unwrap();
        assert!(
            !run(&mut validate(schema, &[broken.to_str().unwrap()]))
                .status
                .success(),
            "{replacement}"
        );
    }
}

/// Creates a command that searches files for insecure settings.
fn zizmor(path: &Path) -> Command {
    let mut command = tool("zizmor");
    command
        .args(["--offline", "--no-progress", "--min-severity=medium"])
        .arg(path);
    command
}

#[test]
fn zizmor_reports_no_insecure_setting() {
    run_ok(&mut zizmor(Path::new(".github")));
    let folder = tempfile::tempdir().unwrap();
    for (original, replacement, audit) in [
        (
            "@3d3c42e5aac5ba805825da76410c181273ba90b1",
            "@v7",
            "unpinned-uses",
        ),
        (
            "\"$GITHUB_REF_NAME\"",
            "${{ github.ref_name }}",
            "template-injection",
        ),
        (
            "uses: ./.github/workflows/test.yml",
            "uses: ./.github/workflows/test.yml\n    secrets: inherit",
            "secrets-inherit",
        ),
    ] {
        let text = read(RELEASE);
        assert!(text.contains(original), "{original}");
        let insecure = folder.path().join("release.yml");
        fs::write(&insecure, text.replacen(original, replacement, 1)).unwrap();
        let output = run(&mut zizmor(&insecure));
        assert!(
            !output.status.success() && all_output(&output).contains(audit),
            "{audit}"
        );
    }
}

/// Returns the jobs of a workflow.
fn jobs(workflow: &Value) -> &Map<String, Value> {
    workflow["jobs"].as_object().unwrap()
}

/// Returns the steps of a job; a job that calls another workflow has none.
fn steps(job: &Value) -> &[Value] {
    job["steps"].as_array().map_or(&[], Vec::as_slice)
}

/// Returns the commands of a job.
fn commands(job: &Value) -> Vec<&str> {
    let runs = steps(job).iter().filter_map(|step| step["run"].as_str());
    runs.collect()
}

/// Lists the rules that a workflow violates.
fn violations(workflow: &Value) -> BTreeSet<&'static str> {
    let mut found = BTreeSet::new();
    if workflow["permissions"] != Value::Object(Map::new()) {
        found.insert("a workflow has no permission of its own");
    }
    if workflow["concurrency"]["group"].is_null() {
        found.insert("a workflow has a concurrency group");
    }
    for job in jobs(workflow).values() {
        if !job["permissions"].is_object() {
            found.insert("a job lists its permissions");
        }
        if job["uses"].is_null() && !job["timeout-minutes"].is_number() {
            found.insert("a job has a timeout");
        }
        if !commands(job).into_iter().all(is_one_make_target) {
            found.insert("a step runs one make target");
        }
        if compiles(job) && writes(job) {
            found.insert("a job that compiles cannot write");
        }
        if writes(job) != (job["environment"] == "release") {
            found.insert("a job that writes needs an approval");
        }
    }
    found
}

/// Returns whether a command is `make TARGET`, with variables but nothing that a shell would run too.
fn is_one_make_target(command: &str) -> bool {
    let mut words = command.split(' ');
    words.next() == Some("make")
        && words.next().is_some_and(|target| !target.is_empty())
        && words.all(|word| word.contains('='))
        && !command.contains(['\n', ';', '&', '|', '>', '<', '`', '('])
}

/// Returns whether a job runs the build scripts of dependencies: in a container with a compiler.
fn compiles(job: &Value) -> bool {
    !job["container"].is_null() || commands(job).contains(&"make dist")
}

/// Returns whether a job has a right to write.
fn writes(job: &Value) -> bool {
    let permissions = job["permissions"].as_object();
    permissions.is_some_and(|permissions| permissions.values().any(|right| right == "write"))
}

#[test]
fn workflows_violate_no_rule() {
    for workflow in [TEST, RELEASE] {
        assert_eq!(
            violations(&read_yaml(workflow)),
            BTreeSet::new(),
            "{workflow}"
        );
    }
}

#[test]
fn workflow_rules_detect_their_mutations() {
    for (original, replacement, rule) in [
        (
            "permissions: {}",
            "permissions: read-all",
            "a workflow has no permission of its own",
        ),
        (
            "group: release",
            "cancel: false",
            "a workflow has a concurrency group",
        ),
        (
            "timeout-minutes: 90\n    permissions:\n      contents: read",
            "timeout-minutes: 90",
            "a job lists its permissions",
        ),
        ("    timeout-minutes: 20\n", "", "a job has a timeout"),
        (
            "run: make build-tools",
            "run: make build-tools && make dist",
            "a step runs one make target",
        ),
        (
            "run: make build-tools",
            "run: |\n          make tools\n          make dist",
            "a step runs one make target",
        ),
        (
            "run: make build-tools",
            "run: deploy/archive target/dist",
            "a step runs one make target",
        ),
        (
            "run: make release\n",
            "run: make dist\n",
            "a job that compiles cannot write",
        ),
        (
            "    environment: release\n",
            "",
            "a job that writes needs an approval",
        ),
    ] {
        let text = read(RELEASE);
        assert!(text.contains(original), "{original}");
        let mutated = serde_saphyr::from_str(&text.replacen(original, replacement, 1)).unwrap();
        assert_eq!(
            violations(&mutated),
            BTreeSet::from([rule]),
            "{replacement}"
        );
    }
}

/// Creates a command that runs make, not as a part of the make that runs these tests.
pub fn make(arguments: &[&str]) -> Command {
    let mut command = Command::new("make");
    command.args(arguments);
    for variable in ["MAKEFLAGS", "MFLAGS", "MAKELEVEL"] {
        command.env_remove(variable);
    }
    command
}

/// Returns what the make targets of a job would run.
fn dry_run(job: &Value) -> String {
    let mut printed = String::new();
    for command in commands(job) {
        let target = command.split(' ').nth(1).unwrap();
        printed += &run_ok(&mut make(&["--dry-run", target]));
    }
    printed
}

#[test]
fn workflows_call_existing_make_targets() {
    for workflow in [TEST, RELEASE] {
        for job in jobs(&read_yaml(workflow)).values() {
            assert_eq!(dry_run(job).is_empty(), commands(job).is_empty());
        }
    }
    assert!(
        !run(&mut make(&["--dry-run", "no-such-target"]))
            .status
            .success()
    );
}

/// Returns the targets in the Makefile.
fn make_targets() -> BTreeSet<String> {
    let mut targets = BTreeSet::new();
    for line in read("Makefile").lines() {
        if let Some((names, _)) = line.split_once(':')
            && !line.starts_with(['\t', '#', '.'])
        {
            targets.extend(names.split(' ').map(str::to_owned));
        }
    }
    targets
}

#[test]
fn make_targets_in_documents_exist() {
    let targets = make_targets();
    assert!(targets.contains("image-push"), "{targets:?}");
    let documents = run_ok(Command::new("git").args(["ls-files", "*.md"]));
    for document in documents.lines().filter(|path| Path::new(path).is_file()) {
        let text = read(document);
        for command in text.split("`make ").skip(1) {
            let command = command.split('`').next().unwrap();
            for word in command.split_whitespace() {
                let is_target = !word.contains('=') && !word.contains("...");
                assert!(
                    !is_target || targets.contains(word),
                    "{document}: {command}"
                );
            }
        }
    }
}

/// Returns the values of this setting in the steps that use this action.
fn settings<'a>(job: &'a Value, action: &str, setting: &str) -> Vec<&'a str> {
    let uses = |step: &&Value| {
        step["uses"]
            .as_str()
            .is_some_and(|uses| uses.starts_with(action))
    };
    let values = steps(job).iter().filter(uses);
    values
        .filter_map(|step| step["with"][setting].as_str())
        .collect()
}

#[test]
fn released_files_are_written_by_make_targets() {
    let workflow = read_yaml(RELEASE);
    let jobs = jobs(&workflow);
    let uploaded = settings(&jobs["build"], "actions/upload-artifact@", "path");
    assert_eq!(uploaded, ["target/dist"]);
    let steps = jobs["build"]["steps"].as_array().unwrap();
    let commands: Vec<_> = steps
        .iter()
        .filter_map(|step| step["run"].as_str())
        .collect();
    assert_eq!(
        commands,
        [
            "make check-tag TAG=\"$GITHUB_REF_NAME\"",
            "make build-tools",
            "make dist",
            "make chart",
        ]
    );
    for job in ["image", "release"] {
        assert_eq!(
            settings(&jobs[job], "actions/download-artifact@", "path"),
            uploaded
        );
        let names = settings(&jobs[job], "actions/download-artifact@", "name");
        assert_eq!(
            names,
            settings(&jobs["build"], "actions/upload-artifact@", "name")
        );
    }
    assert_eq!(
        settings(&jobs["release"], "actions/attest@", "subject-path"),
        ["target/dist/*"]
    );
    assert!(dry_run(&jobs["release"]).contains(" target/dist/*\n"));
    let image = settings(&jobs["image"], "actions/attest@", "subject-checksums");
    assert!(dry_run(&jobs["image"]).contains(&format!(" >{}\n", image[0])));
}

#[test]
fn nothing_is_published_before_the_tests_pass() {
    let workflow = read_yaml(RELEASE);
    for (name, job) in jobs(&workflow) {
        let needs = job["needs"].as_array().into_iter().flatten();
        let needs_tests = needs.into_iter().any(|need| need == "test");
        assert_eq!(writes(job), needs_tests, "{name}");
    }
    let build = &workflow["jobs"]["build"];
    assert_eq!(build["if"], "github.event.created", "not for a moved tag");
    assert!(!read(RELEASE).contains("actions/cache@"));
    assert_eq!(workflow["jobs"]["test"]["uses"], format!("./{TEST}"));
}

#[test]
fn git_reads_a_checkout_of_another_user_in_ci() {
    assert_root();
    let folder = tempfile::tempdir().unwrap();
    let git = |arguments: &[&str]| {
        let mut command = Command::new("git");
        command
            .args(arguments)
            .current_dir(folder.path())
            .env("HOME", "/nonexistent");
        command
    };
    run_ok(&mut git(&["init", "--quiet"]));
    std::os::unix::fs::chown(folder.path(), Some(1001), Some(1001)).unwrap();
    assert!(all_output(&run(&mut git(&["ls-files"]))).contains("dubious ownership"));
    for workflow in [TEST, RELEASE] {
        let mut command = git(&["ls-files"]);
        for (name, value) in read_yaml(workflow)["env"].as_object().unwrap() {
            command.env(name, value.as_str().unwrap());
        }
        run_ok(&mut command);
    }
}

/// Copies what the targets of a release read to a folder, with a changelog of two versions.
fn release_folder(heading: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join(".ci")).unwrap();
    for file in ["Makefile", "Cargo.toml", ".ci/release-notes"] {
        fs::copy(file, folder.path().join(file)).unwrap();
    }
    let changelog = format!(
        "# Changelog\n\n{heading}\n\nIt shows\npresence.\n\n### Added\n- A [page](docs/WEB.md#tls), and\n  a list.\n\
         - More.\n\n## 0.1.0 (2026-11-25)\n\nThe first version.\n"
    );
    fs::write(folder.path().join("CHANGELOG.md"), changelog).unwrap();
    folder
}

#[test]
fn tag_needs_its_version_and_a_dated_changelog() {
    let version = env!("CARGO_PKG_VERSION");
    let tag = format!("TAG=v{version}");
    let dated = release_folder(&format!("## {version} (2026-12-01)"));
    run_ok(make(&["check-tag", &tag]).current_dir(dated.path()));
    let link = format!(
        "{}/blob/v{version}/docs/WEB.md#tls",
        env!("CARGO_PKG_REPOSITORY")
    );
    assert_eq!(
        read(dated.path().join("target/release-notes.md")),
        format!("It shows presence.\n\n### Added\n- A [page]({link}), and a list.\n- More.\n")
    );
    for other in ["TAG=v9.9.9", "TAG=", &tag.replace('v', "")] {
        let mut check = make(&["check-tag", other]);
        assert!(
            !run(check.current_dir(dated.path())).status.success(),
            "{other}"
        );
    }
    for heading in [
        format!("## {version} (unreleased)"),
        "## 9.9.9 (2026-12-01)".to_owned(),
    ] {
        let folder = release_folder(&heading);
        let output = run(make(&["check-tag", &tag]).current_dir(folder.path()));
        assert!(
            all_output(&output).contains("CHANGELOG.md has no section"),
            "{heading}"
        );
        assert!(!output.status.success());
    }
}

#[test]
fn checksums_name_each_file_of_the_release() {
    let folder = release_folder("");
    let dist = folder.path().join("target/dist");
    fs::create_dir_all(&dist).unwrap();
    for name in ["a.tar.gz", "b.deb", "SHA256SUMS"] {
        fs::write(dist.join(name), name).unwrap();
    }
    run_ok(make(&["checksums"]).current_dir(folder.path()));
    let check = Command::new("sha256sum")
        .args(["--check", "SHA256SUMS"])
        .current_dir(&dist)
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8(check.stdout).unwrap(),
        "a.tar.gz: OK\nb.deb: OK\n"
    );
}

/// In en_US the packages come before the archives, and SHA256SUMS of two machines would differ.
#[test]
fn checksums_have_the_same_order_in_each_locale() {
    let printed = run_ok(&mut make(&["--dry-run", "checksums"]));
    assert!(printed.contains("$(LC_ALL=C ls "), "{printed}");
}

#[test]
fn targets_that_write_files_rewrite_the_checksums() {
    for target in ["dist", "deb", "chart"] {
        let printed = run_ok(&mut make(&["--dry-run", target]));
        let (_, after) = printed.rsplit_once("/package target/dist\n").unwrap();
        assert!(after.contains(" >SHA256SUMS\n"), "{target}: {printed}");
    }
}

/// A cache of CI may have the tools of an earlier version.
#[test]
fn tool_of_another_version_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let bin = folder.path().join("bin");
    fs::create_dir(&bin).unwrap();
    for tool in ["cargo-deny", "cargo-deb", "cargo-cyclonedx"] {
        std::os::unix::fs::symlink("/bin/true", bin.join(tool)).unwrap();
    }
    let tools = format!("TOOLS={}", folder.path().display());
    for target in ["deny-tool", "deb-tool", "sbom-tool"] {
        let installed = run_ok(&mut make(&["--silent", target, "CARGO=echo", &tools]));
        assert!(installed.starts_with("install "), "{target}: {installed}");
    }
}

/// Texts before a version of the program: of images, archives, packages, and in examples.
const BEFORE_VERSIONS: [&str; 8] = [
    "ringcentral-exporter:",
    "ringcentral-exporter-",
    "ringcentral-exporter_",
    "ringcentral-exporter ",
    "newTag: \"",
    "/version: \"",
    "\"version\": \"",
    "  version       ",
];

/// Lists the versions of the program in a text.
fn named_versions(text: &str) -> Vec<&str> {
    let mut versions = Vec::new();
    for before in BEFORE_VERSIONS {
        for rest in text.split(before).skip(1) {
            let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.');
            let version = rest[..end.unwrap_or(rest.len())].trim_end_matches('.');
            if version.matches('.').count() == 2 {
                versions.push(version);
            }
        }
    }
    versions
}

#[test]
fn versions_in_all_files_equal_the_package() {
    let version = env!("CARGO_PKG_VERSION");
    let tracked = run_ok(Command::new("git").args([
        "ls-files",
        "README.md",
        "SECURITY.md",
        "deploy",
        "docs",
        ".github",
    ]));
    let mut found = 0;
    for file in tracked
        .lines()
        .filter(|file| !file.ends_with(".png") && Path::new(file).is_file())
    {
        let text = read(file);
        for named in named_versions(&text) {
            assert_eq!(named, version, "{file}");
            found += 1;
        }
    }
    assert!(found >= 15, "{found}");
    let changelog = read("CHANGELOG.md");
    let latest = changelog
        .lines()
        .find_map(|line| line.strip_prefix("## "))
        .unwrap();
    assert_eq!(latest.split(' ').next(), Some(version));
    let (minor, _) = version.rsplit_once('.').unwrap();
    assert!(read("SECURITY.md").contains(&format!("| {minor}, the latest | yes |")));
    let base = read_yaml("deploy/kubernetes/base/kustomization.yaml");
    assert_eq!(base["images"][0]["newTag"], version);
    let chart = read_yaml("deploy/helm/Chart.yaml");
    assert_eq!([&chart["version"], &chart["appVersion"]], [version; 2]);
}

/// Returns the words of a file in small letters, without line ends and the signs of comments.
fn words_of(text: &str) -> String {
    let words = text.split_whitespace().filter(|word| *word != "#");
    words.collect::<Vec<_>>().join(" ").to_lowercase()
}

/// `docs/dev/RELEASING.md` finds the sentences to remove by a search in lines.
#[test]
fn sentences_about_no_release_are_on_one_line() {
    let tracked = run_ok(Command::new("git").args(["ls-files", "*.md", "*.yaml", "*.yml"]));
    for file in tracked.lines() {
        let (text, mark) = (read(file), "published yet");
        let words = words_of(&text);
        let in_lines = text.matches(mark).count();
        assert_eq!(words.matches(mark).count(), in_lines, "{file}");
        let without_mark = words.replace(mark, "");
        for other in ["no release is published", "no image is published"] {
            assert!(!without_mark.contains(other), "{file}");
        }
    }
}

#[test]
fn toolchain_of_workflows_is_that_of_the_image() {
    let expected = format!("rust:{}.0-bookworm", env!("CARGO_PKG_RUST_VERSION"));
    for workflow in [TEST, RELEASE] {
        for job in jobs(&read_yaml(workflow)).values() {
            let container = &job["container"];
            let image = container["image"].as_str().or(container.as_str());
            // A digest may follow.
            let tagged = image.and_then(|image| image.split('@').next());
            assert!(tagged.is_none_or(|tagged| tagged == expected), "{image:?}");
        }
    }
}

#[test]
fn dependabot_knows_each_list_of_dependencies() {
    let settings = read_yaml(DEPENDABOT);
    let mut folders = BTreeSet::new();
    for update in settings["updates"].as_array().unwrap() {
        for folder in update["directories"].as_array().unwrap() {
            let folder = folder.as_str().unwrap().trim_start_matches('/');
            folders.insert((
                update["package-ecosystem"].as_str().unwrap(),
                folder.to_owned(),
            ));
        }
    }
    let mut expected = BTreeSet::from([("github-actions", String::new())]);
    for file in run_ok(Command::new("git").arg("ls-files")).lines() {
        let (folder, name) = file.rsplit_once('/').unwrap_or(("", file));
        let ecosystem = match name {
            "Cargo.toml" => "cargo",
            "Dockerfile" => "docker",
            "compose.yaml" => "docker-compose",
            "package.json" => "npm",
            "requirements.txt" => "pip",
            _ => continue,
        };
        expected.insert((ecosystem, folder.to_owned()));
    }
    assert_eq!(folders, expected);
}
