//! Validators, compiled when they are first needed and shared by all forges of the process.

use std::collections::HashMap;
use std::error::Error;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use jsonschema::{Draft, Registry, Validator};
use serde_json::{Value, json};

use super::{published, trim};
use crate::forge::rest::ROUTES;
use crate::parts::Cache;

type Failure = Box<dyn Error + Send + Sync>;

const REST: &str = "urn:github:rest";
const WEBHOOKS: &str = "urn:github:webhooks";
/// No list of differences is longer.
const MOST: usize = 8;

/// GitHub's descriptions, ready to check with.
pub struct Schemas {
    /// The trimmed REST description.
    pub rest: Value,
    webhooks: Value,
    registry: Registry<'static>,
    compiled: Mutex<HashMap<String, Arc<Validator>>>,
}

/// The descriptions, read once. A failure is remembered too: it will not go away by itself.
pub fn shared() -> Result<&'static Schemas, String> {
    static SHARED: OnceLock<Result<Schemas, String>> = OnceLock::new();
    SHARED
        .get_or_init(|| Schemas::load().map_err(|error| error.to_string()))
        .as_ref()
        .map_err(Clone::clone)
}

impl Schemas {
    fn load() -> Result<Self, Failure> {
        let rest = trimmed()?;
        let webhooks: Value = serde_json::from_slice(&std::fs::read(published::webhooks()?)?)?;
        let registry = Registry::new()
            .draft(Draft::Draft7)
            .add(REST, rest.clone())?
            .add(WEBHOOKS, webhooks.clone())?
            .prepare()?;
        Ok(Self {
            rest,
            webhooks,
            registry,
            compiled: Mutex::default(),
        })
    }

    /// How a value differs from the schema at a pointer of the REST description.
    pub fn rest(&'static self, pointer: &str, value: &Value) -> Vec<String> {
        self.differences(&format!("{REST}#{pointer}"), value)
    }

    /// How a payload differs from the schema of its event and action.
    pub fn webhook(
        &'static self,
        event: &str,
        action: Option<&str>,
        payload: &Value,
    ) -> Vec<String> {
        let name = format!("{event}${}", action.unwrap_or("event"));
        if self.webhooks["definitions"].get(&name).is_none() {
            return vec![format!("GitHub has no event {name}")];
        }
        self.differences(&format!("{WEBHOOKS}#/definitions/{name}"), payload)
    }

    fn differences(&'static self, reference: &str, value: &Value) -> Vec<String> {
        let validator = match self.validator(reference) {
            Ok(validator) => validator,
            Err(error) => return vec![format!("{reference} cannot be compiled: {error}")],
        };
        let describe = |error: jsonschema::ValidationError<'_>| {
            let what: String = error.masked().to_string().chars().take(300).collect();
            format!(
                "at {}: {what}",
                if error.instance_path().as_str().is_empty() {
                    "/"
                } else {
                    error.instance_path().as_str()
                }
            )
        };
        validator
            .iter_errors(value)
            .take(MOST)
            .map(describe)
            .collect()
    }

    fn validator(&'static self, reference: &str) -> Result<Arc<Validator>, Failure> {
        let mut compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = compiled.get(reference) {
            return Ok(known.clone());
        }
        let made = jsonschema::options()
            .with_draft(Draft::Draft7)
            .with_registry(&self.registry)
            .should_validate_formats(true)
            .build(&json!({"$ref": reference}));
        let made = Arc::new(made.map_err(|error| error.to_string())?);
        compiled.insert(reference.to_owned(), made.clone());
        Ok(made)
    }
}

/// The trimmed REST description, from the cache or made into it.
fn trimmed() -> Result<Value, Failure> {
    let operations: Vec<(&str, &str)> = ROUTES
        .iter()
        .map(|route| (route.method, route.template))
        .collect();
    // The way of trimming is part of the name: whoever changes it does not read an old one.
    let mut hasher = DefaultHasher::new();
    (include_str!("trim.rs"), &operations).hash(&mut hasher);
    let version = format!("{}-{:016x}", crate::parts::OPENAPI.version, hasher.finish());
    let file = Cache::of_user()
        .entry("github-rest-trimmed", &version)
        .join("rest.json");
    if let Ok(text) = std::fs::read(&file) {
        return Ok(serde_json::from_slice(&text)?);
    }
    let whole: Value = serde_json::from_slice(&std::fs::read(published::openapi()?)?)?;
    let trimmed = trim::trim(&whole, &operations);
    keep(&file, &trimmed)?;
    Ok(trimmed)
}

/// Writes a file that is whole or not there.
fn keep(file: &Path, value: &Value) -> Result<(), Failure> {
    let folder = file.parent().map_or_else(PathBuf::new, Path::to_path_buf);
    std::fs::create_dir_all(&folder)?;
    let draft = folder.join(format!("rest.json.{}", std::process::id()));
    std::fs::write(&draft, value.to_string())?;
    std::fs::rename(draft, file)?;
    Ok(())
}
