//! Starting workers, and talking to one.

use super::protocol::{Reply, Request, receive, send};
use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// Starts workers.
pub trait Launcher: Sync {
    /// A worker whose process computes with this many threads, or with as many as there are cores for 0.
    ///
    /// # Errors
    /// It could not be started.
    fn launch(&self, threads: u32) -> io::Result<Worker>;
}

/// A worker: two pipes, and the process at their end where there is one.
pub struct Worker {
    to: Option<Box<dyn Write + Send>>,
    from: Box<dyn BufRead + Send>,
    process: Option<Process>,
}

struct Process {
    child: Child,
    last_line: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

impl Worker {
    /// A worker behind two pipes, whoever serves them.
    pub fn over(to: impl Write + Send + 'static, from: impl Read + Send + 'static) -> Self {
        Worker { to: Some(Box::new(to)), from: Box::new(BufReader::new(from)), process: None }
    }

    /// Its process, where it is one of its own.
    pub fn process(&self) -> Option<u32> {
        self.process.as_ref().map(|process| process.child.id())
    }

    /// Sends a request.
    ///
    /// # Errors
    /// The worker is gone.
    pub fn send(&mut self, request: &Request) -> io::Result<()> {
        match &mut self.to {
            Some(to) => send(to.as_mut(), request),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// Waits for a reply.
    ///
    /// # Errors
    /// The worker is gone, or what it said is no reply.
    pub fn receive(&mut self) -> io::Result<Reply> {
        receive(self.from.as_mut())?.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    /// Why a worker that no longer answers has ended: its exit and its last words.
    pub fn last_words(mut self, error: &io::Error) -> String {
        self.to = None;
        let Some(mut process) = self.process.take() else {
            return match error.kind() {
                io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe => "the worker died".to_owned(),
                _ => format!("the worker's answer was unreadable: {error}"),
            };
        };
        // One that still runs after an unreadable answer would run for ever.
        if error.kind() == io::ErrorKind::InvalidData {
            let _ = process.child.kill();
        }
        let status = process.child.wait();
        if let Some(reader) = process.reader.take() {
            let _ = reader.join();
        }
        let how = status.map_or_else(|error| error.to_string(), describe);
        let last = process.last_line.lock().map(|line| line.clone()).unwrap_or_default();
        if last.is_empty() { format!("the worker {how}") } else { format!("{last} (the worker {how})") }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if self.to.is_some() {
            let _ = self.send(&Request::Exit);
        }
        self.to = None;
        if let Some(process) = &mut self.process {
            // A worker without input ends by itself; one that is in the middle of a cell is not waited for.
            let _ = process.child.kill();
            let _ = process.child.wait();
        }
    }
}

fn describe(status: ExitStatus) -> String {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return match signal {
            6 => "aborted".to_owned(),
            9 => "was killed, perhaps for want of memory".to_owned(),
            11 => "crashed (segmentation fault)".to_owned(),
            other => format!("was ended by signal {other}"),
        };
    }
    match status.code() {
        Some(code) => format!("ended with code {code}"),
        None => "ended".to_owned(),
    }
}

/// Variables that a process needs from its start to compute with this many threads as a worker does.
pub fn environment(threads: u32) -> [(&'static str, String); 1] {
    [("RAYON_NUM_THREADS", threads.to_string())]
}

/// Starts child processes of a program that serves its standard input and output.
#[derive(Clone, Debug)]
pub struct ProcessLauncher {
    program: PathBuf,
    arguments: Vec<OsString>,
}

impl ProcessLauncher {
    /// The current program with these arguments (the hidden `worker` command).
    ///
    /// # Errors
    /// The system does not say which program this is.
    pub fn current(arguments: impl IntoIterator<Item = impl Into<OsString>>) -> io::Result<Self> {
        let arguments = arguments.into_iter().map(Into::into).collect();
        Ok(ProcessLauncher { program: std::env::current_exe()?, arguments })
    }
}

impl Launcher for ProcessLauncher {
    fn launch(&self, threads: u32) -> io::Result<Worker> {
        let mut child = Command::new(&self.program)
            .args(&self.arguments)
            .envs(environment(threads))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let missing = || io::Error::other("a pipe of the worker is missing");
        let to = child.stdin.take().ok_or_else(missing)?;
        let from = child.stdout.take().ok_or_else(missing)?;
        let stderr = child.stderr.take().ok_or_else(missing)?;
        let last_line = Arc::new(Mutex::new(String::new()));
        let keep = Arc::clone(&last_line);
        let reader = std::thread::spawn(move || {
            let mut trace = false;
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                // The trace and the advice that follow a panic's message say nothing of its cause.
                trace |= line == "stack backtrace:";
                if trace || line.trim().is_empty() || line.starts_with("note: ") {
                    continue;
                }
                if let Ok(mut last) = keep.lock() {
                    *last = line.trim().to_owned();
                }
            }
        });
        let process = Process { child, last_line, reader: Some(reader) };
        Ok(Worker { to: Some(Box::new(to)), from: Box::new(BufReader::new(from)), process: Some(process) })
    }
}
