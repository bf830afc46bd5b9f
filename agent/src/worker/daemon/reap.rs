//! What an earlier start of the agent left: its builds are killed, and gone, before anything is asked
//! of the gateway.

use super::DaemonError;
use crate::worker::{
    held::{Executor, Record},
    run::{Site, grace_of},
};

/// Kills what builds of an earlier start left, and removes their directories.
pub fn earlier(site: &Site) -> Result<(), DaemonError> {
    let orphans = |error: crate::worker::builder::Unclean| DaemonError::Orphans(error.to_string());
    let unfinished = |record: &Record| record.completion.is_none();
    for record in Record::all(&site.layout)
        .iter()
        .filter(|record| unfinished(record))
    {
        let executor = Executor::of(&site.layout, &record.id);
        site.builder
            .reap(executor, grace_of(site, record))
            .map_err(orphans)?;
    }
    // Also those whose record is gone: a state directory that was restored or half lost.
    for slot in 0..site.config.slots {
        site.builder.clean(&site.layout, slot).map_err(orphans)?;
    }
    Ok(())
}
