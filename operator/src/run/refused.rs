//! What follows when the API server refuses a run's Job, and when it does not.

use crds::BuilderRun;

use crate::context::Context;

/// A run whose Job the cluster refused, and for which no slot is written down, asks anew at its next
/// try: what it may do can change meanwhile. Where it does not begin by itself, admission comes by.
pub(crate) fn give_back(ctx: &Context, run: &BuilderRun, uid: &str) {
    let builder = ctx.cache.builders.get(&run.spec.task.builder);
    let has_slot = builder.is_some_and(|builder| builder.spec.max_concurrent.is_some());
    if !has_slot {
        ctx.live.update(uid, |live| live.granted = false);
    }
}

/// Whether the API server said that it did not do what was asked. After any other answer, or none, it
/// may be done.
pub(super) fn is_refusal(error: &kube::Error) -> bool {
    const REQUEST_TIMEOUT: u16 = 408;
    match error {
        kube::Error::Api(status) => {
            (400..500).contains(&status.code) && status.code != REQUEST_TIMEOUT
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_may_be_there_unless_the_api_server_refused_it() {
        let api = |code: u16| {
            let status = kube::core::Status::failure("no", "No").with_code(code);
            kube::Error::Api(Box::new(status))
        };
        for (code, refused) in [
            (403, true),
            (409, true),
            (422, true),
            (429, true),
            (408, false),
            (500, false),
            (503, false),
            (504, false),
        ] {
            assert_eq!(is_refusal(&api(code)), refused, "{code}");
        }
        let silence = std::io::Error::from(std::io::ErrorKind::TimedOut);
        assert!(!is_refusal(&kube::Error::Service(Box::new(silence))));
    }
}
