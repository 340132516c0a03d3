//! The families of the exporter itself: build, configuration, process. They have no label `account`.

use crate::clock::unix_seconds;
use crate::config::ReloadStatus;
use crate::exposition::text::{FamilyDesc, FamilyTexts};

const BUILD_INFO: FamilyDesc = FamilyDesc::gauge(
    "ringcentral_exporter_build_info",
    "The build: version, revision of the source, and compiler.",
);
const RELOAD_SUCCESSFUL: FamilyDesc = FamilyDesc::gauge(
    "ringcentral_exporter_config_last_reload_successful",
    "1 if the configuration was read well the last time it was read, else 0.",
);
const RELOAD_TIMESTAMP: FamilyDesc = FamilyDesc::gauge(
    "ringcentral_exporter_config_last_reload_success_timestamp_seconds",
    "When the configuration was last read well.",
);

/// The state of the exporter.
#[derive(Clone, Copy, Debug)]
pub struct ExporterInfo {
    /// How reading the configuration went.
    pub configuration: ReloadStatus,
    /// The process, where the system tells.
    pub process: Option<ProcessStats>,
}

impl ExporterInfo {
    /// As it is now.
    #[must_use]
    pub fn collect(configuration: ReloadStatus) -> Self {
        Self {
            configuration,
            process: process(),
        }
    }
}

/// What the system says of the process, in the names of Prometheus' client libraries.
#[derive(Clone, Copy, Debug)]
pub struct ProcessStats {
    cpu_seconds: f64,
    resident_bytes: u64,
    virtual_bytes: u64,
    open_fds: u64,
    max_fds: u64,
    threads: u64,
    /// When it started, seconds since 1970.
    pub start: f64,
}

/// Adds the exporter's own families.
pub fn add(families: &mut FamilyTexts, exporter: &ExporterInfo) {
    let build = [
        ("version", env!("CARGO_PKG_VERSION")),
        ("revision", env!("BUILD_REVISION")),
        ("rustc", env!("BUILD_RUSTC")),
    ];
    families.add(&BUILD_INFO, &build, 1.0);
    families.add(
        &RELOAD_SUCCESSFUL,
        &[],
        f64::from(u8::from(exporter.configuration.last_reload_successful)),
    );
    families.add(
        &RELOAD_TIMESTAMP,
        &[],
        unix_seconds(exporter.configuration.last_success),
    );
    if let Some(process) = &exporter.process {
        add_process(families, process);
    }
}

fn add_process(families: &mut FamilyTexts, process: &ProcessStats) {
    let cpu = FamilyDesc::counter(
        "process_cpu_seconds_total",
        "Total user and system CPU time spent in seconds.",
    );
    families.add(&cpu, &[], process.cpu_seconds);
    let gauges = [
        (
            "process_resident_memory_bytes",
            "Resident memory size in bytes.",
            process.resident_bytes as f64,
        ),
        (
            "process_virtual_memory_bytes",
            "Virtual memory size in bytes.",
            process.virtual_bytes as f64,
        ),
        (
            "process_open_fds",
            "Number of open file descriptors.",
            process.open_fds as f64,
        ),
        (
            "process_max_fds",
            "Maximum number of open file descriptors.",
            process.max_fds as f64,
        ),
        (
            "process_threads",
            "Number of OS threads in the process.",
            process.threads as f64,
        ),
        (
            "process_start_time_seconds",
            "Start time of the process since unix epoch in seconds.",
            process.start,
        ),
    ];
    for (name, help, value) in gauges {
        families.add(&FamilyDesc::gauge(name, help), &[], value);
    }
}

/// Asks the system, by way of `/proc`; none where there is no such thing.
#[cfg(target_os = "linux")]
fn process() -> Option<ProcessStats> {
    use rustix::process::{Resource, getrlimit};

    let this = procfs::process::Process::myself().ok()?;
    let stat = this.stat().ok()?;
    let ticks = procfs::ticks_per_second() as f64;
    Some(ProcessStats {
        cpu_seconds: (stat.utime + stat.stime) as f64 / ticks,
        resident_bytes: stat.rss * procfs::page_size(),
        virtual_bytes: stat.vsize,
        open_fds: this.fd_count().ok()? as u64,
        max_fds: getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX),
        threads: stat.num_threads.unsigned_abs(),
        start: procfs::boot_time_secs().ok()? as f64 + stat.starttime as f64 / ticks,
    })
}

/// Nothing is known of the process on other systems.
#[cfg(not(target_os = "linux"))]
fn process() -> Option<ProcessStats> {
    None
}
