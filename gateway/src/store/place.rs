//! What the name of a store stands for: a directory, or a bucket and what that is reached by.

use std::fmt::Display;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::local::LocalFileSystem;
use object_store::prefix::PrefixStore;
use object_store::{ObjectStore, RetryConfig};

use super::{OPERATION_TIME, StoreError};

/// Most that the client itself repeats.
const RETRIES: usize = 2;

/// Names and values, such as `AWS_REGION` and `eu-central-1`.
type Options = Vec<(String, String)>;

/// The objects at a place. `access` is a directory with one file an option, as a Secret is mounted; what is in
/// it goes before what the environment says.
pub(super) fn objects(
    place: &str,
    access: Option<&Path>,
) -> Result<Arc<dyn ObjectStore>, StoreError> {
    let wrong = |cause: String| StoreError::Place {
        place: place.to_owned(),
        cause,
    };
    let Some((scheme, rest)) = place.split_once("://") else {
        return directory(place).map_err(wrong);
    };
    let prefix = rest.split_once('/').map_or("", |(_, prefix)| prefix);
    let options = access.map(mounted).transpose();
    let options = options.map_err(|cause| StoreError::Access {
        place: place.to_owned(),
        cause,
    })?;
    let bucket = bucket(scheme, place, &options.unwrap_or_default());
    let bucket = bucket.map_err(|error| wrong(error.to_string()))?;
    let bucket = bucket.ok_or_else(|| wrong(format!("{scheme} is none of s3, gs and az")))?;
    match prefix.trim_matches('/') {
        "" => Ok(bucket),
        prefix => Ok(Arc::new(PrefixStore::new(bucket, prefix))),
    }
}

/// Writes are on the disk before they are answered, with the directories that lead there.
fn directory(place: &str) -> Result<Arc<dyn ObjectStore>, String> {
    std::fs::create_dir_all(place).map_err(|error| error.to_string())?;
    let local = LocalFileSystem::new_with_prefix(place).map_err(|error| error.to_string())?;
    Ok(Arc::new(
        local.with_fsync(true).with_automatic_cleanup(true),
    ))
}

/// The options in the files of a mounted Secret.
fn mounted(directory: &Path) -> Result<Options, String> {
    let said =
        |path: &Path, error: &dyn Display| format!("{} cannot be read: {error}", path.display());
    let entries = std::fs::read_dir(directory).map_err(|error| said(directory, &error))?;
    let mut options = Options::new();
    for entry in entries {
        let entry = entry.map_err(|error| said(directory, &error))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        // Kubernetes' own: where the files really are.
        if name.starts_with("..") {
            continue;
        }
        let path = entry.path();
        let value = std::fs::read_to_string(&path).map_err(|error| said(&path, &error))?;
        options.push((name, value.trim().to_owned()));
    }
    match options.is_empty() {
        false => Ok(options),
        true => Err(format!(
            "{} is empty; make the Secret that `gateway.store.bucketSecret` names",
            directory.display()
        )),
    }
}

fn bucket(
    scheme: &str,
    url: &str,
    options: &Options,
) -> object_store::Result<Option<Arc<dyn ObjectStore>>> {
    let retry = RetryConfig {
        max_retries: RETRIES,
        retry_timeout: OPERATION_TIME / 2,
        ..RetryConfig::default()
    };
    Ok(match scheme {
        "s3" => {
            let builder = s3(options).with_url(url);
            Some(Arc::new(builder.with_retry(retry).build()?))
        }
        "gs" => {
            let mut builder = GoogleCloudStorageBuilder::from_env();
            for (key, value) in keys::<GoogleConfigKey>(options, "GOOGLE_") {
                builder = builder.with_config(key, value);
            }
            let builder = builder.with_url(url);
            Some(Arc::new(builder.with_retry(retry).build()?))
        }
        "az" => {
            let mut builder = MicrosoftAzureBuilder::from_env();
            for (key, value) in keys::<AzureConfigKey>(options, "AZURE_") {
                builder = builder.with_config(key, value);
            }
            let builder = builder.with_url(url);
            Some(Arc::new(builder.with_retry(retry).build()?))
        }
        _ => None,
    })
}

fn s3(options: &Options) -> AmazonS3Builder {
    let mut builder = AmazonS3Builder::from_env();
    for (key, value) in keys::<AmazonS3ConfigKey>(options, "AWS_") {
        builder = builder.with_config(key, value);
    }
    builder
}

/// The options of one kind of bucket. A Secret may have others, too.
fn keys<'a, K: FromStr>(
    options: &'a Options,
    prefix: &'static str,
) -> impl Iterator<Item = (K, &'a str)> {
    let ours = options
        .iter()
        .filter(move |(name, _)| name.starts_with(prefix));
    ours.filter_map(|(name, value)| {
        let key = name.to_ascii_lowercase().parse::<K>().ok()?;
        Some((key, value.as_str()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_whose_secret_is_missing_is_opened_when_that_is_there() {
        let name = format!("prbuild-gateway-{}-access", std::process::id());
        let secret = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&secret).unwrap();
        let open = || objects("s3://logs/of/prbuild", Some(&secret));
        let said = open().err().unwrap().to_string();
        let says = "is empty; make the Secret that `gateway.store.bucketSecret` names";
        assert!(said.starts_with("the store s3://logs/of/prbuild"), "{said}");
        assert!(said.ends_with(says), "{said}");

        // As kubelet lays it out.
        std::fs::create_dir(secret.join("..data")).unwrap();
        std::fs::write(secret.join("AWS_REGION"), "eu-central-1\n").unwrap();
        std::fs::write(secret.join("AWS_ACCESS_KEY_ID"), "key").unwrap();
        std::fs::write(secret.join("AWS_SECRET_ACCESS_KEY"), "of the key").unwrap();
        std::fs::write(secret.join("OTHER"), "nothing of ours").unwrap();
        assert!(open().is_ok());
        let builder = s3(&mounted(&secret).unwrap());
        let region = builder.get_config_value(&AmazonS3ConfigKey::Region);
        assert_eq!(region.as_deref(), Some("eu-central-1"));
        std::fs::remove_dir_all(secret).unwrap();
    }
}
