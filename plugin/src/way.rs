//! How a cluster is reached: as was said, else as kubectl would, else as a pod of it does.

use http::Uri;
use hyper_util::client::proxy::matcher::Matcher;
use kube::Config;
use kube::config::{KubeConfigOptions, Kubeconfig};

use crate::PluginError;
use crate::cli::Way;

/// The way that these arguments name.
pub(crate) async fn config(way: &Way) -> Result<Config, PluginError> {
    let options = KubeConfigOptions {
        context: way.context.clone(),
        ..KubeConfigOptions::default()
    };
    let config = match (&way.kubeconfig, &way.context) {
        (Some(file), _) => {
            let read = Kubeconfig::read_from(file).map_err(no_way)?;
            let config = Config::from_custom_kubeconfig(read, &options).await;
            config.map_err(no_way)
        }
        (None, Some(_)) => Config::from_kubeconfig(&options).await.map_err(no_way),
        (None, None) => Config::infer().await.map_err(no_way),
    };
    let mut config = config?;
    let named = ["HTTPS_PROXY", "https_proxy"].map(|name| std::env::var(name).ok());
    let environment = named.into_iter().flatten().find(|proxy| !proxy.is_empty());
    let proxy = config.proxy_url.take();
    config.proxy_url = proxy.filter(|proxy| {
        let is_of_environment = environment.as_deref().and_then(parsed).as_ref() == Some(proxy);
        !is_of_environment || leads_through(&Matcher::from_env(), &config.cluster_url)
    });
    Ok(config)
}

/// Says that there is none.
pub(crate) fn no_way(because: impl std::fmt::Display) -> PluginError {
    PluginError::Config(because.to_string())
}

fn parsed(uri: &str) -> Option<Uri> {
    uri.parse().ok()
}

/// Whether the environment's proxy is on the way to this cluster. kube asks `NO_PROXY` about the proxy
/// instead of the cluster; and no proxy reaches what is on this machine only, as kubectl has it too.
fn leads_through(environment: &Matcher, cluster: &Uri) -> bool {
    let host = cluster.host().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let address = address.parse::<std::net::IpAddr>();
    let is_here = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
    !is_here && environment.intercept(cluster).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environments_proxy_leads_to_what_is_elsewhere_and_not_left_out() {
        let environment = Matcher::builder()
            .https("http://proxy.example.org:3128")
            .no("internal.example.org,10.0.0.0/8")
            .build();
        for (cluster, through) in [
            ("https://cluster.example.org:6443", true),
            ("https://192.0.2.7:6443", true),
            ("https://api.internal.example.org", false),
            ("https://10.1.2.3:6443", false),
            ("https://127.0.0.1:6443", false),
            ("https://localhost:6443", false),
            ("https://[::1]:6443", false),
        ] {
            let uri = parsed(cluster).expect("a URI");
            assert_eq!(leads_through(&environment, &uri), through, "{cluster}");
        }
    }
}
