//! What one build costs at GitHub, for 1, 10 and 100 builders, with statuses and with check runs,
//! beside Prow. Counted by the forge; the gate's own reads come on top, and do not grow with builders.

use crds::ReportMode;
use serde::Serialize;
use tests::cluster::ControlPlane;
use tests::story::Calls;

use crate::Result;

/// Builders of a build.
const SIZES: [usize; 3] = [1, 10, 100];

/// All numbers.
#[derive(Debug, Default)]
pub struct Github {
    rows: Vec<Row>,
}

/// The calls of one build.
#[derive(Debug, Serialize)]
struct Row {
    builders: usize,
    mode: &'static str,
    rest_calls: usize,
    goal: usize,
    reached: bool,
    rest_points: u32,
    graphql_requests: usize,
    graphql_points: u32,
    connections: usize,
    rest: std::collections::BTreeMap<String, usize>,
    mutations: std::collections::BTreeMap<String, usize>,
    prow_rest_calls: usize,
}

impl Github {
    /// Runs each build and counts.
    pub async fn measure(plane: &ControlPlane, quick: bool) -> Result<Self> {
        let mut all = Self::default();
        println!("calls to GitHub a build, all builders green, besides the gate's:");
        println!("{}", header());
        for builders in SIZES.into_iter().filter(|size| !quick || *size <= 10) {
            for mode in [ReportMode::Statuses, ReportMode::Checks] {
                let name = format!("gh{builders}{}", word(mode));
                let calls = Calls::count(plane.access(), &name, builders, mode).await?;
                let row = Row::of(&calls);
                println!("{}", row.line());
                for (call, times) in row.rest.iter().chain(&row.mutations) {
                    println!("      {times:>4} × {call}");
                }
                all.rows.push(row);
            }
        }
        Ok(all)
    }

    /// Whether every goal was reached.
    pub fn all_reached(&self) -> bool {
        self.rows.iter().all(|row| row.reached)
    }

    /// The rows as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::to_value(&self.rows).unwrap_or_default()
    }
}

fn word(mode: ReportMode) -> &'static str {
    match mode {
        ReportMode::Checks => "checks",
        _ => "statuses",
    }
}

fn header() -> String {
    format!(
        "{:>8}  {:<8} {:>10} {:>6} {:>8} {:>11} {:>8} {:>8} {:>8} {:>10}",
        "builders",
        "told by",
        "REST calls",
        "goal",
        "",
        "REST points",
        "GraphQL",
        "points",
        "TCP",
        "Prow, REST"
    )
}

impl Row {
    fn of(calls: &Calls) -> Self {
        let usage = &calls.usage;
        Self {
            builders: calls.builders,
            mode: word(calls.mode),
            rest_calls: usage.rest_calls(),
            goal: calls.goal(),
            reached: usage.rest_calls() <= calls.goal(),
            rest_points: usage.rest_points,
            graphql_requests: usage.graphql,
            graphql_points: usage.graphql_points,
            connections: usage.connections,
            rest: usage.rest.clone(),
            mutations: usage.mutations.clone(),
            prow_rest_calls: calls.of_prow(),
        }
    }

    fn line(&self) -> String {
        let mark = if self.reached { "reached" } else { "MISSED" };
        format!(
            "{:>8}  {:<8} {:>10} {:>6} {mark:>8} {:>11} {:>8} {:>8} {:>8} {:>10}",
            self.builders,
            self.mode,
            self.rest_calls,
            format!("≤ {}", self.goal),
            self.rest_points,
            self.graphql_requests,
            self.graphql_points,
            self.connections,
            self.prow_rest_calls,
        )
    }
}
