//! How fast GitHub lets one credential write. Pure.
//!
//! github.com allows 900 points a minute, of which a write of REST takes five, and besides 80 texts a
//! minute and 500 an hour; see "Rate limits for the REST API" in its documentation. Some of it is
//! left to the gate, which reads with the same credential. Bursts are fine, so ten builders never
//! wait. A server that names no limit in its answers has none: an Enterprise Server, by default.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// Points a minute that are spent here; the gate has the other 60.
const POINTS: u32 = 840;
/// Points of a write.
const WRITE: u32 = 5;
/// Texts a minute, and an hour.
const TEXTS: (u32, u32) = (75, 480);
/// Texts of an hour that may be answers: builds keep the others.
const ANSWERS: u32 = 240;
/// Reactions an hour. GitHub does not count them as texts.
const REACTIONS: u32 = 120;

/// What a request costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cost {
    /// A commit status or check run.
    Status,
    /// A comment that is edited, by REST.
    Edit,
    /// A comment that is written, by GraphQL, whose points are another budget.
    Comment,
    /// A label that comes off, by GraphQL.
    Label,
    /// An answer to an event that makes no build, by REST.
    Answer,
    /// A reaction on a comment.
    Reaction,
}

/// What was spent lately.
#[derive(Debug)]
pub struct Pace {
    /// GitHub's answers name a limit.
    limited: bool,
    points: Window,
    texts_a_minute: Window,
    texts_an_hour: Window,
    answers_an_hour: Window,
    reactions_an_hour: Window,
}

impl Default for Pace {
    fn default() -> Self {
        let minute = Duration::from_secs(60);
        Self {
            limited: false,
            points: Window::new(minute, POINTS),
            texts_a_minute: Window::new(minute, TEXTS.0),
            texts_an_hour: Window::new(minute * 60, TEXTS.1),
            answers_an_hour: Window::new(minute * 60, ANSWERS),
            reactions_an_hour: Window::new(minute * 60, REACTIONS),
        }
    }
}

impl Pace {
    /// Learns whether there are limits at all.
    pub fn limited(&mut self, limited: bool) {
        self.limited = limited;
    }

    /// When a request may be sent; none: now.
    pub fn opens(&mut self, now: Instant, cost: Cost) -> Option<Instant> {
        if !self.limited {
            return None;
        }
        self.windows(cost)
            .into_iter()
            .map(|(window, amount)| window.opens(now, amount))
            .max()
            .flatten()
    }

    /// Counts a request that is sent.
    pub fn spend(&mut self, now: Instant, cost: Cost) {
        if self.limited {
            for (window, amount) in self.windows(cost) {
                window.spend(now, amount);
            }
        }
    }

    /// What a request takes of what.
    fn windows(&mut self, cost: Cost) -> [(&mut Window, u32); 5] {
        [
            (&mut self.points, points(cost)),
            (&mut self.texts_a_minute, texts(cost)),
            (&mut self.texts_an_hour, texts(cost)),
            (&mut self.answers_an_hour, u32::from(cost == Cost::Answer)),
            (
                &mut self.reactions_an_hour,
                u32::from(cost == Cost::Reaction),
            ),
        ]
    }
}

fn points(cost: Cost) -> u32 {
    match cost {
        Cost::Status | Cost::Edit | Cost::Answer | Cost::Reaction => WRITE,
        Cost::Comment | Cost::Label => 0,
    }
}

fn texts(cost: Cost) -> u32 {
    match cost {
        Cost::Status | Cost::Label | Cost::Reaction => 0,
        Cost::Edit | Cost::Comment | Cost::Answer => 1,
    }
}

/// So much in so long.
#[derive(Debug)]
struct Window {
    length: Duration,
    most: u32,
    spent: VecDeque<(Instant, u32)>,
    sum: u32,
}

impl Window {
    fn new(length: Duration, most: u32) -> Self {
        Self {
            length,
            most,
            spent: VecDeque::new(),
            sum: 0,
        }
    }

    fn opens(&mut self, now: Instant, cost: u32) -> Option<Instant> {
        while let Some((at, old)) = self.spent.front().copied()
            && at + self.length <= now
        {
            self.spent.pop_front();
            self.sum -= old;
        }
        let mut over = (self.sum + cost).saturating_sub(self.most);
        let mut opens = None;
        for (at, old) in &self.spent {
            if over == 0 || cost == 0 {
                break;
            }
            over = over.saturating_sub(*old);
            opens = Some(*at + self.length);
        }
        opens
    }

    fn spend(&mut self, now: Instant, cost: u32) {
        if cost > 0 {
            self.spent.push_back((now, cost));
            self.sum += cost;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace() -> Pace {
        let mut pace = Pace::default();
        pace.limited(true);
        pace
    }

    /// Sends as much as goes at once.
    fn burst(pace: &mut Pace, now: Instant, cost: Cost) -> u32 {
        let mut sent = 0;
        while pace.opens(now, cost).is_none() && sent < 10_000 {
            pace.spend(now, cost);
            sent += 1;
        }
        sent
    }

    #[test]
    fn no_minute_has_more_than_900_points_and_80_texts() {
        let (mut pace, start) = (pace(), Instant::now());
        let statuses = burst(&mut pace, start, Cost::Status);
        assert_eq!(statuses, 168);
        let texts = burst(&mut pace, start, Cost::Comment);
        assert_eq!(texts, 75);
        assert_eq!(
            pace.opens(start, Cost::Status),
            Some(start + Duration::from_secs(60))
        );
        let later = start + Duration::from_secs(60);
        assert_eq!(burst(&mut pace, later, Cost::Status), 168);
    }

    #[test]
    fn an_hour_has_less_than_500_texts() {
        let (mut pace, start) = (pace(), Instant::now());
        let minutes = (0..59).map(|minute| start + Duration::from_secs(60 * minute));
        let sent: u32 = minutes
            .map(|now| burst(&mut pace, now, Cost::Comment))
            .sum();
        assert_eq!(sent, 480);
    }

    #[test]
    fn answers_and_reactions_leave_half_of_the_texts_to_builds() {
        let (mut pace, start) = (pace(), Instant::now());
        let mut sent = |cost| -> u32 {
            let minutes = (0..59).map(|minute| start + Duration::from_secs(60 * minute));
            minutes.map(|now| burst(&mut pace, now, cost)).sum()
        };
        assert_eq!(sent(Cost::Answer), 240);
        assert_eq!(sent(Cost::Reaction), 120);
        assert_eq!(sent(Cost::Comment), 240);
    }

    #[test]
    fn what_was_spent_frees_itself_bit_by_bit() {
        let (mut pace, start) = (pace(), Instant::now());
        pace.spend(start, Cost::Edit);
        let second = Duration::from_secs(1);
        while pace.opens(start + second, Cost::Status).is_none() {
            pace.spend(start + second, Cost::Status);
        }
        let minute = Duration::from_secs(60);
        assert_eq!(
            pace.opens(start + second, Cost::Status),
            Some(start + minute)
        );
        pace.spend(start + minute, Cost::Status);
        assert_eq!(
            pace.opens(start + minute, Cost::Status),
            Some(start + second + minute)
        );
    }

    #[test]
    fn a_server_without_limits_is_not_paced() {
        let mut pace = Pace::default();
        assert_eq!(burst(&mut pace, Instant::now(), Cost::Status), 10_000);
    }
}
