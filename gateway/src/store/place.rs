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
        // A directory of such a name in the container, gone with it, is what nobody meant.
        if let Some(scheme) = scheme_of(place) {
            return Err(wrong(format!("`{scheme}:` is not followed by `//`")));
        }
        return directory(place).map_err(wrong);
    };
    let Some(cloud) = Cloud::of(scheme) else {
        return Err(wrong(format!("{scheme} is none of s3, gs and az")));
    };
    let (name, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    if name.is_empty() {
        return Err(wrong(format!("it names no {}", cloud.bucket())));
    }
    let unreachable = |cause: String| StoreError::Access {
        place: place.to_owned(),
        cause,
    };
    let options = access.map(mounted).transpose().map_err(unreachable)?;
    let bucket = cloud.open(place, &options.unwrap_or_default());
    let bucket = bucket.map_err(|error| {
        let needs = cloud.needs();
        unreachable(format!("{error}; it is reached as {needs} say"))
    })?;
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

/// The letters before a colon that an address begins with.
fn scheme_of(place: &str) -> Option<&str> {
    let (scheme, _) = place.split_once(':')?;
    let is_scheme = !scheme.is_empty() && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_scheme.then_some(scheme)
}

/// Whose bucket it is.
#[derive(Clone, Copy)]
enum Cloud {
    S3,
    Google,
    Azure,
}

impl Cloud {
    fn of(scheme: &str) -> Option<Self> {
        Some(match scheme {
            "s3" => Self::S3,
            "gs" => Self::Google,
            "az" => Self::Azure,
            _ => return None,
        })
    }

    /// What it calls a bucket.
    fn bucket(self) -> &'static str {
        match self {
            Self::S3 | Self::Google => "bucket",
            Self::Azure => "container",
        }
    }

    /// What says how it is reached, in the environment or in the files of a Secret.
    fn needs(self) -> &'static str {
        match self {
            Self::S3 => "AWS_REGION, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
            Self::Google => "GOOGLE_SERVICE_ACCOUNT_KEY, or GOOGLE_APPLICATION_CREDENTIALS,",
            Self::Azure => "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
        }
    }

    fn open(self, url: &str, options: &Options) -> object_store::Result<Arc<dyn ObjectStore>> {
        let retry = RetryConfig {
            max_retries: RETRIES,
            retry_timeout: OPERATION_TIME / 2,
            ..RetryConfig::default()
        };
        let bucket: Arc<dyn ObjectStore> = match self {
            Self::S3 => {
                let builder = s3(options).with_url(url);
                Arc::new(builder.with_retry(retry).build()?)
            }
            Self::Google => {
                let mut builder = GoogleCloudStorageBuilder::from_env();
                for (key, value) in keys::<GoogleConfigKey>(options, "GOOGLE_") {
                    builder = builder.with_config(key, value);
                }
                let builder = builder.with_url(url);
                Arc::new(builder.with_retry(retry).build()?)
            }
            Self::Azure => {
                let mut builder = MicrosoftAzureBuilder::from_env();
                for (key, value) in keys::<AzureConfigKey>(options, "AZURE_") {
                    builder = builder.with_config(key, value);
                }
                let builder = builder.with_url(url);
                Arc::new(builder.with_retry(retry).build()?)
            }
        };
        Ok(bucket)
    }
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
        let key = name.to_ascii_lowercase().parse::<K>().ok();
        if key.is_none() {
            tracing::warn!(option = %name, "says nothing about how a bucket is reached");
        }
        Some((key?, value.as_str()))
    })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

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

    /// A directory with these files, as a Secret is mounted, which goes with this.
    struct Secret(PathBuf);

    impl Secret {
        fn of(name: &str, files: &[(&str, &str)]) -> Self {
            let name = format!("prbuild-gateway-{}-{name}", std::process::id());
            let directory = std::env::temp_dir().join(name);
            std::fs::create_dir_all(&directory).unwrap();
            for (name, value) in files {
                std::fs::write(directory.join(name), value).unwrap();
            }
            Self(directory)
        }

        fn open(&self, place: &str) -> Result<Arc<dyn ObjectStore>, StoreError> {
            objects(place, Some(&self.0))
        }
    }

    impl Drop for Secret {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    const GOOGLE: &str = r#"{ "gcs_base_url": "http://127.0.0.1:9", "disable_oauth": true,
        "client_email": "logs@example.org", "private_key": "", "private_key_id": "" }"#;

    #[test]
    fn a_bucket_of_each_cloud_is_opened_with_what_a_secret_says_and_keeps_to_its_prefix() {
        for (place, files) in [
            (
                "s3://logs/of/prbuild",
                [
                    ("AWS_REGION", "eu-central-1"),
                    ("AWS_ACCESS_KEY_ID", "key"),
                    ("AWS_SECRET_ACCESS_KEY", "x"),
                ]
                .as_slice(),
            ),
            (
                "gs://logs/of/prbuild",
                &[
                    ("GOOGLE_SERVICE_ACCOUNT_KEY", GOOGLE),
                    ("GOOGLE_NONSENSE", "x"),
                ],
            ),
            (
                "az://logs/of/prbuild/",
                &[
                    ("AZURE_STORAGE_ACCOUNT_NAME", "logs"),
                    ("AZURE_STORAGE_ACCOUNT_KEY", "a2V5"),
                ],
            ),
        ] {
            let secret = Secret::of(&format!("right-{}", &place[..2]), files);
            let below = secret.open(place).unwrap().to_string();
            assert!(below.contains("of/prbuild"), "{below}");
            let whole = secret.open(&place[..9]).unwrap().to_string();
            assert!(
                whole.contains("logs") && !whole.contains("prbuild"),
                "{whole}"
            );
        }
    }

    #[test]
    fn a_bucket_that_cannot_be_reached_says_what_would_say_how() {
        let google = ("GOOGLE_SERVICE_ACCOUNT_KEY", "{");
        let azure = ("AZURE_STORAGE_ACCOUNT_KEY", "no key!");
        for (place, file, says) in [
            ("gs://logs", google, "as GOOGLE_SERVICE_ACCOUNT_KEY"),
            ("az://logs", azure, "as AZURE_STORAGE_ACCOUNT_NAME"),
        ] {
            let secret = Secret::of(&format!("wrong-{}", &place[..2]), &[file]);
            let said = secret.open(place).err().unwrap().to_string();
            assert!(
                said.starts_with(&format!("the store {place} cannot be opened: ")),
                "{said}"
            );
            assert!(said.contains(says), "{said}");
        }
    }

    #[test]
    fn an_address_that_names_nothing_is_no_directory_either() {
        for (place, says) in [
            ("s3://", "it names no bucket"),
            ("gs:///prefix", "it names no bucket"),
            ("az://", "it names no container"),
            ("gcs://logs", "gcs is none of s3, gs and az"),
            ("s3:/logs", "`s3:` is not followed by `//`"),
            ("gs:logs", "`gs:` is not followed by `//`"),
        ] {
            let said = objects(place, None).err().unwrap().to_string();
            assert!(
                said.starts_with(&format!("cannot use the store {place}: ")),
                "{said}"
            );
            assert!(
                said.contains(says) && said.contains("name a directory"),
                "{said}"
            );
        }
    }
}
