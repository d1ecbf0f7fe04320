//! How Hullmark talks to real registries: the requests it makes, and the failures it names.

use crate::support::{Entry, Image, Index, Registry, skopeo_raw_config};
use serde_json::json;

#[tokio::test]
async fn the_harness_pushes_what_skopeo_reads() {
    for registry in
        [Registry::plain().await, Registry::tls().await, Registry::basic().await, Registry::token().await]
    {
        let arm = Image::oci("linux/arm64/v8", &json!({ "User": "1000" }));
        let docker = Image::docker("linux/amd64", &json!({ "User": "0" }));
        docker.push(&registry, "demo/app:docker").await;
        let index = Index::oci([Entry::Image(arm.clone()), Entry::Attestation]);
        index.push(&registry, "demo/app:index").await;
        let login = Some(("alice", "s3cret"));
        assert_eq!(
            skopeo_raw_config(&registry, "demo/app:docker", "linux/amd64", login).await,
            docker.config
        );
        assert_eq!(skopeo_raw_config(&registry, "demo/app:index", "linux/arm64/v8", login).await, arm.config);
        eprintln!("{:#?}", registry.new_requests().await);
        assert_eq!(registry.new_requests().await, Vec::<String>::new());
    }
}
