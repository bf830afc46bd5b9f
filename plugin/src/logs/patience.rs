//! How long one who follows a log bears with a cluster that cannot be reached.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::PluginError;

/// How long nothing may go well before it is given up: a control plane that is upgraded is back by then.
const GIVEN_UP: Duration = Duration::from_secs(300);
/// The same while the API server answers and refuses, as one that has just begun does for a moment.
const REFUSED: Duration = Duration::from_secs(30);
/// First pause, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(10));

/// Why a step was not done.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The cluster could not be reached, or failed.
    Passes(PluginError),
    /// The API server refused.
    Refused(PluginError),
    /// It stays so.
    Stays(PluginError),
}

/// What went wrong on the way to the cluster, or in it.
pub(super) fn trouble(what: impl Into<String>) -> impl FnOnce(kube::Error) -> Trouble {
    let what = what.into();
    move |error| {
        let refused =
            matches!(&error, kube::Error::Api(status) if [401, 403].contains(&status.code));
        let error = crate::failed(what)(error);
        match refused {
            true => Trouble::Refused(error),
            false => Trouble::Passes(error),
        }
    }
}

/// Pauses that grow while nothing goes well.
#[derive(Debug)]
pub(super) struct Patience {
    /// When something last went well; nothing before the first time.
    well: Option<Instant>,
    pause: Duration,
    /// Troubles since then. One alone is no word: a connection over which nothing came for a while is closed.
    troubles: u32,
}

impl Patience {
    pub(super) fn new() -> Self {
        Self {
            well: None,
            pause: PAUSES.0,
            troubles: 0,
        }
    }

    /// Something went well.
    pub(super) fn well(&mut self) {
        self.well = Some(Instant::now());
        self.pause = PAUSES.0;
        if std::mem::take(&mut self.troubles) > 1 {
            eprintln!("it goes on");
        }
    }

    /// Pauses before another try, or says that there is none.
    pub(super) async fn after(&mut self, trouble: Trouble) -> Result<(), PluginError> {
        let pause = self.next(trouble, Instant::now())?;
        sleep(pause).await;
        Ok(())
    }

    /// How long to pause. What never went well is not tried again: the names may be wrong.
    fn next(&mut self, trouble: Trouble, now: Instant) -> Result<Duration, PluginError> {
        let (error, bears) = match trouble {
            Trouble::Passes(error) => (error, GIVEN_UP),
            Trouble::Refused(error) => (error, REFUSED),
            Trouble::Stays(error) => return Err(error),
        };
        let again = self
            .well
            .is_some_and(|well| now.duration_since(well) < bears);
        if !again {
            return Err(error);
        }
        self.troubles += 1;
        if self.troubles == 2 {
            eprintln!("{error}\n  it is tried again for {} s", bears.as_secs());
        }
        let pause = self.pause;
        self.pause = (pause * 2).min(PAUSES.1);
        Ok(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut() -> Trouble {
        Trouble::Passes(PluginError::Config("it is cut".to_owned()))
    }

    fn refused() -> Trouble {
        Trouble::Refused(PluginError::Config("it is refused".to_owned()))
    }

    fn gone() -> Trouble {
        Trouble::Stays(PluginError::Config("it is gone".to_owned()))
    }

    #[test]
    fn what_never_went_well_is_not_tried_again() {
        let mut patience = Patience::new();
        assert!(patience.next(cut(), Instant::now()).is_err());
    }

    #[test]
    fn what_went_well_is_tried_again_ever_more_slowly_until_it_is_given_up() {
        let mut patience = Patience::new();
        patience.well();
        let now = Instant::now();
        let mut pause = || {
            patience
                .next(cut(), now)
                .map(|pause| pause.as_millis())
                .ok()
        };
        let pauses: Vec<_> = (0..7).map(|_| pause()).collect();
        let expected = [500, 1000, 2000, 4000, 8000, 10_000, 10_000];
        assert_eq!(pauses, expected.map(Some));
        assert!(patience.next(refused(), now).is_ok());
        assert!(patience.next(refused(), now + REFUSED).is_err());
        assert!(patience.next(cut(), now + REFUSED).is_ok());
        assert!(patience.next(gone(), now).is_err());
        assert!(patience.next(cut(), now + GIVEN_UP).is_err());
        patience.well();
        let pause = patience.next(cut(), Instant::now());
        assert_eq!(pause.ok(), Some(PAUSES.0));
    }
}
