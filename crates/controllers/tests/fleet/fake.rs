//! EKS of several accounts and regions in memory, with the faults that AWS has.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use async_trait::async_trait;
use okra_aws::{AwsError, ClusterDescription, ClusterStatus, Clusters, Meaning, Region, Scope};

#[derive(Default)]
struct Accounts {
    clusters: BTreeMap<Scope, BTreeMap<String, ClusterDescription>>,
    /// What every call to a scope meets.
    refused: BTreeMap<Scope, (Meaning, &'static str)>,
    lists: u32,
    describes: u32,
}

/// All accounts and regions.
#[derive(Default)]
pub(crate) struct FakeEks(Mutex<Accounts>);

/// okra's own account in a region.
pub(crate) fn own(region: &str) -> Scope {
    Scope::own(Region::new(region))
}

impl FakeEks {
    fn accounts(&self) -> MutexGuard<'_, Accounts> {
        self.0.lock().expect("no test panics while it holds the lock")
    }

    /// Puts an active cluster with the tag `role: web` into okra's own account.
    pub(crate) fn add(&self, name: &str) {
        self.add_to(&own("eu-west-1"), "123456789012", name);
    }

    pub(crate) fn add_to(&self, scope: &Scope, account: &str, name: &str) {
        let region = &scope.region;
        let cluster = ClusterDescription {
            name: name.to_owned(),
            arn: format!("arn:aws:eks:{region}:{account}:cluster/{name}"),
            status: ClusterStatus::Active,
            endpoint: Some(format!("https://{name}.{region}.{account}")),
            certificate_authority: Some("Q0E=".to_owned()),
            version: Some("1.36".to_owned()),
            created: None,
            tags: [("role".to_owned(), "web".to_owned())].into(),
        };
        self.accounts().clusters.entry(scope.clone()).or_default().insert(name.to_owned(), cluster);
    }

    pub(crate) fn set_status(&self, name: &str, status: ClusterStatus) {
        let mut accounts = self.accounts();
        let clusters = accounts.clusters.get_mut(&own("eu-west-1")).expect("the account has clusters");
        clusters.get_mut(name).expect("the cluster is there").status = status;
    }

    pub(crate) fn remove(&self, name: &str) {
        self.accounts().clusters.values_mut().for_each(|clusters| drop(clusters.remove(name)));
    }

    pub(crate) fn refuse(&self, scope: &Scope, meaning: Meaning, code: &'static str) {
        self.accounts().refused.insert(scope.clone(), (meaning, code));
    }

    pub(crate) fn relent(&self) {
        self.accounts().refused.clear();
    }

    /// Lists and descriptions so far.
    pub(crate) fn calls(&self) -> (u32, u32) {
        let accounts = self.accounts();
        (accounts.lists, accounts.describes)
    }
}

impl Accounts {
    fn answer(&self, scope: &Scope, operation: &'static str) -> Result<(), AwsError> {
        match self.refused.get(scope) {
            None => Ok(()),
            Some((meaning, code)) => Err(AwsError::new(*meaning, operation, *code, "by the test")),
        }
    }
}

#[async_trait]
impl Clusters for FakeEks {
    async fn list(&self, scope: &Scope) -> Result<Vec<String>, AwsError> {
        let mut accounts = self.accounts();
        accounts.lists += 1;
        accounts.answer(scope, "eks:ListClusters")?;
        Ok(accounts.clusters.get(scope).into_iter().flat_map(BTreeMap::keys).cloned().collect())
    }

    async fn describe(&self, scope: &Scope, name: &str) -> Result<ClusterDescription, AwsError> {
        let mut accounts = self.accounts();
        accounts.describes += 1;
        accounts.answer(scope, "eks:DescribeCluster")?;
        let found = accounts.clusters.get(scope).and_then(|clusters| clusters.get(name));
        found.cloned().ok_or_else(|| {
            AwsError::new(Meaning::Absent, "eks:DescribeCluster", "ResourceNotFoundException", name)
        })
    }
}
