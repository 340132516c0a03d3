//! Threads of their own for work that would hold the only thread of the exporter. Tokio's threads for blocking tasks also
//! look up names, and all of them may be waiting for a name server.

use std::io;
use std::thread::Builder;

use tokio::sync::oneshot;

/// Runs `task` on a new thread, to its end even if the result is no longer awaited.
///
/// # Errors
/// Returns an error if the system allows no further thread, or if `task` panics.
pub(crate) async fn run<T: Send + 'static>(
    thread: Builder,
    task: impl FnOnce() -> T + Send + 'static,
) -> io::Result<T> {
    let (sender, receiver) = oneshot::channel();
    thread.spawn(move || drop(sender.send(task())))?;
    let result = receiver.await;
    result.map_err(|_| io::Error::other("the thread has panicked"))
}

/// Runs `task` while each of tokio's threads for blocking tasks hangs, as in a lookup of a name that takes many seconds.
#[cfg(test)]
pub(crate) fn run_while_blocking_threads_hang<T>(task: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .max_blocking_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let hanging: Vec<_> = (0..2)
        .map(|_| {
            let (sender, receiver) = std::sync::mpsc::channel::<()>();
            runtime.spawn_blocking(move || receiver.recv());
            sender
        })
        .collect();
    let result = runtime.block_on(task);
    drop(hanging);
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn result_is_that_of_the_task() {
        assert_eq!(run(Builder::new(), || 1).await.unwrap(), 1);
        let panicked = run(Builder::new(), || panic!("expected")).await;
        assert_eq!(panicked.unwrap_err().to_string(), "the thread has panicked");
    }

    #[tokio::test]
    async fn thread_that_cannot_start_is_an_error() {
        let larger_than_memory = Builder::new().stack_size(1 << 50);
        assert!(run(larger_than_memory, || 1).await.is_err());
    }
}
