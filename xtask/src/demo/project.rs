//! The project of the demo: roman numerals in C, with a test-suite, and a change to them.

use protocol::Step;

/// The project as it stands on `main`.
pub const BEFORE: &[(&str, &str)] = &[
    ("Makefile", MAKEFILE),
    ("roman.h", "const char *roman(int number);\n"),
    ("roman.c", OLD_ROMAN),
    ("test_roman.c", OLD_TESTS),
];

/// What the pull request changes.
pub const CHANGE: &[(&str, &str)] = &[("roman.c", NEW_ROMAN), ("test_roman.c", NEW_TESTS)];

/// Steps of a builder; `options` are for make.
pub fn steps(options: &str) -> Vec<Step> {
    let step = |name: &str, run: String| Step {
        name: Some(name.to_owned()),
        run,
        ..Step::default()
    };
    vec![
        step("compile", format!("make {options}")),
        step("test", format!("make test {options}")),
        Step {
            run_if: Some(protocol::RunIf::Always),
            ..step(
                "say what was built",
                "echo \"$GITHUB_REPOSITORY $GITHUB_REF at $GITHUB_SHA\"".to_owned(),
            )
        },
    ]
}

/// The same for a machine that has a compiler and no make.
pub fn steps_without_make() -> Vec<Step> {
    let mut steps = steps("");
    steps[0].run = "cc -Wall -Werror -o test_roman test_roman.c roman.c".to_owned();
    steps[1].run = "./test_roman".to_owned();
    steps
}

const MAKEFILE: &str = "\
CFLAGS = -Wall -Werror $(if $(STRICT),-DSTRICT)

test_roman: test_roman.c roman.c roman.h
\t$(CC) $(CFLAGS) -o $@ test_roman.c roman.c

test: test_roman
\t./test_roman

.PHONY: test
";

const OLD_ROMAN: &str = "\
#include \"roman.h\"

const char *roman(int number)
{
    static const char *const units[] = {\"\", \"I\", \"II\", \"III\", \"IV\", \"V\", \"VI\", \"VII\", \"VIII\", \"IX\"};
    return number > 0 && number < 10 ? units[number] : \"?\";
}
";

const NEW_ROMAN: &str = "\
#include <stdio.h>
#include \"roman.h\"

const char *roman(int number)
{
    static const char *const units[] = {\"\", \"I\", \"II\", \"III\", \"IV\", \"V\", \"VI\", \"VII\", \"VIII\", \"IX\"};
    static const char *const tens[] = {\"\", \"X\", \"XX\", \"XXX\", \"XL\", \"L\", \"LX\", \"LXX\", \"LXXX\", \"XC\"};
    static char text[16];
    if (number < 1 || number > 99)
        return \"?\";
    snprintf(text, sizeof text, \"%s%s\", tens[number / 10], units[number % 10]);
    return text;
}
";

const OLD_TESTS: &str = "\
#include <stdio.h>
#include <string.h>
#include \"roman.h\"

static int failed;

static void check(int number, const char *expected)
{
    int ok = strcmp(roman(number), expected) == 0;
    printf(\"%s: %d is %s\\n\", ok ? \"ok\" : \"FAILED\", number, expected);
    failed += !ok;
}

int main(void)
{
    check(4, \"IV\");
    check(9, \"IX\");
    check(0, \"?\");
    return failed ? 1 : 0;
}
";

/// The strict builder finds what the author forgot: the text of the last call is overwritten.
const NEW_TESTS: &str = "\
#include <stdio.h>
#include <string.h>
#include \"roman.h\"

static int failed;

static void check(int number, const char *expected)
{
    int ok = strcmp(roman(number), expected) == 0;
    printf(\"%s: %d is %s\\n\", ok ? \"ok\" : \"FAILED\", number, expected);
    failed += !ok;
}

int main(void)
{
    check(4, \"IV\");
    check(42, \"XLII\");
    check(99, \"XCIX\");
    check(0, \"?\");
#ifdef STRICT
    const char *one = roman(1);
    roman(2);
    int ok = strcmp(one, \"I\") == 0;
    printf(\"%s: an answer outlives the next call\\n\", ok ? \"ok\" : \"FAILED\");
    failed += !ok;
#endif
    return failed ? 1 : 0;
}
";
