//! A check as SARIF 2.1.0, which code hosts show on the line that names the image.

use super::Judged;
use crate::survey::sarif::{Place, log};
use anyhow::Result;

pub(super) fn text(judged: &[Judged]) -> Result<String> {
    let places = judged.iter().flat_map(|one| {
        one.findings().iter().map(move |finding| {
            let workload = &one.object.workload;
            let namespace = workload.namespace.as_deref().unwrap_or_default();
            Place {
                finding,
                object: format!("{}/{namespace}/{}", workload.kind, workload.name),
                file: one.object.file.clone(),
                line: one.line(finding),
            }
        })
    });
    Ok(serde_json::to_string_pretty(&log(&places.collect::<Vec<_>>()))? + "\n")
}
