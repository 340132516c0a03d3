//! What a process or a thread of ours has used, by `/proc`.

use std::fs;

use procfs::process::Process;

/// User and system time of a process, in milliseconds; the kernel tells it to 10 ms.
pub fn process_cpu_ms(id: u32) -> f64 {
    let stat = process(id).stat().unwrap();
    (stat.utime + stat.stime) as f64 * 1000.0 / procfs::ticks_per_second() as f64
}

/// Resident, and the part of it that is not shared with other processes or is their share, in MiB.
pub fn memory_mib(id: u32) -> (f64, f64) {
    let rollup = process(id).smaps_rollup().unwrap().memory_map_rollup;
    let extension = &rollup.0[0].extension.map;
    let mib = |name: &str| extension[name] as f64 / 1024.0 / 1024.0;
    (mib("Rss"), mib("Pss"))
}

/// The calling thread's number.
pub fn thread_id() -> u32 {
    let link = fs::read_link("/proc/thread-self").unwrap();
    link.file_name().unwrap().to_str().unwrap().parse().unwrap()
}

/// CPU time of a thread of this process, in milliseconds.
pub fn thread_cpu_ms(id: u32) -> f64 {
    let text = fs::read_to_string(format!("/proc/self/task/{id}/schedstat")).unwrap();
    text.split(' ').next().unwrap().parse::<f64>().unwrap() / 1e6
}

fn process(id: u32) -> Process {
    Process::new(id as i32).unwrap()
}
