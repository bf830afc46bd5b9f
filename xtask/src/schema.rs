//! The chart's `values.schema.json`, made of `files/values.schema.json`. Pure.

use serde_json::{Value, json};

/// Who judges what, said at the top.
const COMMENT: &str = "Generated from files/values.schema.json by `cargo xtask crds`. Editors see the values that somebody wrote, and judge them by what is below. Helm sees them with all others of the chart: it lets them pass here, and templates/before/others/validate.yaml judges them by the same schema, in sentences with examples.";

/// The schema, for values of which some are left out: whoever writes values leaves most of them out, and helm
/// has all of them.
pub fn of_what_somebody_wrote(schema: &str) -> serde_json::Result<String> {
    let parsed: Value = serde_json::from_str(schema)?;
    let properties = parsed["properties"].as_object().into_iter().flatten();
    let always = properties.filter(|(_, value)| !may_be_absent(value));
    let mut always: Vec<&str> = always.map(|(name, _)| name.as_str()).collect();
    always.sort_unstable();
    let (dialect, comment, always) = (&parsed["$schema"], json!(COMMENT), json!(always));
    // A dialect is named once, at the top.
    let lines = schema.trim_end().lines();
    let lines: Vec<&str> = lines
        .filter(|line| !line.starts_with("  \"$schema\""))
        .collect();
    // What it refers to stands one level deeper.
    let schema = lines.join("\n  ").replace("\"#/$defs/", "\"#/else/$defs/");
    Ok(format!(
        "{{\n  \"$schema\": {dialect},\n  \"$comment\": {comment},\n  \"if\": {{\n    \"required\": {always}\n  }},\n  \"else\": {schema}\n}}\n"
    ))
}

/// Whether the chart has no such value until somebody gives it.
fn may_be_absent(schema: &Value) -> bool {
    let types = schema["type"].as_array();
    types.is_some_and(|types| types.contains(&json!("null")))
}

#[cfg(test)]
mod tests_of_schema {
    use super::*;

    #[test]
    fn what_a_schema_refers_to_is_found_where_it_is_then() {
        let schema = "{\n  \"$schema\": \"a\",\n  \"properties\": {\n    \"a\": {\"$ref\": \"#/$defs/b\"}\n  },\n  \"$defs\": {\"b\": {}}\n}\n";
        let made = of_what_somebody_wrote(schema).unwrap();
        let made: Value = serde_json::from_str(&made).unwrap();
        let to = made["else"]["properties"]["a"]["$ref"].as_str().unwrap();
        assert_eq!(to, "#/else/$defs/b");
        assert_eq!(made.pointer(to.trim_start_matches('#')), Some(&json!({})));
    }

    #[test]
    fn what_has_all_values_passes_and_all_else_is_judged() {
        let schema = "{\n  \"$schema\": \"a\",\n  \"properties\": {\n    \"b\": {},\n    \"a\": {\"type\": \"string\"},\n    \"global\": {\"type\": [\"object\", \"null\"]}\n  }\n}\n";
        let made = of_what_somebody_wrote(schema).unwrap();
        let made: Value = serde_json::from_str(&made).unwrap();
        assert_eq!(made["$schema"], "a");
        assert_eq!(made["if"], json!({ "required": ["a", "b"] }));
        let properties = json!({
            "a": { "type": "string" }, "b": {}, "global": { "type": ["object", "null"] },
        });
        assert_eq!(made["else"], json!({ "properties": properties }));
    }
}
