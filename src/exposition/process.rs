//! The metric families of the exporter itself: build, configuration and process. They have no label `account`.
//!
//! [`ExporterInfo::collect`] reads `/proc`.

use crate::clock::unix_seconds;
use crate::config::ReloadStatus;
use crate::text_format::{FamilyDesc, FamilyTexts, families};

families! {
    gauge BUILD_INFO = "ringcentral_exporter_build_info":
        "Version, source revision and compiler of the build.";
    gauge RELOAD_SUCCESSFUL = "ringcentral_exporter_config_last_reload_successful":
        "Whether the last configuration reload succeeded (1) or failed (0).";
    gauge RELOAD_TIMESTAMP = "ringcentral_exporter_config_last_reload_success_timestamp_seconds":
        "Time of the last successful configuration load.";
    counter CPU_SECONDS = "process_cpu_seconds_total":
        "Total user and system CPU time spent in seconds.";
    gauge RESIDENT_MEMORY = "process_resident_memory_bytes": "Resident memory size in bytes.";
    gauge VIRTUAL_MEMORY = "process_virtual_memory_bytes": "Virtual memory size in bytes.";
    gauge OPEN_FDS = "process_open_fds": "Number of open file descriptors.";
    gauge MAX_FDS = "process_max_fds": "Maximum number of open file descriptors.";
    gauge THREADS = "process_threads": "Number of OS threads in the process.";
    gauge START_TIME = "process_start_time_seconds":
        "Start time of the process since unix epoch in seconds.";
}

/// The state of the exporter itself.
#[derive(Clone, Debug)]
pub struct ExporterInfo {
    /// Result of the last configuration load.
    pub configuration: ReloadStatus,
    /// Usage of the process. `None` on systems other than Linux.
    pub process: Option<ProcessStats>,
}

impl ExporterInfo {
    /// Reads the current state of the process.
    #[must_use]
    pub fn collect(configuration: ReloadStatus) -> Self {
        Self {
            configuration,
            process: ProcessStats::read(),
        }
    }
}

/// Resource usage of the process, as Prometheus' client libraries report it.
#[derive(Clone, Copy, Debug)]
pub struct ProcessStats {
    samples: [(&'static FamilyDesc, f64); 5],
    cpu_seconds: f64,
    /// Start time in seconds since 1970.
    pub start: f64,
}

impl ProcessStats {
    /// Reads `/proc`.
    #[cfg(target_os = "linux")]
    fn read() -> Option<Self> {
        use std::fs::File;
        use std::os::unix::fs::FileExt;
        use std::sync::OnceLock;

        use procfs::FromRead;
        use procfs::process::{Process, Stat};
        use rustix::process::{Resource, getrlimit};

        /// The directory of this process and the file of its usage, since opening them takes longer than reading them.
        static OPEN: OnceLock<(Process, File)> = OnceLock::new();

        let (process, stat) = match OPEN.get() {
            Some(open) => open,
            None => {
                let process = Process::myself().ok()?;
                let stat = File::open("/proc/self/stat").ok()?;
                OPEN.get_or_init(|| (process, stat))
            }
        };
        // More than the longest line: 52 fields of up to 20 digits.
        let mut line = [0; 2048];
        let len = stat.read_at(&mut line, 0).ok()?;
        let stat = Stat::from_read(line.get(..len)?).ok()?;
        let ticks = procfs::ticks_per_second() as f64;
        let max_fds = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        Some(Self {
            samples: [
                (&RESIDENT_MEMORY, (stat.rss * procfs::page_size()) as f64),
                (&VIRTUAL_MEMORY, stat.vsize as f64),
                (&OPEN_FDS, process.fd_count().ok()? as f64),
                (&MAX_FDS, max_fds as f64),
                (&THREADS, stat.num_threads as f64),
            ],
            cpu_seconds: (stat.utime + stat.stime) as f64 / ticks,
            start: procfs::boot_time_secs().ok()? as f64 + stat.starttime as f64 / ticks,
        })
    }

    /// Returns `None`: only Linux has `/proc`.
    #[cfg(not(target_os = "linux"))]
    fn read() -> Option<Self> {
        None
    }
}

/// Adds the exporter's own families.
pub(crate) fn add(families: &mut FamilyTexts, exporter: &ExporterInfo) {
    let build = [
        ("version", env!("CARGO_PKG_VERSION")),
        ("revision", env!("BUILD_REVISION")),
        ("rustc", env!("BUILD_RUSTC")),
    ];
    families.add_sample(&BUILD_INFO, &build, 1.0);
    let reload = &exporter.configuration;
    let successful = f64::from(reload.error.is_none());
    families.add_sample(&RELOAD_SUCCESSFUL, &[], successful);
    families.add_sample(&RELOAD_TIMESTAMP, &[], unix_seconds(reload.last_success));
    if let Some(process) = &exporter.process {
        for (desc, value) in process.samples {
            families.add_sample(desc, &[], value);
        }
        let mut family = families.open_family(&CPU_SECONDS);
        family.add_counter(&[][..], process.cpu_seconds, process.start);
        families.add_sample(&START_TIME, &[], process.start);
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::hint::black_box;

    use super::*;

    fn resident(stats: ProcessStats) -> f64 {
        let [(desc, value), ..] = stats.samples;
        assert_eq!(desc.name, RESIDENT_MEMORY.name);
        value
    }

    #[test]
    fn each_read_has_the_present_usage() {
        let before = ProcessStats::read().unwrap();
        // Far more than other tests of this process free meanwhile.
        let memory = black_box(vec![1_u8; 256 * 1024 * 1024]);
        let with_memory = ProcessStats::read().unwrap();
        assert!(resident(with_memory) > resident(before) + 128.0 * 1024.0 * 1024.0);
        drop(memory);
        let uses_cpu = |_| {
            black_box((0..100_000).map(black_box).sum::<u64>());
            ProcessStats::read().unwrap().cpu_seconds > before.cpu_seconds
        };
        assert!((0..10_000).any(uses_cpu));
    }
}
