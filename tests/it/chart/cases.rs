//! What happens to an install, minute by minute, and which alerts fire then. Pure data.

/// Labels of an alert that fires, beside those that its rule gives it, and what it says.
type Fires = (&'static [(&'static str, &'static str)], &'static str);

/// One thing that happens.
pub(super) struct Case {
    /// In words.
    pub name: &'static str,
    /// The alert that is looked at.
    pub alert: &'static str,
    /// Series with their values of each minute, as promtool writes them: `0+1x9` are ten values that grow by one.
    /// `HERE` is the install's own namespace.
    pub series: &'static [(&'static str, &'static str)],
    /// The minute at which it is looked at.
    pub minute: u32,
    /// What fires then.
    pub fires: &'static [Fires],
}

const NO_LEADER: &[Fires] = &[(
    &[],
    "No operator leads; labels are taken, and nothing builds",
)];
const NO_DELIVERIES: &[Fires] = &[(
    &[],
    "GitHub's deliveries do not arrive; labels are found by the sweep, minutes later",
)];
const UNSIGNED: &[Fires] = &[(
    &[],
    "Deliveries are not signed with a secret that is known here, or say what GitHub does not",
)];
const STORE_FAILS: &[Fires] = &[(
    &[],
    "The gateway cannot store logs; senders keep what they can",
)];

const FOUND: &str = "prbuild_webhook_sweep_found_total{HERE}";
const BUILT: &str = "prbuild_webhook_deliveries_total{HERE,outcome=\"build\"}";
const PINGS: &str = "prbuild_webhook_deliveries_total{HERE,outcome=\"ping\"}";
const STRANGERS: &str = "prbuild_webhook_deliveries_total{HERE,outcome=\"unsigned\"}";
const LIES: &str = "prbuild_webhook_alerts_total{HERE,kind=\"actor_mismatch\"}";
const LEFT: &str = "prbuild_github_budget_remaining{HERE,connection=\"app\",pod=\"a\"}";
const ALLOWED: &str = "prbuild_github_budget_limit{HERE,connection=\"app\",pod=\"a\"}";
const WAITING: &str = "prbuild_github_statuses_waiting{HERE,connection=\"app\"}";
const DEBIAN_OLDEST: &str = "prbuild_oldest_waiting_seconds{HERE,builder=\"debian\"}";
const FEDORA_OLDEST: &str = "prbuild_oldest_waiting_seconds{HERE,builder=\"fedora\"}";
const DEBIAN_ERRORS: &str = "prbuild_runs_ended_total{HERE,builder=\"debian\",result=\"error\"}";
const DEBIAN_PASSES: &str = "prbuild_runs_ended_total{HERE,builder=\"debian\",result=\"passed\"}";
const FEDORA_FAILS: &str = "prbuild_runs_ended_total{HERE,builder=\"fedora\",result=\"failed\"}";
const STORE_ERRORS: &str = "prbuild_gateway_store_errors_total{HERE,operation=\"write\"}";
const UNSTORED: &str = "prbuild_gateway_unstored_bytes{HERE}";
const PI: &str = "prbuild_worker_offline_seconds{HERE,worker=\"pi\"}";

const fn case(
    alert: &'static str,
    name: &'static str,
    series: &'static [(&'static str, &'static str)],
    minute: u32,
    fires: &'static [Fires],
) -> Case {
    Case {
        name,
        alert,
        series,
        minute,
        fires,
    }
}

/// All of them.
pub(super) const CASES: [Case; 27] = [
    case(
        "PrBuildNoLeader",
        "two operators wait",
        &[
            ("prbuild_leader{HERE,pod=\"a\"}", "0x10"),
            ("prbuild_leader{HERE,pod=\"b\"}", "0x10"),
        ],
        5,
        NO_LEADER,
    ),
    case(
        "PrBuildNoLeader",
        "there is no operator at all",
        &[("up{HERE}", "0x10")],
        5,
        NO_LEADER,
    ),
    case(
        "PrBuildNoLeader",
        "the operator of another install leads",
        &[("prbuild_leader{namespace=\"staging\"}", "1x10")],
        5,
        NO_LEADER,
    ),
    case(
        "PrBuildNoLeader",
        "one operator leads and one waits",
        &[
            ("prbuild_leader{HERE,pod=\"a\"}", "1x10"),
            ("prbuild_leader{HERE,pod=\"b\"}", "0x10"),
        ],
        5,
        &[],
    ),
    case(
        "PrBuildNoLeader",
        "a leader hands over within a minute",
        &[
            ("prbuild_leader{HERE,pod=\"a\"}", "1x3 0x10"),
            ("prbuild_leader{HERE,pod=\"b\"}", "0x4 1x9"),
        ],
        4,
        &[],
    ),
    case(
        "PrBuildNoDeliveries",
        "the sweep finds every label, and GitHub tells of nothing but itself",
        &[(FOUND, "0+1x120"), (PINGS, "0+1x120")],
        90,
        NO_DELIVERIES,
    ),
    case(
        "PrBuildNoDeliveries",
        "deliveries arrive, and the sweep finds labels, too",
        &[(FOUND, "0+1x120"), (BUILT, "0+1x120")],
        90,
        &[],
    ),
    case(
        "PrBuildNoDeliveries",
        "two labels in an hour come without a delivery",
        &[(FOUND, "0x5 1x5 2x110")],
        60,
        &[],
    ),
    case(
        "PrBuildUnsignedDeliveries",
        "strangers try all the time",
        &[(STRANGERS, "0+2x30")],
        20,
        UNSIGNED,
    ),
    case(
        "PrBuildUnsignedDeliveries",
        "somebody knows the secret and lies once",
        &[(LIES, "0x10 1x20")],
        15,
        UNSIGNED,
    ),
    case(
        "PrBuildUnsignedDeliveries",
        "strangers try a few times",
        &[(STRANGERS, "0+0.5x30"), (LIES, "0x30")],
        20,
        &[],
    ),
    case(
        "PrBuildGithubBudgetLow",
        "a twelfth of the requests is left",
        &[(LEFT, "400x30"), (ALLOWED, "5000x30")],
        15,
        &[(
            &[("connection", "app")],
            "Connection app has used nine tenths of the requests that GitHub allows an hour",
        )],
    ),
    case(
        "PrBuildGithubBudgetLow",
        "most of the requests are left",
        &[(LEFT, "4000x30"), (ALLOWED, "5000x30")],
        15,
        &[],
    ),
    case(
        "PrBuildGithubBudgetLow",
        "nobody knows yet how many requests there are",
        &[(LEFT, "0x30"), (ALLOWED, "0x30")],
        15,
        &[],
    ),
    case(
        "PrBuildStatusesWait",
        "GitHub takes no status",
        &[(WAITING, "3x40")],
        30,
        &[(
            &[("connection", "app")],
            "GitHub does not take the results of connection app",
        )],
    ),
    case(
        "PrBuildStatusesWait",
        "GitHub takes all that waits now and then",
        &[(WAITING, "3x10 0x1 3x30")],
        20,
        &[],
    ),
    case(
        "PrBuildQueueOld",
        "a run of one builder waits for two hours",
        &[(DEBIAN_OLDEST, "7260x30"), (FEDORA_OLDEST, "10x30")],
        15,
        &[(
            &[("builder", "debian")],
            "A run has waited for 2h 1m 0s for builder debian",
        )],
    ),
    case(
        "PrBuildQueueOld",
        "runs wait for an hour",
        &[(DEBIAN_OLDEST, "3600x30"), (FEDORA_OLDEST, "3600x30")],
        15,
        &[],
    ),
    case(
        "PrBuildErrors",
        "two of three runs of one builder end in error, and the code of the other fails",
        &[
            (DEBIAN_ERRORS, "0+1x120"),
            (DEBIAN_PASSES, "0+0.5x120"),
            (FEDORA_FAILS, "0+5x120"),
        ],
        90,
        &[(
            &[("builder", "debian")],
            "Most runs of builder debian end in error, which is ours and not the code's",
        )],
    ),
    case(
        "PrBuildErrors",
        "one of three runs ends in error",
        &[(DEBIAN_ERRORS, "0+1x120"), (DEBIAN_PASSES, "0+2x120")],
        90,
        &[],
    ),
    case(
        "PrBuildErrors",
        "all of three runs in an hour end in error",
        &[(DEBIAN_ERRORS, "0x5 1x5 2x5 3x100")],
        60,
        &[],
    ),
    case(
        "PrBuildStoreFails",
        "the store fails once a minute",
        &[(STORE_ERRORS, "0+1x40")],
        30,
        STORE_FAILS,
    ),
    case(
        "PrBuildStoreFails",
        "very much waits to be stored",
        &[(UNSTORED, "50000000x30")],
        15,
        STORE_FAILS,
    ),
    case(
        "PrBuildStoreFails",
        "the store fails now and then",
        &[(STORE_ERRORS, "0+0.3x40"), (UNSTORED, "1000000x40")],
        30,
        &[],
    ),
    case(
        "PrBuildWorkerOffline",
        "a worker is away for more than an hour",
        &[(PI, "0x10 4000x30")],
        25,
        &[(
            &[("worker", "pi")],
            "Worker pi has been off-line for an hour and more",
        )],
    ),
    case(
        "PrBuildWorkerOffline",
        "a worker is away for half an hour",
        &[(PI, "1800x40")],
        30,
        &[],
    ),
    case(
        "PrBuildWorkerOffline",
        "a worker that was away for long is back",
        &[(PI, "4000x15 0x20")],
        20,
        &[],
    ),
];
