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
    dropped: Dropped,
}

/// Counts lines that were dropped, since the start.
#[derive(Clone, Debug, Default)]
pub struct Dropped(Arc<AtomicU64>);

impl Dropped {
    /// How many.
    pub fn total(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Writes what is queued when it is dropped.
#[derive(Debug)]
pub struct Flush {
    queue: Arc<Mutex<Option<SyncSender<Vec<u8>>>>>,
    thread: Option<JoinHandle<()>>,
    dropped: Dropped,
}

impl Flush {
    /// What counts the lines that were dropped.
    pub fn dropped(&self) -> Dropped {
        self.dropped.clone()
    }
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
    let dropped = Dropped::default();
    let side = Side { queue: Arc::clone(&queue), dropped: dropped.clone() };
    let counted = dropped.clone();
    let thread = std::thread::spawn(move || write_all(&lines, sink, &counted));
    (side, Flush { queue, thread: Some(thread), dropped })
}

fn write_all(lines: &Receiver<Vec<u8>>, mut sink: impl Write, dropped: &Dropped) {
    let mut told = 0;
    while let Ok(line) = lines.recv() {
        // There is nobody left to tell of a failure to write to the log.
        sink.write_all(&line).ok();
        let lost = dropped.total() - told;
        if lost > 0 {
            told += lost;
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
            self.side.dropped.0.fetch_add(1, Ordering::Relaxed);
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
        assert!(flush.dropped().total() >= 99);
        // From now on every write returns at once.
        drop(go_on);
        drop(flush);
        let text = String::from_utf8(written.lock().unwrap().clone()).unwrap();
        assert!(text.contains("log lines dropped"), "{text}");
        assert!(text.matches("line\n").count() >= QUEUE, "{}", text.len());
    }
}
