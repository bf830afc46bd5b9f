//! The wordings that come with PrBuild, as templates.

use std::borrow::Cow;

use crds::{Preset, Trigger};

/// PrBuild's own.
const DEFAULT: &str = "{summary}";

/// What CPython's buildbot writes for a label.
const CPYTHON_LABEL: &str = "\
:robot: New build scheduled with the buildbot fleet by @{user} for commit {sha} :robot:

Results will be shown at:

{results_url}

If you want to schedule another build, you need to add the <kbd>{label}</kbd> label again.

{totals}";

/// What it writes for `!buildbot <regex>`.
const CPYTHON_PATTERN: &str = "\
:robot: New build scheduled with the buildbot fleet by @{user} for commit {sha} :robot:

Results will be shown at:

{results_url}

The command will test the builders whose names match following regular expression: <code>{pattern}</code>

The builders matched are:

{table}";

/// What it would write for what it does not know.
const CPYTHON_OTHER: &str = "\
:robot: New build scheduled with the buildbot fleet by @{user} for commit {sha} :robot:

Results will be shown at:

{results_url}

If you want to schedule another build, you need to ask again.

{totals}";

/// What it writes for a builder that failed.
const CPYTHON_FAILED: &str = "\
:warning::warning::warning: Buildbot failure :warning::warning::warning:

Hi! The buildbot **{failed}** has failed when building commit {sha}.

What do you need to do:

1. Don't panic.
2. Check [the buildbot page in the devguide](https://devguide.python.org/buildbots/) if you don't know what the buildbots are or how they work.
3. Go to the page of the buildbot that failed and take a look at the build logs.
4. Check if the failure is related to this commit ({sha}) or if it is a false positive.
5. If the failure is related to this commit, please, reflect that on the issue and push a fix to this pull request.

{next}";

/// How a comment begins. `is_pattern`: a regular expression over builders asked.
pub fn announcement(preset: Preset, trigger: &Trigger, is_pattern: bool) -> &'static str {
    match preset {
        Preset::Default | Preset::Unknown => DEFAULT,
        Preset::Cpython if is_pattern => CPYTHON_PATTERN,
        Preset::Cpython if trigger.label.is_some() => CPYTHON_LABEL,
        Preset::Cpython => CPYTHON_OTHER,
    }
}

/// How it ends once all builders are done, so many of them failed.
pub fn result(preset: Preset, failed: usize) -> Cow<'static, str> {
    match (preset, failed) {
        (Preset::Cpython, 1) => CPYTHON_FAILED.into(),
        (Preset::Cpython, 2..) => {
            let (one, many) = ("buildbot **{failed}** has", "buildbots {failed} have");
            CPYTHON_FAILED.replacen(one, many, 1).into()
        }
        _ => "{next}".into(),
    }
}
