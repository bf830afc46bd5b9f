//! What tests and checks need beside a cluster: descriptions, a browser, a bucket, checkers, compilers.
//! Pure data.

use super::cluster::PROMETHEUS;
use super::{GoCommand, Need, Part, Recipe, debian};
use crate::parts::version::{Fit, Version};

/// Fetches GitHub's published descriptions of its API.
pub const NPM: Part = Part {
    needed_for: Need::Descriptions,
    expected_seconds: 60,
    ..debian(
        "npm",
        Fit::From(Version::new(7, 0, 0)),
        "npm",
        "/usr/bin/npm",
        &["--version"],
    )
};

/// Shows the pages.
pub const CHROMIUM: Part = Part {
    needed_for: Need::Browser,
    expected_seconds: 60,
    ..debian(
        "chromium",
        Fit::From(Version::new(120, 0, 0)),
        "chromium",
        "/usr/bin/chromium",
        &["--version"],
    )
};

/// Drives it.
pub const CHROMEDRIVER: Part = Part {
    needed_for: Need::Browser,
    ..debian(
        "chromedriver",
        Fit::From(Version::new(120, 0, 0)),
        "chromium-driver",
        "/usr/bin/chromedriver",
        &["--version"],
    )
};

/// A server of S3 on a directory, which the gateway's store is tested on.
pub const VERSITYGW: Part = Part {
    name: "versitygw",
    version: "1.8.0",
    fit: Fit::SameMajorFrom(Version::new(1, 5, 0)),
    version_args: &["--version"],
    needed_for: Need::Bucket,
    linked_statically: false,
    recipe: Recipe::GoInstall(GoCommand::new(
        "github.com/versity/versitygw/cmd/versitygw",
        "main.Version",
    )),
    expected_seconds: 150,
};

/// Checks licences, duplicate and banned crates.
pub const CARGO_DENY: Part = Part {
    name: "cargo-deny",
    version: "0.20.2",
    fit: Fit::From(Version::new(0, 18, 0)),
    version_args: &["--version"],
    needed_for: Need::Checks,
    linked_statically: false,
    recipe: Recipe::Cargo,
    expected_seconds: 161,
};

const fn checker(
    name: &'static str,
    version: &'static str,
    version_args: &'static [&'static str],
    package: &'static str,
    version_variable: &'static str,
) -> Part {
    Part {
        name,
        version,
        fit: Fit::Any,
        version_args,
        needed_for: Need::Checks,
        linked_statically: false,
        recipe: Recipe::GoInstall(GoCommand::new(package, version_variable)),
        expected_seconds: 40,
    }
}

/// Looks for what is unsafe or fragile in manifests.
pub const KUBE_SCORE: Part = checker(
    "kube-score",
    "1.20.0",
    &["version"],
    "github.com/zegl/kube-score/cmd/kube-score",
    "main.version",
);

/// Holds manifests against the schemas of their kinds.
pub const KUBECONFORM: Part = checker(
    "kubeconform",
    "0.8.0",
    &["-v"],
    "github.com/yannh/kubeconform/cmd/kubeconform",
    "main.version",
);

/// Evaluates alerts as Prometheus does. Its ways to find what it watches, which are most of it, are left out.
pub const PROMTOOL: Part = Part {
    name: "promtool",
    version: PROMETHEUS,
    fit: Fit::Any,
    version_args: &["--version"],
    needed_for: Need::Checks,
    linked_statically: false,
    recipe: Recipe::GoModule(GoCommand {
        tags: "remove_all_sd",
        ..GoCommand::new(
            "github.com/prometheus/prometheus/cmd/promtool",
            "github.com/prometheus/common/version.Version",
        )
    }),
    expected_seconds: 60,
};

/// Runs scripts in Lua as Argo CD does, which has the same interpreter within itself. Each of its versions calls
/// itself 0.1.
pub const GLUA: Part = Part {
    expected_seconds: 10,
    ..checker(
        "glua",
        "1.1.2",
        &["-v"],
        "github.com/yuin/gopher-lua/cmd/glua",
        "main.version",
    )
};

/// Pushes images to registries, and is a small registry itself.
pub const CRANE: Part = checker(
    "crane",
    "0.22.1",
    &["version"],
    "github.com/google/go-containerregistry/cmd/crane",
    "github.com/google/go-containerregistry/cmd/crane/cmd.Version",
);

/// Compiles the C code of an agent for 64-bit ARM. One without its C library's headers, which is all that
/// Debian's package brings by itself, does not fit.
pub const GCC_AARCH64: Part = Part {
    needed_for: Need::Checks,
    expected_seconds: 30,
    ..debian(
        "aarch64-linux-gnu-gcc",
        Fit::Any,
        "gcc-aarch64-linux-gnu libc6-dev-arm64-cross",
        "/usr/bin/aarch64-linux-gnu-gcc",
        &["-E", "-include", "stdint.h", "-x", "c", "/dev/null"],
    )
};

/// Compiles the C code of an agent for Windows.
pub const GCC_WINDOWS: Part = Part {
    needed_for: Need::Checks,
    expected_seconds: 60,
    ..debian(
        "x86_64-w64-mingw32-gcc",
        Fit::Any,
        "gcc-mingw-w64-x86-64",
        "/usr/bin/x86_64-w64-mingw32-gcc",
        &["--version"],
    )
};
