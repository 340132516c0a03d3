//! CPU time and memory of a process or thread, from `/proc`.

use std::fs;

use procfs::process::Process;

/// Returns the user and system time of a process in milliseconds; the kernel's resolution is 10 ms.
pub fn process_cpu_ms(id: u32) -> f64 {
    let stat = process(id).stat().unwrap();
    (stat.utime + stat.stime) as f64 * 1000.0 / procfs::ticks_per_second() as f64
}

/// Returns the resident and the proportional set size in MiB.
pub fn memory_mib(id: u32) -> (f64, f64) {
    let rollup = process(id).smaps_rollup().unwrap().memory_map_rollup;
    let extension = &rollup.0[0].extension.map;
    let mib = |name: &str| extension[name] as f64 / 1024.0 / 1024.0;
    (mib("Rss"), mib("Pss"))
}

/// Returns the id of the calling thread.
pub fn thread_id() -> u32 {
    let link = fs::read_link("/proc/thread-self").unwrap();
    link.file_name().unwrap().to_str().unwrap().parse().unwrap()
}

/// Returns the CPU time of a thread of this process in milliseconds.
pub fn thread_cpu_ms(id: u32) -> f64 {
    let text = fs::read_to_string(format!("/proc/self/task/{id}/schedstat")).unwrap();
    text.split(' ').next().unwrap().parse::<f64>().unwrap() / 1e6
}

fn process(id: u32) -> Process {
    Process::new(id as i32).unwrap()
}
