//! Which store a place names: a directory, or a bucket of S3, GCS or Azure with a prefix.

use std::sync::Arc;

use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::local::LocalFileSystem;
use object_store::prefix::PrefixStore;
use object_store::{ObjectStore, RetryConfig};

use super::OPERATION_TIME;

/// Most that the client itself repeats.
const RETRIES: usize = 2;

/// The objects at a directory or at an address of a bucket; what is wrong, in words.
pub fn objects(place: &str) -> Result<Arc<dyn ObjectStore>, String> {
    let Some((scheme, rest)) = place.split_once("://") else {
        return directory(place);
    };
    let prefix = rest.split_once('/').map_or("", |(_, prefix)| prefix);
    let bucket = bucket(scheme, place).map_err(|error| error.to_string())?;
    let bucket = bucket.ok_or_else(|| format!("{scheme} is none of s3, gs and az"))?;
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

fn bucket(scheme: &str, url: &str) -> object_store::Result<Option<Arc<dyn ObjectStore>>> {
    let retry = RetryConfig {
        max_retries: RETRIES,
        retry_timeout: OPERATION_TIME / 2,
        ..RetryConfig::default()
    };
    Ok(match scheme {
        "s3" => {
            let builder = AmazonS3Builder::from_env().with_url(url);
            Some(Arc::new(builder.with_retry(retry).build()?))
        }
        "gs" => {
            let builder = GoogleCloudStorageBuilder::from_env().with_url(url);
            Some(Arc::new(builder.with_retry(retry).build()?))
        }
        "az" => {
            let builder = MicrosoftAzureBuilder::from_env().with_url(url);
            Some(Arc::new(builder.with_retry(retry).build()?))
        }
        _ => None,
    })
}
