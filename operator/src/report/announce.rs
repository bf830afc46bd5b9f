//! The one comment that announces a build.
//!
//! It is posted once: its hidden marker holds the uid of the build, and whoever is not sure whether it
//! was posted looks for that first. Nobody is mentioned: who asked knows it.

use std::fmt::Write as _;

use crds::{Evidence, LeftOut, PrBuild, Request, TriggerKind};
use github::Repo;
use jiff::SignedDuration;
use kube::ResourceExt;

use super::{
    talk::{TalkError, while_doing},
    text::{code, inert, is_login, short_sha},
};

/// Builders that are listed openly; more are folded.
const OPEN_MOST: usize = 10;
/// Builders left out that are explained; of the rest the number is told.
const LEFT_OUT_MOST: usize = 20;
/// How far before the label it is looked for a comment that may have been posted. Both times are
/// GitHub's.
const LOOK_BACK: SignedDuration = SignedDuration::from_mins(1);

/// Announces a build on its pull request and answers with the id of the comment.
///
/// `builders` are the builders of the build as (object name, display name). `maybe_posted` says that
/// an earlier try may have been carried out: after a restart, and after an answer that was lost.
///
/// # Errors
/// A call that GitHub did not take. When it [is uncertain](TalkError::is_uncertain), the next try
/// has to say `maybe_posted`.
pub async fn announce(
    repo: &Repo,
    build: &PrBuild,
    builders: &[(String, String)],
    maybe_posted: bool,
) -> Result<i64, TalkError> {
    let request = &build.spec.request;
    let number = request.number;
    if maybe_posted {
        let since = request.trigger.time.0 - LOOK_BACK;
        let looking = while_doing("looking for the announcement on", repo, number);
        let comments = repo.comments_since(number, since).await.map_err(looking)?;
        let marker = marker(build);
        // The uid is not known to anybody before the comment stands; a later quotation is not it.
        let ours = comments
            .iter()
            .filter(|comment| comment.body.starts_with(&marker));
        if let Some(id) = ours.map(|comment| comment.id).min() {
            return Ok(id);
        }
    }
    let body = body(build, builders, repo.connection().git_url());
    let posting = while_doing("announcing the build on", repo, number);
    let comment = repo.create_comment(number, &body).await.map_err(posting)?;
    Ok(comment.value.id)
}

/// The hidden first line.
fn marker(build: &PrBuild) -> String {
    format!("<!-- prbuild:{} -->", build.uid().unwrap_or_default())
}

/// The text of the announcement; `web` is where commits can be looked at: `https://github.com`.
pub fn body(build: &PrBuild, builders: &[(String, String)], web: &str) -> String {
    let request = &build.spec.request;
    let mut out = marker(build);
    let _ = writeln!(out, "\n{}\n", summary(request, builders.len(), web));
    list_builders(&mut out, builders);
    list_left_out(&mut out, &request.left_out);
    let again = match request.trigger.kind {
        TriggerKind::Label => "add the label again",
        _ => "ask again",
    };
    let _ = writeln!(
        out,
        "Results appear as statuses of the commit; a green one is what the code of this pull request says of itself. \
         The machines are shared, and many are donated: {again} when another build is worth it."
    );
    let _ = write!(out, "\n<sub>{}</sub>\n", whole_shas(request));
    out
}

/// Who asked for what on which commit, in one paragraph.
fn summary(request: &Request, builders: usize, web: &str) -> String {
    let link = |sha: &str| {
        let (web, name) = (web.trim_end_matches('/'), &request.repository.full_name);
        format!("[`{}`]({web}/{name}/commit/{sha})", short_sha(sha))
    };
    let count = match builders {
        1 => "1 builder tests".to_owned(),
        many => format!("{many} builders test"),
    };
    let base = code(&request.base_ref, 255);
    let what = match &request.base_sha {
        Some(sha) => format!(
            "{} merged into {base} at {}",
            link(&request.head_sha),
            link(sha)
        ),
        None => format!("{} as it is, for {base}", link(&request.head_sha)),
    };
    let trigger = &request.trigger;
    let who = match trigger.user.login.as_str() {
        login if is_login(login) => format!("`{login}`"),
        login => code(login, 64),
    };
    let how = match (trigger.kind, &trigger.label) {
        (TriggerKind::Label, Some(label)) => format!(" with the label {}", code(label, 100)),
        (TriggerKind::Comment, _) if trigger.evidence == Evidence::ExactSha => {
            " by naming the commit".to_owned()
        }
        (TriggerKind::Comment, _) => " in a comment".to_owned(),
        _ => String::new(),
    };
    format!("**{count}** {what}, asked for by {who}{how}.")
}

fn list_builders(out: &mut String, builders: &[(String, String)]) {
    let names: Vec<String> = builders
        .iter()
        .map(|(_, display)| code(display, 80))
        .collect();
    let names = names.join(", ");
    let _ = match builders.len() {
        0 => Ok(()),
        many if many > OPEN_MOST => {
            writeln!(
                out,
                "<details><summary>The {many} builders</summary>\n\n{names}\n\n</details>\n"
            )
        }
        _ => writeln!(out, "{names}\n"),
    };
}

fn list_left_out(out: &mut String, left_out: &[LeftOut]) {
    if left_out.is_empty() {
        return;
    }
    let folded = left_out.len() > OPEN_MOST;
    let _ = if folded {
        writeln!(
            out,
            "<details><summary>{} builders are left out</summary>\n",
            left_out.len()
        )
    } else {
        writeln!(out, "Left out:\n")
    };
    for left in left_out.iter().take(LEFT_OUT_MOST) {
        let _ = writeln!(
            out,
            "- {}: {}",
            code(&left.builder, 40),
            inert(&left.reason, 300)
        );
    }
    if left_out.len() > LEFT_OUT_MOST {
        let _ = writeln!(out, "- and {} more", left_out.len() - LEFT_OUT_MOST);
    }
    out.push_str(if folded { "\n</details>\n\n" } else { "\n" });
}

/// The commits in full, for whoever copies them.
fn whole_shas(request: &Request) -> String {
    let mut line = format!("commit `{}`", request.head_sha);
    for (name, sha) in [("base", &request.base_sha), ("merge", &request.merge_sha)] {
        if let Some(sha) = sha {
            let _ = write!(line, " · {name} `{sha}`");
        }
    }
    line
}

#[cfg(test)]
#[path = "announce_tests.rs"]
mod tests;
