//! A writer that never waits: lines go to a thread through a bounded queue.

use std::{
    io::{self, Write},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::JoinHandle,
};
use tracing_subscriber::fmt::MakeWriter;

/// Lines that may wait; at about a kilobyte each, some megabytes.
const QUEUE: usize = 4096;

/// Makes the writer of one line.
#[derive(Clone)]
pub(super) struct Side {
    queue: Arc<Mutex<Option<SyncSender<Vec<u8>>>>>,
    dropped: Arc<AtomicU64>,
}

/// Writes what is queued when it is dropped.
#[derive(Debug)]
pub struct Flush {
    queue: Arc<Mutex<Option<SyncSender<Vec<u8>>>>>,
    thread: Option<JoinHandle<()>>,
}

/// One line, sent when it is complete.
pub(super) struct Line<'a> {
    side: &'a Side,
    bytes: Vec<u8>,
}

/// A writer to `sink`, and what ends it.
pub(super) fn writer(sink: impl Write + Send + 'static) -> (Side, Flush) {
    let (queue, lines) = sync_channel(QUEUE);
    let queue = Arc::new(Mutex::new(Some(queue)));
    let side = Side { queue: Arc::clone(&queue), dropped: Arc::default() };
    let dropped = Arc::clone(&side.dropped);
    let thread = std::thread::spawn(move || write_all(&lines, sink, &dropped));
    (side, Flush { queue, thread: Some(thread) })
}

fn write_all(lines: &Receiver<Vec<u8>>, mut sink: impl Write, dropped: &AtomicU64) {
    while let Ok(line) = lines.recv() {
        // There is nobody left to tell of a failure to write to the log.
        sink.write_all(&line).ok();
        let lost = dropped.swap(0, Ordering::Relaxed);
        if lost > 0 {
            writeln!(sink, "{{\"level\":\"WARN\",\"message\":\"log lines dropped\",\"lines\":{lost}}}").ok();
        }
    }
    sink.flush().ok();
}

impl<'a> MakeWriter<'a> for Side {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line { side: self, bytes: Vec::new() }
    }
}

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line<'_> {
    fn drop(&mut self) {
        let queue = self.side.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let sent = queue.as_ref().map(|queue| queue.try_send(std::mem::take(&mut self.bytes)));
        if !matches!(sent, Some(Ok(()))) {
            self.side.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Flush {
    fn drop(&mut self) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    struct Stuck(Receiver<()>, Arc<Mutex<Vec<u8>>>);

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.recv_timeout(Duration::from_secs(20)).ok();
            self.1.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_stuck_reader_costs_lines_and_never_time() {
        let (go_on, stuck) = sync_channel(0);
        let written = Arc::new(Mutex::new(Vec::new()));
        let (side, flush) = writer(Stuck(stuck, Arc::clone(&written)));
        for _ in 0..QUEUE + 100 {
            side.make_writer().write_all(b"line\n").unwrap();
        }
        assert!(side.dropped.load(Ordering::Relaxed) >= 99);
        // From now on every write returns at once.
        drop(go_on);
        drop(flush);
        let text = String::from_utf8(written.lock().unwrap().clone()).unwrap();
        assert!(text.contains("log lines dropped"), "{text}");
        assert!(text.matches("line\n").count() >= QUEUE, "{}", text.len());
    }
}
