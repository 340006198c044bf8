//! Signals that end a run: the first keeps what is under way, a second interrupt ends at once.

use signal_hook::consts::{SIGINT, SIGTERM};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How long a run may take to end after a signal, whatever it is doing: what is on disk is whole at any moment.
const LONGEST: Duration = Duration::from_millis(4500);

/// Exit code of a run that was told to stop, has kept what was under way and wants to be run again.
pub(crate) const STOPPED: u8 = 75;

/// A flag that SIGTERM, SIGINT and SIGUSR1 set.
pub(crate) fn stop_flag() -> io::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT] {
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    #[cfg(unix)]
    signal_hook::flag::register(signal_hook::consts::SIGUSR1, Arc::clone(&stop))?;
    Ok(stop)
}

/// The flag of a run: a second interrupt ends it with 130, and it ends by itself when stopping takes too long.
pub(crate) fn of_run() -> io::Result<Arc<AtomicBool>> {
    let interrupted = Arc::new(AtomicBool::new(false));
    // In this order: the first interrupt finds the flag unset, and sets it.
    signal_hook::flag::register_conditional_shutdown(SIGINT, 130, Arc::clone(&interrupted))?;
    signal_hook::flag::register(SIGINT, interrupted)?;
    let stop = stop_flag()?;
    let watched = Arc::clone(&stop);
    std::thread::spawn(move || {
        while !watched.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(50));
        }
        std::thread::sleep(LONGEST);
        signal_hook::low_level::exit(i32::from(STOPPED));
    });
    Ok(stop)
}
