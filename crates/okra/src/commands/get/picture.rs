//! What is known of one Cell, read in one go.

use anyhow::Context as _;
use kube::Api;
use kube::api::ListParams;
use okra_api::cell::Cell;
use okra_api::names::LABEL_CELL;
use okra_api::write::label_value;
use okra_api::{
    AWSApplicationLoadBalancerConfig, AWSTargetGroup, AnalysisRun, AnalysisTemplate, Pause, VersionBlocklist,
};

use crate::commands::connect::Connection;

/// One Cell and what it stands on.
#[derive(Debug, Default)]
pub struct Picture {
    /// What AWS reported, if the Cell has a config.
    pub config: Option<AWSApplicationLoadBalancerConfig>,
    /// AWSTargetGroups of the namespace.
    pub groups: Vec<AWSTargetGroup>,
    /// Runs of this Cell.
    pub runs: Vec<AnalysisRun>,
    /// Pauses of this Cell.
    pub pauses: Vec<Pause>,
    /// Templates of the namespace, for how long analyses will take.
    pub templates: Vec<AnalysisTemplate>,
    /// Versions that the Cell shall not serve.
    pub blocklist: Option<VersionBlocklist>,
}

impl Picture {
    /// Reads it.
    ///
    /// # Errors
    /// When the API refuses a read.
    pub async fn read(connection: &Connection, cell: &Cell) -> anyhow::Result<Self> {
        let name = cell.metadata.name.as_deref().unwrap_or_default();
        let selector = ListParams::default().labels(&format!("{LABEL_CELL}={}", label_value(name)));
        let all = ListParams::default();
        let (client, namespace) = (|| connection.client.clone(), connection.namespace.as_str());
        let configs: Api<AWSApplicationLoadBalancerConfig> = Api::namespaced(client(), namespace);
        let groups: Api<AWSTargetGroup> = Api::namespaced(client(), namespace);
        let runs: Api<AnalysisRun> = Api::namespaced(client(), namespace);
        let pauses: Api<Pause> = Api::namespaced(client(), namespace);
        let templates: Api<AnalysisTemplate> = Api::namespaced(client(), namespace);
        let blocklists: Api<VersionBlocklist> = Api::namespaced(client(), namespace);
        let (config, groups, runs, pauses, templates, blocklist) = futures::try_join!(
            configs.get_opt(name),
            groups.list(&all),
            runs.list(&selector),
            pauses.list(&selector),
            templates.list(&all),
            blocklists.get_opt(name),
        )
        .with_context(|| format!("cannot read what belongs to Cell {name}"))?;
        Ok(Self {
            config,
            groups: groups.items,
            runs: runs.items,
            pauses: pauses.items,
            templates: templates.items,
            blocklist,
        })
    }
}
