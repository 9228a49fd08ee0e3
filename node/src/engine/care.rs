//! Care goes first: while somebody is asked about, bulk waits, a moment at a time.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout};

/// How long bulk waits at most before it does the next of what it has to do.
const MOMENT: Duration = Duration::from_millis(50);
/// Whoever asks and then takes longer than this holds nobody up.
const AT_MOST: Duration = Duration::from_secs(1);

/// What is being done for care.
pub struct Care(watch::Sender<At>);

#[derive(Clone, Copy)]
struct At {
    work: usize,
    /// When the last of it began.
    since: Instant,
}

impl Default for Care {
    fn default() -> Self {
        let since = Instant::now();
        Self(watch::Sender::new(At { work: 0, since }))
    }
}

impl Care {
    /// Something is done for care until this is dropped.
    pub fn begin(&self) -> AtWork<'_> {
        self.0.send_modify(|at| {
            at.work += 1;
            at.since = Instant::now();
        });
        AtWork(self)
    }

    /// Returns when nothing is done for care, or a moment later.
    pub async fn pass(&self) {
        let at = *self.0.borrow();
        if at.work == 0 || at.since.elapsed() > AT_MOST {
            return;
        }
        let mut at = self.0.subscribe();
        let _ = timeout(MOMENT, at.wait_for(|at| at.work == 0)).await;
    }
}

/// Held while something is done for care.
pub struct AtWork<'a>(&'a Care);

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        self.0.0.send_modify(|at| at.work -= 1);
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn bulk_waits_for_care_and_never_for_long() {
        let care = Care::default();
        let passes = || care.pass().now_or_never().is_some();
        assert!(passes(), "nothing is done");
        let work = care.begin();
        let other = care.begin();
        assert!(!passes(), "care goes first");
        care.pass().await;
        drop(work);
        assert!(!passes(), "one of two is still at it");
        let ends = async { drop(other) };
        tokio::join!(care.pass(), ends);
        assert!(passes(), "all is done");
    }
}
