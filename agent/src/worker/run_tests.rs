//! What the executors of a run say, put together.

use super::*;
use crate::testing::Scratch;

/// The report that is kept of several checkouts, each with its error.
fn kept(errors: &[Option<&str>]) -> CheckoutReport {
    let scratch = Scratch::new();
    let mut spool = Spool::new(scratch.root(), LogLimits::of(1 << 20)).unwrap();
    let mut heard = Heard::default();
    for (number, error) in errors.iter().enumerate() {
        let report = CheckoutReport {
            commit: number.to_string(),
            parents: Vec::new(),
            tree: String::new(),
            error: error.map(str::to_owned),
        };
        hear(Frame::Checkout(report), &mut spool, &mut heard).unwrap();
    }
    heard.checkout.unwrap()
}

#[test]
fn of_two_checkouts_the_agents_own_counts_unless_that_of_the_build_failed() {
    assert_eq!(kept(&[None, None]).commit, "0");
    let full = Some("the disk of the run is too small for the checkout");
    assert_eq!(kept(&[None, full]).error.as_deref(), full);
    assert_eq!(kept(&[full]).error.as_deref(), full);
}
