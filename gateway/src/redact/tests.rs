//! Tokens of each shape, wherever the text is cut.

use super::*;

/// A token of each shape, and what becomes of it. None is or was anybody's.
fn tokens() -> Vec<(String, String)> {
    let run = |word: &str, char: &str, n: usize| {
        (
            format!("{word}{}", char.repeat(n)),
            format!("{word}{}", "*".repeat(n * char.len())),
        )
    };
    let jwt = |parts: &[usize]| {
        let with = |fill: &str| {
            let parts: Vec<_> = parts.iter().map(|n| fill.repeat(*n)).collect();
            format!("eyJ{}", parts.join("."))
        };
        (with("a"), with("*"))
    };
    let key = |kind: &str, lines: usize| {
        let with = |line: &str| {
            format!(
                "-----BEGIN {kind}PRIVATE KEY-----\n{}-----END {kind}PRIVATE KEY-----",
                format!("{line}\n").repeat(lines)
            )
        };
        (with(&"Mi/E+c2=".repeat(8)), with(&"*".repeat(64)))
    };
    let secret = |before: &str| {
        (
            format!("{before}{}", "wJal/+r9".repeat(5)),
            format!("{before}{}", "*".repeat(40)),
        )
    };
    vec![
        run("ghp_", "a", 36),
        run("gho_", "Z", 36),
        run("ghu_", "9", 40),
        run("ghr_", "a", 255),
        run("ghs_", "a", 36),
        run("ghs_123_eyJ", "a.b-", 100),
        run("github_pat_", "a_", 41),
        run("AKIA", "Q", 16),
        run("ASIA", "7", 16),
        run("xoxb-", "1-", 12),
        run("xoxp-", "a", 10),
        run("xapp-", "A-", 20),
        run("glpat-", "a-_b", 5),
        run("npm_", "Q", 36),
        run("pypi-", "AgEI", 45),
        jwt(&[20, 200, 43]),
        jwt(&[120, 86]),
        jwt(&[900, 3000, 300]),
        key("", 3),
        key("RSA ", 50),
        key("OPENSSH ", 10),
        secret("aws_secret_access_key = "),
        secret("AWS_SECRET_ACCESS_KEY="),
        secret("\"SecretAccessKey\": \""),
    ]
    .into_iter()
    .map(|(raw, seen)| match raw.strip_prefix("ghs_123_eyJ") {
        // The words between are characters of the token, too.
        Some(rest) => (raw.clone(), format!("ghs_{}", "*".repeat(rest.len() + 7))),
        None => (raw, seen),
    })
    .collect()
}

/// What is seen of a text that comes in these pieces; what may be shown early never differs from it.
fn seen(text: &str, cuts: &[usize]) -> String {
    let (mut done, mut open, mut early) = (Vec::new(), Vec::new(), Vec::<u8>::new());
    let bounds: Vec<_> = [0]
        .iter()
        .chain(cuts)
        .chain([&text.len()])
        .copied()
        .collect();
    for pair in bounds.windows(2) {
        open.extend_from_slice(&text.as_bytes()[pair[0]..pair[1]]);
        let ended = pair[1] == text.len();
        let reach = redact(&mut open, ended);
        assert!(reach.settled <= reach.shown && reach.shown <= open.len());
        assert!(
            open.len() - reach.shown <= 1024,
            "{} held back",
            open.len() - reach.shown
        );
        assert!(reach.shown - reach.settled <= KEY_LIMIT + 16);
        let now: Vec<u8> = done.iter().chain(&open[..reach.shown]).copied().collect();
        assert!(now.starts_with(&early), "what was shown has changed");
        early = now;
        done.extend(open.drain(..reach.settled));
    }
    assert!(open.is_empty());
    String::from_utf8(done).unwrap()
}

#[test]
fn a_token_of_each_shape_is_illegible_and_what_is_around_it_stays() {
    for (token, expected) in tokens() {
        for (before, after) in [
            ("", ""),
            ("token: ", "\nnext"),
            ("\"", "\"}"),
            ("ghp", " eyJ"),
        ] {
            let text = format!("{before}{token}{after}");
            assert_eq!(seen(&text, &[]), format!("{before}{expected}{after}"));
        }
    }
}

#[test]
fn where_a_token_is_cut_makes_no_difference() {
    for (token, expected) in tokens() {
        let text = format!("a {token} b\n");
        let expected = format!("a {expected} b\n");
        for cut in (0..text.len()).step_by(1 + text.len() / 300) {
            assert_eq!(seen(&text, &[cut]), expected, "cut at {cut}");
            let second = cut + (text.len() - cut) / 2;
            assert_eq!(
                seen(&text, &[cut, second]),
                expected,
                "cut at {cut} and {second}"
            );
        }
        if text.len() < 1000 {
            let each: Vec<_> = (1..text.len()).collect();
            assert_eq!(seen(&text, &each), expected);
        }
    }
}

#[test]
fn random_text_made_of_parts_of_tokens_is_the_same_however_it_is_cut() {
    let parts = [
        "ghp_",
        "eyJ",
        ".",
        "-----BEGIN ",
        "RSA PRIVATE KEY-----",
        "-----END",
        "-----",
        "AKIA",
        "aaaaaaaaaaaa",
        "\n",
        "*",
        "ABCDEFGH",
        "npm_",
        "=",
        " ",
        "aws_secret_access_key",
        "xox",
        "b-",
        "123456789012345678",
    ];
    let mut state = 7_u64;
    let mut random = move |below: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    for _ in 0..400 {
        let text: String = (0..random(120))
            .map(|_| parts[random(parts.len())])
            .collect();
        let whole = seen(&text, &[]);
        let mut cuts: Vec<_> = (0..random(12)).map(|_| random(text.len() + 1)).collect();
        cuts.sort_unstable();
        assert_eq!(seen(&text, &cuts), whole, "{text:?} cut at {cuts:?}");
    }
}

#[test]
fn what_only_looks_a_little_like_a_token_stays() {
    for text in [
        "ghp_short",
        "the prefix ghp_ and more words",
        "eyJhbGciOi",
        "eyJhbGciOiJIUzI1NiJ9 alone",
        "eyJhbGciOiJIUzI1NiJ9.short.x",
        "AKIAlowercase0000000",
        "-----BEGIN CERTIFICATE-----\nMIIE\n-----END CERTIFICATE-----",
        "-----BEGIN \n",
        "npm_config_cache=/root/.npm",
        "aws_secret_access_key is not set",
        "xoxb-",
        "PyPI: pypi-attestations 0.0.1",
    ] {
        assert_eq!(seen(text, &[]), text);
    }
}

#[test]
fn a_key_that_never_ends_hides_no_more_than_a_key_may_have() {
    let text = format!("-----BEGIN PRIVATE KEY-----\n{}", "a".repeat(3 * KEY_LIMIT));
    let seen = seen(&text, &[100, 2000, KEY_LIMIT]);
    assert_eq!(seen.len(), text.len());
    assert!(seen.bytes().filter(|byte| *byte == b'*').count() <= KEY_LIMIT);
}

#[test]
fn text_full_of_beginnings_is_looked_at_once() {
    let mut text = "eyJ".repeat(1 << 18).into_bytes();
    let began = std::time::Instant::now();
    redact(&mut text, true);
    // Unoptimized, on a slow machine: a look at each of 262,144 heads would take minutes.
    assert!(began.elapsed() < std::time::Duration::from_secs(20));
}

#[test]
fn a_key_in_json_stays_json() {
    let key = "-----BEGIN PRIVATE KEY-----\nMIIEabc\u{1b}0041\n-----END PRIVATE KEY-----\n";
    let line = serde_json::json!({ "text": key }).to_string();
    let seen = seen(&line, &[20, 40, line.len() - 3]);
    let read: serde_json::Value = serde_json::from_str(&seen).unwrap();
    let text = read["text"].as_str().unwrap();
    assert!(
        !text.contains("MIIE") && text.contains("-----END PRIVATE KEY-----\n"),
        "{text}"
    );
}

#[test]
fn of_lines_each_stands_for_itself_and_the_last_one_waits_for_its_end() {
    let begin = "{\"text\":\"-----BEGIN PRIVATE KEY-----\\nMIIE\"}\n";
    let next = "{\"mark\":\"step\",\"name\":\"Test\"}\n";
    let text = format!("{begin}{next}{{\"name\":\"gh");
    let mut bytes = text.clone().into_bytes();
    let reach = redact_lines(&mut bytes, false);
    assert_eq!(
        (reach.shown, reach.settled),
        (begin.len() + next.len(), begin.len() + next.len())
    );
    let seen = String::from_utf8(bytes).unwrap();
    assert_eq!(seen, text.replace("MIIE", "****"));
    let mut long = vec![b'x'; MARK_LINE_LIMIT + 10];
    assert_eq!(redact_lines(&mut long, false).settled, MARK_LINE_LIMIT);
    assert_eq!(redact_lines(&mut long, true).settled, MARK_LINE_LIMIT + 10);
}
